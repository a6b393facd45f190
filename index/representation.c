#include "index/representation.h"

#include <math.h>
#include <string.h>

#include "engine/base/vec.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/multi/multivector.h"

/* As long as the rows are on average: the mean of unit vectors is shorter than they. */
static void take_mean(const uint16_t *rows, size_t rows_n, size_t dim, struct arena *arena,
                      float *mean) {
    float *row = ARENA_NEW(arena, float, dim);
    double lengths = 0, square = 0;
    memset(mean, 0, dim * sizeof *mean);
    for (size_t i = 0; i < rows_n; i++) {
        vec_from_f16(rows + i * dim, dim, row);
        lengths += sqrt((double)vec_dot_f32(row, row, dim)) / (double)rows_n;
        for (size_t d = 0; d < dim; d++)
            mean[d] += row[d] / (float)rows_n;
    }
    square = (double)vec_dot_f32(mean, mean, dim);
    for (size_t d = 0; d < dim && square > 0; d++)
        mean[d] *= (float)(lengths / sqrt(square));
}

static bool read_dense(struct snapshot *snapshot, uint32_t docid, struct arena *arena,
                       struct representation *out, struct error *err) {
    uint32_t dim = snapshot->index->settings.dense_dim;
    if (dim == 0)
        return true;
    size_t rows_n;
    const uint16_t *rows = forward_dense_rows(snapshot, docid, &rows_n);
    if (!rows)
        return store_corrupt(snapshot->txn, TABLE_DENSE, err, "docid %u: no row of %u", docid, dim);
    float *mean = ARENA_NEW(arena, float, dim);
    vec_from_f16(rows, dim, mean);
    if (rows_n > 1)
        take_mean(rows, rows_n, dim, arena, mean);
    out->dense = mean;
    return true;
}

static bool read_sparse(struct snapshot *snapshot, uint32_t docid, struct arena *arena,
                        struct representation *out, struct error *err) {
    struct sparse_row row;
    if (snapshot->index->settings.lexical == INDEX_LEXICAL_NONE)
        return true;
    if (!forward_sparse_row(snapshot->txn, docid, &row, err))
        return false;
    uint32_t *ids = ARENA_NEW(arena, uint32_t, row.n);
    float *weights = ARENA_NEW(arena, float, row.n);
    for (size_t i = 0; i < row.n; i++) {
        ids[i] = get_u32(row.ids + 4 * i);
        weights[i] = get_f32(row.weights + 4 * i);
    }
    out->sparse = (struct sparse_vector){.ids = ids, .weights = weights, .n = row.n};
    out->length = row.length;
    return true;
}

static bool read_multi(struct snapshot *snapshot, uint32_t docid, uint32_t multi_max,
                       struct arena *arena, struct representation *out, struct error *err) {
    uint32_t dim = snapshot->index->settings.multi_dim;
    struct multi_codes codes;
    size_t bytes_n;
    const uint8_t *at = dim ? forward_multi_codes(snapshot, docid, &bytes_n) : NULL;
    if (!at || multi_max == 0)
        return true;
    const uint8_t *begin = at, *end = at + bytes_n;
    uint32_t all_n = 0, next = 0, n = 0;
    for (out->passages_n = 0; at < end || at == begin; out->passages_n++, all_n += codes.n)
        if (!multi_codes_next(&at, end, dim, &codes, err))
            return error_wrap(err, "docid %u: ", docid);
    uint32_t step = all_n / multi_max + (all_n % multi_max > 0);
    step = step ? step : 1;
    float *vectors = ARENA_NEW(arena, float, (size_t)(all_n / step + 1) * dim);
    uint32_t before = 0;
    for (at = begin; at < end; before += codes.n) {
        if (!multi_codes_next(&at, end, dim, &codes, err))
            return error_wrap(err, "docid %u: ", docid);
        for (; next < before + codes.n; next += step)
            multi_decode(&codes, next - before, vectors + (size_t)n++ * dim);
    }
    out->multi = vectors;
    out->multi_n = n;
    out->multi_step = step;
    return true;
}

bool representation_of(struct snapshot *snapshot, uint32_t docid, uint32_t multi_max,
                       struct arena *arena, struct representation *out, struct error *err) {
    struct representation read = {.passages_n = 1, .multi_step = 1};
    if (!read_dense(snapshot, docid, arena, &read, err) ||
        !read_sparse(snapshot, docid, arena, &read, err) ||
        !read_multi(snapshot, docid, multi_max, arena, &read, err))
        return false;
    *out = read;
    return true;
}
