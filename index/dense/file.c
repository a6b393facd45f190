#include "index/dense/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "index/dense/rotate.h"
#include "index/store/store.h"

enum {
    HEADER_BYTES = 72,
    FORMAT_VERSION = 2,
    ALIGNMENT = 4096, /* of the body and of each table: a page */
    WRITE_MAX = 1 << 30,
};
static const char MAGIC[8] = {'T', 'E', 'R', 'C', 'E', 'T', 'D', 'L'};

/* ---- where things lie ---- */

struct layout {
    size_t at[DENSE_TABLES_N], entry_bytes[DENSE_TABLES_N], entries_n[DENSE_TABLES_N]; /* in body */
    size_t body_len, body_at; /* in the file */
};

static size_t align(size_t n) {
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct layout layout_of(const struct dense_lists *shape) {
    size_t rows_n = shape->rows_n, lists_n = shape->lists_n, dim = shape->dim;
    struct layout layout = {
        .entry_bytes = {[DENSE_CENTRES] = dim,
                        [DENSE_CENTRE_SCALES] = sizeof(struct dense_centre),
                        [DENSE_BEGINS] = sizeof(uint32_t),
                        [DENSE_DOCIDS] = sizeof(uint32_t),
                        [DENSE_FIRSTS] = sizeof(uint32_t),
                        [DENSE_PLACES] = sizeof(uint32_t),
                        [DENSE_GUESSES] = sizeof(struct dense_guess),
                        [DENSE_SCALES] = sizeof(struct dense_bytes),
                        [DENSE_SIGNS] = dim / 8,
                        [DENSE_BYTES] = dim},
        .entries_n = {[DENSE_CENTRES] = lists_n,
                      [DENSE_CENTRE_SCALES] = lists_n,
                      [DENSE_BEGINS] = lists_n + 1,
                      [DENSE_DOCIDS] = rows_n,
                      [DENSE_FIRSTS] = (size_t)shape->covered_end + 1,
                      [DENSE_PLACES] = rows_n,
                      [DENSE_GUESSES] = rows_n,
                      [DENSE_SCALES] = rows_n,
                      [DENSE_SIGNS] = rows_n,
                      [DENSE_BYTES] = rows_n},
    };
    for (size_t t = 0; t < DENSE_TABLES_N; t++) {
        layout.at[t] = layout.body_len;
        layout.body_len += align(layout.entries_n[t] * layout.entry_bytes[t]);
    }
    layout.body_at = align(HEADER_BYTES + checked_pieces_n(layout.body_len) * sizeof(uint64_t));
    return layout;
}

/* ---- the header ---- */

struct header {
    uint32_t version, dim;
    uint64_t number;
    uint32_t covered_end, rows_n, lists_n, trained_rows_n;
    float breadths[DENSE_BREADTHS_N], row_length;
    uint32_t documents_n;
    uint64_t sums_sum, header_sum; /* of the sums; of all before */
};

/* Little-endian as it lies in memory (store.h asserts the byte order). */
static void header_print(struct header header, uint8_t out[HEADER_BYTES]) {
    _Static_assert(sizeof MAGIC + sizeof header == HEADER_BYTES, "written as it lies in memory");
    memcpy(out, MAGIC, sizeof MAGIC);
    memcpy(out + sizeof MAGIC, &header, sizeof header);
    header.header_sum = XXH3_64bits(out, HEADER_BYTES - sizeof header.header_sum);
    memcpy(out + sizeof MAGIC, &header, sizeof header);
}

static bool header_read(const uint8_t *bytes, size_t len, struct header *out) {
    if (len < HEADER_BYTES || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return false;
    memcpy(out, bytes + sizeof MAGIC, sizeof *out);
    return out->header_sum == XXH3_64bits(bytes, HEADER_BYTES - sizeof out->header_sum);
}

/* ---- reading ---- */

static void point(struct dense_lists *lists, const uint8_t *body, const struct layout *layout) {
    const void *tables[DENSE_TABLES_N];
    for (size_t t = 0; t < DENSE_TABLES_N; t++)
        tables[t] = body + layout->at[t];
    lists->centres = tables[DENSE_CENTRES];
    lists->centre_scales = tables[DENSE_CENTRE_SCALES];
    lists->begins = tables[DENSE_BEGINS];
    lists->docids = tables[DENSE_DOCIDS];
    lists->firsts = tables[DENSE_FIRSTS];
    lists->places = tables[DENSE_PLACES];
    lists->guesses = tables[DENSE_GUESSES];
    lists->scales = tables[DENSE_SCALES];
    lists->signs = tables[DENSE_SIGNS];
    lists->bytes = tables[DENSE_BYTES];
}

/* What every search reads, and goes by as an index. */
static bool small_tables_sound(struct dense_file *file, const struct layout *layout) {
    const struct dense_lists *lists = &file->lists;
    size_t len = layout->at[DENSE_DOCIDS];
    bool sound = checked_map_touch(&file->checked, lists->centres, len) && lists->begins[0] == 0 &&
                 lists->begins[lists->lists_n] == lists->rows_n;
    for (size_t i = 0; sound && i < lists->lists_n; i++)
        sound = lists->begins[i] <= lists->begins[i + 1];
    return sound;
}

static bool open_mapped(const char *path, uint32_t dim, struct index_generation named,
                        struct dense_file *file, struct error *err) {
    const uint8_t *at = file->map.data;
    struct header header;
    if (!header_read(at, file->map.len, &header))
        return error_set(err, ERROR_CORRUPT, "%s: not a dense generation, or its header is damaged",
                         path);
    if (header.version != FORMAT_VERSION || header.dim != dim || header.number != named.number ||
        header.covered_end != named.covered_end || header.rows_n != named.rows_n)
        return error_set(err, ERROR_CORRUPT, "%s: holds another generation than data.mdb names",
                         path);
    struct dense_lists shape = {.dim = dense_rotated_dim(dim),
                                .rows_n = header.rows_n,
                                .lists_n = header.lists_n,
                                .covered_end = header.covered_end,
                                .documents_n = header.documents_n,
                                .row_length = header.row_length};
    memcpy(shape.breadths, header.breadths, sizeof shape.breadths);
    struct layout layout = layout_of(&shape);
    if (shape.lists_n == 0 || shape.documents_n > shape.rows_n ||
        shape.documents_n > shape.covered_end || file->map.len != layout.body_at + layout.body_len)
        return error_set(err, ERROR_CORRUPT, "%s: %zu bytes, the header says otherwise", path,
                         file->map.len);
    size_t sums_len = checked_pieces_n(layout.body_len) * sizeof(uint64_t);
    if (XXH3_64bits(at + HEADER_BYTES, sums_len) != header.sums_sum)
        return error_set(err, ERROR_CORRUPT, "%s: the checksums are damaged", path);
    file->lists = shape;
    file->dim = dim;
    file->trained_rows_n = header.trained_rows_n;
    point(&file->lists, at + layout.body_at, &layout);
    checked_map_init(&file->checked, at + layout.body_at, layout.body_len, at + HEADER_BYTES);
    return small_tables_sound(file, &layout) ||
           error_set(err, ERROR_CORRUPT, "%s: checksum does not match", path);
}

bool dense_file_open(const char *path, uint32_t dim, struct index_generation named,
                     struct dense_file *out, struct error *err) {
    struct dense_file file = {0};
    if (!file_map_open(path, &file.map, err))
        return false;
    if (!open_mapped(path, dim, named, &file, err)) {
        dense_file_close(&file);
        return false;
    }
    *out = file;
    return true;
}

void dense_file_close(struct dense_file *file) {
    checked_map_done(&file->checked);
    file_map_close(&file->map);
    *file = (struct dense_file){0};
}

bool dense_file_is_sound(struct dense_file *file) {
    return checked_map_touch_all(&file->checked);
}

/* ---- writing ---- */

static bool write_at(struct dense_file_writer *writer, const void *bytes, size_t len, size_t at,
                     struct error *err) {
    for (size_t done = 0; done < len;) {
        size_t part = len - done < WRITE_MAX ? len - done : WRITE_MAX;
        ssize_t n = pwrite(writer->fd, (const uint8_t *)bytes + done, part, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set_errno(err, "%s: writing", writer->path);
        done += (size_t)n;
    }
    return true;
}

bool dense_file_create(const char *path, uint32_t dim, uint64_t number,
                       const struct dense_lists *shape, uint32_t trained_rows_n,
                       struct dense_file_writer *out, struct error *err) {
    struct dense_file_writer writer = {
        .fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666),
        .path = mem_strdup(path),
        .dim = dim,
        .trained_rows_n = trained_rows_n,
        .number = number,
        .shape = *shape,
    };
    struct layout layout = layout_of(shape);
    bool ok =
        writer.fd >= 0 && ftruncate(writer.fd, (off_t)(layout.body_at + layout.body_len)) == 0;
    if (!ok) {
        error_set_errno(err, "%s", path);
        dense_file_abandon(&writer);
        return false;
    }
    *out = writer;
    return true;
}

bool dense_file_put(struct dense_file_writer *writer, enum dense_table table, size_t first,
                    size_t n, const void *entries, struct error *err) {
    struct layout layout = layout_of(&writer->shape);
    size_t bytes = layout.entry_bytes[table];
    return write_at(writer, entries, n * bytes, layout.body_at + layout.at[table] + first * bytes,
                    err);
}

bool dense_file_peek(const struct dense_file_writer *writer, struct dense_file *out,
                     struct error *err) {
    struct layout layout = layout_of(&writer->shape);
    struct dense_file file = {.lists = writer->shape, .dim = writer->dim};
    if (!file_map_open(writer->path, &file.map, err))
        return false;
    point(&file.lists, file.map.data + layout.body_at, &layout);
    *out = file;
    return true;
}

/* The sums are taken from the file as the system has it. */
static bool write_sums(struct dense_file_writer *writer, const struct layout *layout,
                       uint64_t *sum_out, struct error *err) {
    struct file_map map;
    if (!file_map_open(writer->path, &map, err))
        return false;
    size_t len = checked_pieces_n(layout->body_len) * sizeof(uint64_t);
    uint8_t *sums = mem_alloc(len, 1);
    checked_map_sum(map.data + layout->body_at, layout->body_len, sums);
    file_map_close(&map);
    *sum_out = XXH3_64bits(sums, len);
    bool ok = write_at(writer, sums, len, HEADER_BYTES, err);
    free(sums);
    return ok;
}

static bool write_header(struct dense_file_writer *writer, const float *breadths, uint64_t sums_sum,
                         struct error *err) {
    uint8_t bytes[HEADER_BYTES];
    struct header header = {
        .version = FORMAT_VERSION,
        .dim = writer->dim,
        .number = writer->number,
        .covered_end = writer->shape.covered_end,
        .rows_n = writer->shape.rows_n,
        .lists_n = writer->shape.lists_n,
        .trained_rows_n = writer->trained_rows_n,
        .documents_n = writer->shape.documents_n,
        .row_length = writer->shape.row_length,
        .sums_sum = sums_sum,
    };
    memcpy(header.breadths, breadths, sizeof header.breadths);
    header_print(header, bytes);
    return write_at(writer, bytes, sizeof bytes, 0, err);
}

bool dense_file_finish(struct dense_file_writer *writer, const float breadths[DENSE_BREADTHS_N],
                       struct error *err) {
    struct layout layout = layout_of(&writer->shape);
    uint64_t sums_sum;
    bool ok = write_sums(writer, &layout, &sums_sum, err) &&
              write_header(writer, breadths, sums_sum, err) &&
              (fsync(writer->fd) == 0 || error_set_errno(err, "%s: fsync", writer->path));
    if (!ok)
        return false;
    close(writer->fd);
    free(writer->path);
    *writer = (struct dense_file_writer){0};
    return true;
}

bool dense_file_place(const char *from, const char *to, struct error *err) {
    struct buf folder = {0};
    if (rename(from, to) != 0)
        return error_set_errno(err, "%s: renaming to %s", from, to);
    buf_append(&folder, to, strlen(to));
    *strrchr(folder.data, '/') = '\0';
    bool ok = file_sync_folder(folder.data, err);
    buf_done(&folder);
    return ok;
}

void dense_file_abandon(struct dense_file_writer *writer) {
    if (!writer->path)
        return;
    if (writer->fd >= 0) {
        close(writer->fd);
        unlink(writer->path);
    }
    free(writer->path);
    *writer = (struct dense_file_writer){0};
}
