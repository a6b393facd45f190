/* tidy - reads the source itself and fails where the house's rules are broken.
 *
 * The rules that a compiler cannot see: which folder may include which, the one home of each
 * third-party header, and the measures of a page. docs/architecture.md draws what is checked here.
 * First the rules are tried on made-up lines that must fail, so that a rule that lost its teeth is
 * noticed. TERCET_SOURCE is the root of the tree. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/check.h"

enum {
    FILE_LINES_MAX = 700,   /* one idea a file: 200 to 600 lines, and some air */
    LINE_COLUMNS_MAX = 100, /* two files side by side on a laptop */
    PATH_BYTES_MAX = 1024,
};

/* What each folder may include, by the beginning of the path. The longest folder that fits a file
 * counts. "tests/check.h" is for *_test.c files everywhere. */
static const struct {
    const char *folder, *allowed[6];
} boundaries[] = {
    {"engine/base/", {"engine/base/"}},
    {"engine/", {"engine/"}},
    {"index/store/", {"engine/base/", "index/store/", "index/fixture.h"}},
    {"index/", {"engine/base/", "index/"}},
    {"ingest/", {"engine/", "index/", "ingest/"}},
    {"query/server/", {"engine/base/", "query/server/"}},
    {"query/ui/", {"engine/base/", "query/server/", "query/ui/"}},
    {"query/", {"engine/", "index/", "query/"}},
    {"tools/", {"engine/", "index/", "ingest/", "query/", "tools/"}},
    {"tests/", {"engine/", "index/", "ingest/", "query/", "tools/", "tests/"}},
};

/* Only an ingest writes an index, and a benchmark the one that it makes: nobody else sees the
 * writer. */
static const struct {
    const char *header, *homes[4];
} one_home[] = {
    {"index/writer.h", {"index/", "ingest/", "tests/", "tools/bench/"}},
    {"<jansson.h>", {"engine/base/json.c"}},
    {"<cblas.h>", {"engine/math/matmul.c"}},
    {"<openblas", {"engine/math/matmul.c"}},
    {"<curl/", {"engine/hub_http.c", "tools/chat_http.c"}},
    {"<openssl/", {"engine/hub_hash.c", "query/server/tls.c"}},
    {"<libstemmer.h>", {"engine/lexical.c"}},
    {"<lmdb.h>", {"index/store/inside.h"}},
    {"<uv.h>", {"query/server/", "ingest/watch.c"}},
    {"<llhttp.h>", {"query/server/http.c"}},
    {"<zlib.h>", {"ingest/", "query/server/content"}},
    {"<zstd.h>", {"index/", "ingest/unpack.c", "ingest/fixture.h", "query/server/content"}},
    {"<libxml/", {"ingest/html.c"}},
    {"<iconv.h>", {"ingest/charset.c"}},
    {"<roaring/", {"index/"}},
};

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* What several tests of one folder share. */
static bool is_test_kit(const char *file) {
    return ends_with(file, "/fixture.h") || ends_with(file, "/golden.h") ||
           ends_with(file, "/test_server.h");
}

/* included: `"index/index.h"` without its quotes, or `<lmdb.h>` with its brackets.
 * NULL when it is fine, else the rule that it breaks. */
static const char *include_complaint(const char *file, const char *included) {
    size_t homes_n = sizeof one_home / sizeof *one_home;
    for (size_t i = 0; i < homes_n; i++) {
        if (!begins_with(included, one_home[i].header))
            continue;
        for (size_t j = 0; j < 4 && one_home[i].homes[j]; j++)
            if (begins_with(file, one_home[i].homes[j]))
                return NULL;
        return "this header has its home elsewhere";
    }
    if (included[0] == '<')
        return NULL;
    if (strcmp(included, "tests/check.h") == 0)
        return ends_with(file, "_test.c") || begins_with(file, "tests/") || is_test_kit(file)
                   ? NULL
                   : "only tests include tests/check.h";
    if (!strchr(included, '/'))
        return "name headers from the root of the tree";
    size_t best = 0, best_len = 0, n = sizeof boundaries / sizeof *boundaries;
    for (size_t i = 0; i < n; i++)
        if (begins_with(file, boundaries[i].folder) && strlen(boundaries[i].folder) > best_len) {
            best = i;
            best_len = strlen(boundaries[i].folder);
        }
    if (best_len == 0)
        return "the file stands in no known folder";
    for (size_t j = 0; j < 6 && boundaries[best].allowed[j]; j++)
        if (begins_with(included, boundaries[best].allowed[j]))
            return NULL;
    return "this folder must not know that one";
}

/* The header of an #include line into out; false when the line is none. */
static bool include_of(const char *line, char out[PATH_BYTES_MAX]) {
    while (*line == ' ')
        line++;
    if (!begins_with(line, "#include "))
        return false;
    const char *open = line + strlen("#include ");
    bool system = *open == '<';
    const char *close = strchr(open + 1, system ? '>' : '"');
    if (!close)
        return false;
    const char *begin = system ? open : open + 1, *end = system ? close + 1 : close;
    size_t len = (size_t)(end - begin);
    if (len >= PATH_BYTES_MAX)
        return false;
    memcpy(out, begin, len);
    out[len] = '\0';
    return true;
}

static const char *line_complaint(const char *file, const char *line) {
    size_t bytes = strlen(line), columns = 0;
    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)line[i] & 0xc0) != 0x80;
    if (columns > LINE_COLUMNS_MAX)
        return "longer than 100 columns";
    if (bytes && (line[bytes - 1] == ' ' || line[bytes - 1] == '\t'))
        return "blanks at the end";
    if (strchr(line, '\t'))
        return "a tab; four spaces are used";
    if (!begins_with(file, "tests/tidy.c") && (strstr(line, "TODO") || strstr(line, "FIXME")))
        return "unfinished work does not land";
    return NULL;
}

static size_t files_read;

static void check_file(const char *root, const char *file) {
    char path[PATH_BYTES_MAX], line[8192], included[PATH_BYTES_MAX];
    int lines_n = 0;
    bool guarded = !ends_with(file, ".h");
    if (snprintf(path, sizeof path, "%s/%s", root, file) >= PATH_BYTES_MAX)
        path[0] = '\0';
    FILE *in = fopen(path, "r");
    CHECK(in);
    if (!in)
        return;
    files_read++;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        lines_n++;
        guarded |= begins_with(line, "#ifndef TERCET_");
        const char *complaint = line_complaint(file, line);
        if (!complaint && include_of(line, included))
            complaint = include_complaint(file, included);
        CHECK(!complaint);
        if (complaint)
            fprintf(stderr, "%s:%d: %s: %s\n", file, lines_n, complaint, line);
    }
    fclose(in);
    CHECK(guarded);
    CHECK(lines_n <= FILE_LINES_MAX);
    if (!guarded || lines_n > FILE_LINES_MAX)
        fprintf(stderr, "%s: %d lines (at most %d), %s\n", file, lines_n, FILE_LINES_MAX,
                guarded ? "guarded" : "no #ifndef TERCET_... guard");
}

static void check_folder(const char *root, const char *folder) {
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    DIR *listing = opendir(path);
    CHECK(listing);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (entry->d_name[0] == '.')
            continue;
        struct stat info;
        char inner[PATH_BYTES_MAX];
        if (snprintf(inner, sizeof inner, "%s/%s", folder, entry->d_name) >= PATH_BYTES_MAX ||
            snprintf(path, sizeof path, "%s/%s", root, inner) >= PATH_BYTES_MAX ||
            stat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            check_folder(root, inner);
        else if (ends_with(inner, ".c") || ends_with(inner, ".h"))
            check_file(root, inner);
    }
    if (listing)
        closedir(listing);
}

/* Lines that must be refused and lines that must not. */
static void rules_have_teeth(void) {
    CHECK(include_complaint("index/sparse/sparse.c", "engine/model.h"));
    CHECK(include_complaint("engine/base/arena.c", "engine/model.h"));
    CHECK(include_complaint("engine/model.c", "index/index.h"));
    CHECK(include_complaint("ingest/pipeline.c", "query/search.h"));
    CHECK(include_complaint("query/search.c", "ingest/pipeline.h"));
    CHECK(include_complaint("query/search.c", "index/writer.h"));
    CHECK(include_complaint("tools/info.c", "index/writer.h"));
    CHECK(include_complaint("query/server/loop.c", "query/search.h"));
    CHECK(include_complaint("query/search.c", "<uv.h>"));
    CHECK(include_complaint("index/sparse/postings.c", "<lmdb.h>"));
    CHECK(include_complaint("engine/encoder.c", "<cblas.h>"));
    CHECK(include_complaint("engine/hub_pull.c", "<curl/curl.h>"));
    CHECK(include_complaint("index/index.c", "<jansson.h>"));
    CHECK(include_complaint("index/index.c", "store.h"));
    CHECK(include_complaint("index/index.c", "tests/check.h"));
    CHECK(line_complaint("index/index.c", "int x; "));
    CHECK(line_complaint("index/index.c", "\tint x;"));
    CHECK(!include_complaint("index/store/inside.h", "<lmdb.h>"));
    CHECK(!include_complaint("index/index_test.c", "tests/check.h"));
    CHECK(!include_complaint("query/search.c", "index/index.h"));
    CHECK(!include_complaint("ingest/pipeline.c", "index/writer.h"));
    CHECK(!include_complaint("index/index.c", "<string.h>"));
    char included[PATH_BYTES_MAX];
    CHECK(include_of("#include \"a/b.h\"", included));
    CHECK_TEXT(included, "a/b.h");
    CHECK(include_of("#include <uv.h>", included));
    CHECK_TEXT(included, "<uv.h>");
}

int main(void) {
    static const char *const folders[] = {"engine", "index", "ingest", "query", "tools", "tests"};
    const char *root = getenv("TERCET_SOURCE");
    rules_have_teeth();
    CHECK(root);
    for (size_t i = 0; root && i < sizeof folders / sizeof *folders; i++)
        check_folder(root, folders[i]);
    CHECK(files_read > 20);
    return check_result();
}
