#include "engine/weights/weights.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "engine/weights/table.h"

void weights_close(struct weights *weights) {
    if (!weights)
        return;
    for (size_t i = 0; i < weights->parts_n; i++)
        weights_close(weights->parts[i]);
    map_done(&weights->by_name);
    arena_done(&weights->arena);
    free(weights);
}

static const struct entry *find_entry(const struct weights *weights, const char *name) {
    const uint32_t *at = map_find(&weights->by_name, name, strlen(name));
    return at ? &weights->entries[*at] : NULL;
}

const struct weights_tensor *weights_find(const struct weights *weights, const char *name) {
    const struct entry *entry = find_entry(weights, name);
    return entry && entry->readable ? &entry->tensor : NULL;
}

size_t weights_count(const struct weights *weights) {
    return weights->n;
}

const char *weights_name(const struct weights *weights, size_t i) {
    return weights->entries[i].name;
}

const char *weights_file(const struct weights *weights, size_t i) {
    return weights->entries[i].where;
}

void weights_attach_scales(struct weights *weights) {
    for (size_t i = 0; i < weights->n; i++) {
        struct entry *entry = &weights->entries[i];
        struct weights_tensor *tensor = &entry->tensor;
        if (tensor->dtype != WEIGHTS_I8)
            continue;
        const char *name = arena_format(&weights->arena, "%s_scale", entry->name);
        const struct weights_tensor *scale = weights_find(weights, name);
        entry->readable = scale && scale->dtype == WEIGHTS_F32 && tensor->rank >= 1 &&
                          scale->rank >= 1 && scale->shape[0] == tensor->shape[0] &&
                          (scale->rank == 1 || (scale->rank == 2 && scale->shape[1] == 1));
        tensor->row_scales = entry->readable ? scale->data : NULL;
    }
}

/* "[8, 16]" into `text`, which holds the longest one of WEIGHTS_RANK_MAX sizes. */
static const char *shape_text(const size_t *shape, size_t rank, char text[128]) {
    size_t len = 0;
    for (size_t i = 0; i < rank; i++)
        len += (size_t)snprintf(text + len, 128 - len, "%s%zu", i ? ", " : "[", shape[i]);
    snprintf(text + len, 128 - len, rank ? "]" : "[]");
    return text;
}

static bool check_shape(const struct entry *entry, size_t rows, size_t columns, struct error *err) {
    const struct weights_tensor *tensor = &entry->tensor;
    bool fits = tensor->rank == 2 && tensor->shape[0] == rows && tensor->shape[1] == columns;
    if (rows == 1 && tensor->rank == 1 && tensor->shape[0] == columns)
        fits = true;
    if (fits)
        return true;
    char expected[128], found[128];
    return error_set(err, ERROR_INVALID, "%s: tensor \"%s\": expected shape %s, found %s",
                     entry->where, entry->name, shape_text((size_t[]){rows, columns}, 2, expected),
                     shape_text(tensor->shape, tensor->rank, found));
}

/* Values [begin, begin + n) of a tensor whose rows are `width` values, begin a row's first. */
static void convert(const struct weights_tensor *tensor, size_t width, size_t begin, size_t n,
                    float *out) {
    const uint8_t *bytes = tensor->data;
    switch (tensor->dtype) {
    case WEIGHTS_F32: memcpy(out, bytes + begin * sizeof *out, n * sizeof *out); break;
    case WEIGHTS_F16: vec_from_f16(bytes + 2 * begin, n, out); break;
    case WEIGHTS_BF16: /* the upper half of an f32 */
        bytes += 2 * begin;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)bytes[2 * i] << 16 | (uint32_t)bytes[2 * i + 1] << 24;
            memcpy(out + i, &bits, sizeof bits);
        }
        break;
    case WEIGHTS_I8:
        bytes += begin;
        for (size_t row = n ? begin / width : 0; n > 0;
             row++, n -= width, out += width, bytes += width) {
            float scale;
            memcpy(&scale, (const uint8_t *)tensor->row_scales + row * sizeof scale, sizeof scale);
            for (size_t i = 0; i < width; i++)
                out[i] = (float)(int8_t)bytes[i] * scale;
        }
        break;
    }
}

/* A vector [n] of int8 has a scale for each element: rows of one value. */
static size_t row_width(const struct weights_tensor *tensor) {
    size_t width = 1;
    for (size_t i = 1; i < tensor->rank; i++)
        width *= tensor->shape[i];
    return width;
}

static bool all_finite(const float *values, size_t n) {
    float sum = 0; /* x * 0 is 0 for a finite x and NaN otherwise */
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += values[i] * 0.0f;
    return sum == 0;
}

static const struct entry *find_readable(const struct weights *weights, const char *name,
                                         size_t rows, size_t columns, struct error *err) {
    const struct entry *entry = find_entry(weights, name);
    if (!entry)
        error_set(err, ERROR_NOT_FOUND, "%s: tensor \"%s\" is missing", weights->where, name);
    else if (!entry->readable)
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: tensor \"%s\" has dtype %s; F32, F16, BF16, and I8 with a "
                  "\"%s_scale\" of F32 [rows, 1] are read",
                  entry->where, name, entry->dtype, name);
    else if (check_shape(entry, rows, columns, err))
        return entry;
    return NULL;
}

static bool refuse_infinite(const struct entry *entry, struct error *err) {
    return error_set(err, ERROR_CORRUPT, "%s: tensor \"%s\" holds a NaN or an infinity",
                     entry->where, entry->name);
}

bool weights_read_f32(const struct weights *weights, const char *name, size_t rows, size_t columns,
                      float *out, struct error *err) {
    const struct entry *entry = find_readable(weights, name, rows, columns, err);
    if (!entry)
        return false;
    if (!out)
        return true;
    convert(&entry->tensor, row_width(&entry->tensor), 0, rows * columns, out);
    return all_finite(out, rows * columns) || refuse_infinite(entry, err);
}

bool weights_rows_open(const struct weights *weights, const char *name, size_t rows, size_t columns,
                       struct weights_rows *out, struct error *err) {
    const struct entry *entry = find_readable(weights, name, rows, columns, err);
    if (!entry)
        return false;
    struct weights_rows found = {entry->tensor, columns};
    float *row = mem_alloc(columns, sizeof *row);
    bool finite = true;
    for (size_t i = 0; finite && columns > 0 && i < rows; i++) { /* [2^53, 0] is a shape, too */
        weights_rows_read(&found, i, row);
        finite = all_finite(row, columns);
    }
    free(row);
    if (!finite)
        return refuse_infinite(entry, err);
    *out = found;
    return true;
}

void weights_rows_read(const struct weights_rows *rows, size_t row, float *out) {
    convert(&rows->tensor, row_width(&rows->tensor), row * rows->columns, rows->columns, out);
}
