/* replay - feeds files to the fuzz target, without a fuzzer.
 *
 *   fuzz_replay FILE_OR_FOLDER...
 *
 * A file is an input as the fuzzer wrote it. The files of a folder, and of those below it, are each
 * given to every reader as well: with the byte that chooses it in front. The program ends well
 * when nothing crashed. Without any file: 77, "skipped" to meson. */
#include <dirent.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "tests/check.h"

/* More than the readers there are, for those of tomorrow. */
enum { FIRST_BYTES_N = 8, FILE_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs_n;

/* In a block of its own size, so that a sanitizer sees a read behind the end. */
static void feed(const char *prefix, size_t prefix_len, const struct buf *file) {
    size_t len = prefix_len + file->len;
    uint8_t *input = malloc(len ? len : 1);
    memcpy(input, prefix, prefix_len);
    if (file->len)
        memcpy(input + prefix_len, file->data, file->len);
    CHECK_EQUAL(LLVMFuzzerTestOneInput(input, len), 0);
    inputs_n++;
    free(input);
}

static void replay_file(const char *path, bool every_reader) {
    struct buf file = {0};
    struct error err;
    if (!file_read(path, FILE_BYTES_MAX, &file, &err)) {
        CHECK(err.code == ERROR_LIMIT);
        fprintf(stderr, "%s\n", err.message);
        return;
    }
    feed("", 0, &file);
    for (char reader = 0; every_reader && reader < FIRST_BYTES_N; reader++)
        feed(&reader, 1, &file);
    buf_done(&file);
}

static void replay_folder(const char *path) {
    DIR *listing = opendir(path);
    CHECK(listing);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char inner[PATH_BYTES_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= PATH_BYTES_MAX)
            continue;
        if (file_is_folder(inner))
            replay_folder(inner);
        else
            replay_file(inner, true);
    }
    if (listing)
        closedir(listing);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (file_is_folder(argv[i]))
            replay_folder(argv[i]);
        else if (file_exists(argv[i]))
            replay_file(argv[i], false);
    if (inputs_n == 0) {
        printf("skipped: no inputs\n");
        return CHECK_SKIP;
    }
    printf("%zu inputs\n", inputs_n);
    return check_result();
}
