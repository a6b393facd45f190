#include "ingest/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"

enum { READ_BYTES = 256 << 10 };

struct source {
    struct unpack *unpack;
    char *path;
    struct buf line;
    size_t line_number;
    char *bytes;             /* [READ_BYTES] as they come out of the file */
    struct charset *charset; /* of UTF-16 and UTF-32; NULL: the bytes are the text */
    struct buf converted;
    const char *chunk; /* text that was not taken yet */
    size_t chunk_len;
    uint64_t offset; /* of the text behind what was taken */
    bool begun, at_end;
};

bool source_open(const char *path, struct source **out, struct error *err) {
    struct unpack *unpack;
    if (!unpack_open(path, &unpack, err))
        return false;
    struct source *source = mem_zalloc(1, sizeof *source);
    source->unpack = unpack;
    source->path = mem_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    source->bytes = mem_alloc(READ_BYTES, 1);
    *out = source;
    return true;
}

void source_close(struct source *source) {
    if (!source)
        return;
    unpack_close(source->unpack);
    charset_close(source->charset);
    buf_done(&source->converted);
    buf_done(&source->line);
    free(source->bytes);
    free(source->path);
    free(source);
}

void source_on_waiting(struct source *source, struct unpack_waiting waiting) {
    unpack_on_waiting(source->unpack, waiting);
}

const char *source_name(const struct source *source) {
    return source->path;
}

static bool read_bytes(struct source *source, char *out, size_t max, size_t *n_out,
                       struct error *err) {
    return unpack_read(source->unpack, out, max, n_out, err) || error_wrap(err, "cannot read on: ");
}

static bool at_line(const struct source *source, struct error *err) {
    return error_wrap(err, "%s:%zu: ", source->path, source->line_number + 1);
}

/* The first bytes, enough of them to tell what the text is; a pipe may give them one by one. */
static bool read_first(struct source *source, size_t *n_out, struct error *err) {
    enum { TELLING_BYTES = 4 };
    size_t n, mark;
    for (*n_out = 0; *n_out < TELLING_BYTES; *n_out += n) {
        if (!read_bytes(source, source->bytes + *n_out, READ_BYTES - *n_out, &n, err))
            return false;
        if (n == 0)
            break;
    }
    const char *wide = charset_detect(source->bytes, *n_out, &mark);
    if (wide)
        source->charset = charset_open(wide);
    *n_out -= mark;
    memmove(source->bytes, source->bytes + mark, *n_out);
    source->begun = true;
    return true;
}

/* Refills the chunk; false at the end (at_end) or on an error (err, *failed). */
static bool refill(struct source *source, bool *failed, struct error *err) {
    size_t n = 0;
    *failed = false;
    source->chunk_len = 0;
    while (!source->at_end && source->chunk_len == 0) {
        bool marked_only = !source->begun;
        *failed = !(source->begun ? read_bytes(source, source->bytes, READ_BYTES, &n, err)
                                  : read_first(source, &n, err));
        n = *failed ? 0 : n;
        source->at_end = *failed || (n == 0 && !marked_only);
        source->chunk = source->bytes;
        source->chunk_len = n;
        if (!source->charset)
            continue;
        buf_clear(&source->converted);
        if (source->at_end)
            charset_end(source->charset, &source->converted);
        else
            charset_feed(source->charset, source->bytes, n, &source->converted);
        source->chunk = source->converted.data;
        source->chunk_len = source->converted.len;
    }
    return !*failed && source->chunk_len > 0;
}

/* Appends up to the next line end; true when one was found. */
static bool take_line(struct source *source, bool *too_long) {
    const char *stop = memchr(source->chunk, '\n', source->chunk_len);
    size_t n = stop ? (size_t)(stop - source->chunk) : source->chunk_len;
    size_t taken = n + (stop != NULL);
    if (!*too_long && source->line.len + n > SOURCE_LINE_BYTES_MAX)
        *too_long = true;
    if (!*too_long)
        buf_append(&source->line, source->chunk, n);
    source->chunk += taken;
    source->chunk_len -= taken;
    source->offset += taken;
    return stop != NULL;
}

enum source_state source_next(struct source *source, char **line_out, size_t *len_out,
                              struct error *err) {
    bool too_long = false, found = false, failed = false, any = false;
    buf_clear(&source->line);
    while (!found) {
        if (source->chunk_len == 0 && !refill(source, &failed, err))
            break;
        any = true;
        found = take_line(source, &too_long);
    }
    if (failed) {
        at_line(source, err);
        return SOURCE_FAILED;
    }
    if (!any)
        return SOURCE_END;
    source->line_number++;
    if (too_long) {
        error_set(err, ERROR_LIMIT, "%s:%zu: a line of more than %d bytes; it was left out",
                  source->path, source->line_number, SOURCE_LINE_BYTES_MAX);
        return SOURCE_BAD;
    }
    buf_append(&source->line, "", 0); /* a NUL behind an empty line, too */
    size_t len = source->line.len;
    if (len > 0 && source->line.data[len - 1] == '\r')
        source->line.data[--len] = '\0';
    *line_out = source->line.data;
    *len_out = len;
    return SOURCE_LINE;
}

bool source_rest(struct source *source, char **text_out, size_t *len_out, struct error *err) {
    bool failed = false;
    buf_clear(&source->line);
    buf_append(&source->line, "", 0);
    while (source->chunk_len || refill(source, &failed, err)) {
        if (source->line.len + source->chunk_len > SOURCE_LINE_BYTES_MAX)
            return error_set(err, ERROR_LIMIT, "%s: more than %d bytes; it was left out",
                             source->path, SOURCE_LINE_BYTES_MAX);
        buf_append(&source->line, source->chunk, source->chunk_len);
        source->offset += source->chunk_len;
        source->chunk_len = 0;
    }
    if (failed)
        return error_wrap(err, "%s: ", source->path);
    *text_out = source->line.data;
    *len_out = source->line.len;
    return true;
}

enum source_state source_more(struct source *source, struct buf *out, struct error *err) {
    bool failed = false;
    if (source->chunk_len == 0 && !refill(source, &failed, err))
        return failed ? SOURCE_FAILED : SOURCE_END;
    buf_append(out, source->chunk, source->chunk_len);
    source->offset += source->chunk_len;
    source->chunk_len = 0;
    return SOURCE_LINE;
}

static bool write_all(int file, const char *bytes, size_t len) {
    while (len) {
        ssize_t n = write(file, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool source_save(struct source *source, int file, uint64_t bytes_max, struct error *err) {
    uint64_t written = 0;
    for (;;) {
        size_t n;
        if (!read_bytes(source, source->bytes, READ_BYTES, &n, err))
            return error_wrap(err, "%s: ", source->path);
        if (n == 0)
            return true;
        written += n;
        if (written > bytes_max)
            return error_set(err, ERROR_LIMIT, "%s: more than %llu MiB; it was left out",
                             source->path, (unsigned long long)(bytes_max >> 20));
        if (!write_all(file, source->bytes, n))
            return error_set_errno(err, "%s: cannot be copied to a temporary file", source->path);
    }
}

uint64_t source_offset(const struct source *source) {
    return source->offset;
}

static void pass_over(struct source *source, uint64_t bytes) {
    uint64_t n = bytes < source->chunk_len ? bytes : source->chunk_len;
    source->chunk += n;
    source->chunk_len -= (size_t)n;
    source->offset += n;
}

bool source_seek(struct source *source, uint64_t offset, size_t line_number, struct error *err) {
    bool failed = false;
    while (source->offset < offset) {
        if (source->chunk_len == 0 && source->begun && !source->charset) {
            uint64_t skipped;
            if (!unpack_skip(source->unpack, offset - source->offset, &skipped, err))
                return error_wrap(err, "%s: ", source->path);
            source->offset += skipped;
        }
        if (source->offset < offset && source->chunk_len == 0 && !refill(source, &failed, err))
            return failed
                       ? error_wrap(err, "%s: ", source->path)
                       : error_set(err, ERROR_INVALID, "%s: it has become shorter", source->path);
        if (source->offset < offset)
            pass_over(source, offset - source->offset);
    }
    source->line_number = line_number;
    return true;
}

size_t source_line_number(const struct source *source) {
    return source->line_number;
}

uint64_t source_bytes_read(const struct source *source) {
    return unpack_bytes_read(source->unpack);
}
