/* fixture.h - what the readers' tests share: a folder of files, and what a reader makes of them. */
#ifndef TERCET_INGEST_FIXTURE_H
#define TERCET_INGEST_FIXTURE_H

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/base/mem.h"
#include "ingest/reader.h"
#include "tests/check.h"

static char folder[64];

static inline void folder_make(void) {
    strcpy(folder, "/tmp/tercet-ingest-XXXXXX");
    CHECK(mkdtemp(folder));
}

static inline void folder_remove(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQUAL(system(command), 0);
}

static inline const char *path_of(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void write_file(const char *name, const char *bytes, size_t len) {
    FILE *out = fopen(path_of(name), "w");
    CHECK(out && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
}

static inline void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static inline void write_gzip(const char *name, const char *text, size_t len) {
    gzFile out = gzopen(path_of(name), "wb");
    CHECK(out && gzwrite(out, text, (unsigned)len) == (int)len && gzclose(out) == Z_OK);
}

static inline void write_zstd(const char *name, const char *text, size_t len) {
    size_t room = ZSTD_compressBound(len);
    char *packed = mem_alloc(room, 1);
    size_t packed_len = ZSTD_compress(packed, room, text, len, 3);
    CHECK(!ZSTD_isError(packed_len));
    write_file(name, packed, packed_len);
    free(packed);
}

static inline struct reader *open_one_with(const char *name, const struct reader_options *options) {
    const char *path = path_of(name);
    struct reader *reader = NULL;
    struct error err;
    CHECK_OK(reader_open_with(&path, 1, options, &reader, &err), err);
    return reader;
}

static inline struct reader *open_one(const char *name) {
    return open_one_with(name, NULL);
}

/* Every row's key, and "!" for every bad one, in order: "a b ! c". */
static inline void keys_of(struct reader *reader, char *out, size_t out_size,
                           struct error *last_err) {
    struct arena arena = {0};
    struct row row;
    out[0] = '\0';
    for (;;) {
        enum reader_state state = reader_next(reader, &arena, &row, last_err);
        if (state == READER_END)
            break;
        size_t at = strlen(out);
        snprintf(out + at, out_size - at, "%s%s", at ? " " : "",
                 state == READER_ROW ? row.key : "!");
    }
    arena_done(&arena);
    reader_close(reader);
}

/* The one row that a file of this text gives. False, and a failed check, when it is bad. */
static inline bool one_row(const char *name, const char *bytes, size_t len,
                           const struct reader_options *options, struct arena *arena,
                           struct row *out) {
    struct error err = {0};
    write_file(name, bytes, len);
    struct reader *reader = open_one_with(name, options);
    bool ok = reader && reader_next(reader, arena, out, &err) == READER_ROW;
    CHECK(ok);
    if (!ok)
        fprintf(stderr, "  %s\n", err.message);
    reader_close(reader);
    return ok;
}

/* What is said about a file whose first row is bad. "" when it is not. */
static inline const char *complaint_about(const char *name, const char *bytes, size_t len,
                                          const struct reader_options *options) {
    static struct error err;
    struct arena arena = {0};
    struct row row;
    write_file(name, bytes, len);
    struct reader *reader = open_one_with(name, options);
    bool bad = reader && reader_next(reader, &arena, &row, &err) == READER_BAD;
    CHECK(bad);
    reader_close(reader);
    arena_done(&arena);
    return bad ? err.message : "";
}

#endif
