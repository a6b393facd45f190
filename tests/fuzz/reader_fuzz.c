/* reader_fuzz - whatever bytes a file to be ingested holds: rows or complaints, and nothing else.
 *
 * Built once for each format (FUZZ_FORMAT, tests/fuzz/meson.build). The first byte of an input
 * chooses options, a bit each; the rest is the file. Beside the sanitizers this checks what
 * ingest/reader.h promises: rows are UTF-8 without NULs with a key and something to say, their
 * fields are an object of JSON, a file has no more rows than bytes, and no more than HELD_BASE +
 * n * HELD_FACTOR bytes of memory are held at once. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ingest/reader.h"
#include "ingest/ready.h"

#ifndef FUZZ_FORMAT
#define FUZZ_FORMAT "jsonl"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Buffers of fixed sizes, the first chunks of arenas, the parser's tables. */
enum { HELD_BASE = 8 << 20 };
/* A frame of zstd that says so may look back so far (ingest/unpack.c). */
enum { HELD_ZSTD = 130 << 20 };
/* In JSON the costliest byte is an empty object: 72 bytes, and as much again in the row's copy. */
enum { HELD_FACTOR = 256 };

static size_t held, held_max;

static void note_malloc(const volatile void *block, size_t size) {
    (void)block;
    held += size;
    held_max = held > held_max ? held : held_max;
}

/* Present where the program is built with AddressSanitizer. */
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *block);
__attribute__((weak)) int
__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                          void (*free_hook)(const volatile void *));

static void note_free(const volatile void *block) {
    held -= block ? __sanitizer_get_allocated_size(block) : 0;
}

/* Representations of the row's own, for an index that may want them. */
static void use_ready(const struct ready *ready) {
    const struct index_settings kinds[] = {
        {.dense_dim = 2, .multi_dim = 2, .lexical = INDEX_LEXICAL_BM25, .analyzer = "words:en"},
        {.dense_dim = 2, .lexical = INDEX_LEXICAL_LEARNED, .analyzer = "head"},
        {.dense_dim = 2, .multi_dim = 2, .analyzer = "model", .chunk_tokens = 8},
    };
    struct arena arena = {0};
    struct error err;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct encoding encoding;
        if (!ready_encoding(ready, &kinds[i], &arena, &encoding, &err)) {
            assert(err.code == ERROR_INVALID && err.message[0]);
            continue;
        }
        const struct record_passage *passages = ready_passages(ready, &arena);
        for (size_t p = 0; p < ready->passages_n; p++)
            assert(passages[p].begin < passages[p].end);
        for (size_t t = 0; t < encoding.lexical.n; t++)
            assert(encoding.lexical.terms[t].weight > 0);
    }
    assert(ready_hash(ready, 1) == ready_hash(ready, 1) && ready_bytes(ready) < 1 << 30);
    arena_done(&arena);
}

static void use_row(const struct row *row) {
    struct error err;
    bool ok = row_check(row, &err) && row_text_check(row->key, row->key_len, "key", &err) &&
              row_text_check(row->title, row->title_len, "title", &err) &&
              row_text_check(row->text, row->text_len, "text", &err);
    assert(ok);
    assert(row->text[row->text_len] == '\0' && row->title[row->title_len] == '\0');
    if (row->fields_len) {
        struct json *fields = json_parse(row->fields, row->fields_len, &err);
        assert(json_kind_of(fields) == JSON_KIND_OBJECT);
        json_release(fields);
    }
    row_hash(row);
    if (row->ready)
        use_ready(row->ready);
}

static void read_all(const char *path, size_t size, const struct reader_options *options) {
    struct arena arena = {0};
    struct reader *reader = NULL;
    struct row row;
    struct error err;
    size_t rows = 0;
    bool ok = reader_open_with(&path, 1, options, &reader, &err);
    assert(ok);
    for (;;) {
        enum reader_state state = reader_next(reader, &arena, &row, &err);
        if (state == READER_END)
            break;
        rows++;
        assert(rows <= size + 1 && row.file && row.key);
        if (state == READER_ROW)
            use_row(&row);
        else
            assert(err.message[0]);
        arena_reset(&arena);
    }
    reader_close(reader);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const fields[] = {"a", "year", "lang"};
    static char path[64];
    static int file = -1;
    if (size == 0)
        return 0;
    if (file < 0) {
        if (__sanitizer_install_malloc_and_free_hooks)
            __sanitizer_install_malloc_and_free_hooks(note_malloc, note_free);
        file = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    bool written =
        ftruncate(file, 0) == 0 && pwrite(file, data + 1, size - 1, 0) == (ssize_t)(size - 1);
    if (!written)
        abort();
    const struct reader_options options = {
        .format = FUZZ_FORMAT,
        .encoding = data[0] & 1 ? "shift_jis" : NULL,
        .columns = data[0] & 2 ? "id,text,a" : NULL,
        .names = {.id = data[0] & 4 ? ROW_ID_BY_LINE : NULL,
                  .fields = data[0] & 8 ? fields : NULL,
                  .fields_n = data[0] & 8 ? 3 : 0},
    };
    bool zstd = memmem(data, size, "\x28\xb5\x2f\xfd", 4);
    size_t before = held_max = held, allowed = HELD_BASE + size * HELD_FACTOR;
    allowed += zstd ? HELD_ZSTD : 0;
    read_all(path, size, &options);
    if (held_max - before > allowed) {
        fprintf(stderr, "an input of %zu bytes held %zu bytes of memory\n", size,
                held_max - before);
        abort();
    }
    return 0;
}
