#include "ingest/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

enum { READ_BYTES = 256 << 10 };

struct source {
    gzFile file;
    char *path;
    struct buf line;
    size_t line_number;
    char *chunk; /* [READ_BYTES] */
    size_t chunk_at, chunk_len;
    bool begun, at_end;
};

bool source_open(const char *path, struct source **out, struct error *err) {
    bool standard = strcmp(path, "-") == 0;
    gzFile file = standard ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
    if (!file)
        return error_set_errno(err, "%s", path);
    struct source *source = mem_zalloc(1, sizeof *source);
    source->file = file;
    source->path = mem_strdup(standard ? "standard input" : path);
    source->chunk = mem_alloc(READ_BYTES, 1);
    *out = source;
    return true;
}

void source_close(struct source *source) {
    if (!source)
        return;
    gzclose(source->file);
    buf_done(&source->line);
    free(source->chunk);
    free(source->path);
    free(source);
}

/* Fills err when a read went wrong. */
static bool read_failed(const struct source *source, int n, struct error *err) {
    int code;
    const char *why = gzerror(source->file, &code);
    size_t line = source->line_number + 1;
    if (n == 0 && code == Z_BUF_ERROR) /* zlib's word for a stream that was cut off */
        return !error_set(err, ERROR_CORRUPT, "%s:%zu: cannot read on: the file is cut off",
                          source->path, line);
    if (n >= 0)
        return false;
    if (code != Z_ERRNO)
        return !error_set(err, ERROR_CORRUPT, "%s:%zu: cannot read on: %s", source->path, line,
                          why);
    /* EINTR comes from a pipe or a terminal only. zlib loses what it had read, so going on would
     * lose rows; whoever sent the signal wants an end anyway. */
    return !error_set(err, errno == EINTR ? ERROR_STOPPED : ERROR_IO, "%s:%zu: cannot read on: %s",
                      source->path, line, strerror(errno));
}

/* UTF-16 would make every line a bad one; it is refused as a whole, by its name. */
static bool is_utf16(const struct source *source) {
    return source->chunk_len >= 2 &&
           (memcmp(source->chunk, "\xff\xfe", 2) == 0 || memcmp(source->chunk, "\xfe\xff", 2) == 0);
}

/* Refills the chunk; false at the end (at_end) or on an error (err). */
static bool refill(struct source *source, bool *failed, struct error *err) {
    *failed = false;
    if (source->at_end)
        return false;
    int n = gzread(source->file, source->chunk, READ_BYTES);
    *failed = read_failed(source, n, err);
    source->at_end = n <= 0;
    if (n <= 0)
        return false;
    source->chunk_at = 0;
    source->chunk_len = (size_t)n;
    if (!source->begun && is_utf16(source)) {
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8", source->path);
        source->chunk_len = 0;
        source->at_end = *failed = true;
    }
    source->begun = true;
    return !*failed;
}

/* Appends up to the next line end; true when one was found. */
static bool take_line(struct source *source, bool *too_long) {
    const char *from = source->chunk + source->chunk_at;
    size_t left = source->chunk_len - source->chunk_at;
    const char *stop = memchr(from, '\n', left);
    size_t n = stop ? (size_t)(stop - from) : left;
    if (!*too_long && source->line.len + n > SOURCE_LINE_BYTES_MAX)
        *too_long = true;
    if (!*too_long)
        buf_append(&source->line, from, n);
    source->chunk_at += n + (stop != NULL);
    return stop != NULL;
}

enum source_state source_next(struct source *source, char **line_out, size_t *len_out,
                              struct error *err) {
    bool too_long = false, found = false, failed = false, any = false;
    buf_clear(&source->line);
    while (!found) {
        if (source->chunk_at == source->chunk_len && !refill(source, &failed, err))
            break;
        any = true;
        found = take_line(source, &too_long);
    }
    if (failed)
        return SOURCE_FAILED;
    if (!any)
        return SOURCE_END;
    source->line_number++;
    if (too_long) {
        error_set(err, ERROR_LIMIT, "%s:%zu: a line of more than %d bytes; it was left out",
                  source->path, source->line_number, SOURCE_LINE_BYTES_MAX);
        return SOURCE_BAD;
    }
    buf_append(&source->line, "", 0); /* a NUL behind an empty line, too */
    char *line = source->line.data;
    size_t len = source->line.len;
    if (source->line_number == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    if (len > 0 && line[len - 1] == '\r')
        line[--len] = '\0';
    *line_out = line;
    *len_out = len;
    return SOURCE_LINE;
}

bool source_rest(struct source *source, char **text_out, size_t *len_out, struct error *err) {
    bool failed = false;
    buf_clear(&source->line);
    buf_append(&source->line, "", 0);
    while (refill(source, &failed, err)) {
        if (source->line.len + source->chunk_len > SOURCE_LINE_BYTES_MAX)
            return error_set(err, ERROR_LIMIT, "%s: more than %d bytes; it was left out",
                             source->path, SOURCE_LINE_BYTES_MAX);
        buf_append(&source->line, source->chunk, source->chunk_len);
    }
    if (failed)
        return false;
    size_t mark =
        source->line.len >= 3 && memcmp(source->line.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *text_out = source->line.data + mark;
    *len_out = source->line.len - mark;
    return true;
}

size_t source_line_number(const struct source *source) {
    return source->line_number;
}

uint64_t source_bytes_read(const struct source *source) {
    z_off_t offset = gzoffset(source->file);
    return offset > 0 ? (uint64_t)offset : 0;
}
