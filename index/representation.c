#include "index/representation.h"

#include "engine/base/vec.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/multi/multivector.h"

static bool read_dense(struct snapshot *snapshot, uint32_t docid, struct arena *arena,
                       struct representation *out, struct error *err) {
    uint32_t dim = snapshot->index->settings.dense_dim;
    if (dim == 0)
        return true;
    const void *row = forward_dense_row(snapshot, docid);
    if (!row)
        return store_corrupt(snapshot->txn, TABLE_DENSE, err, "docid %u: no row of %u", docid, dim);
    float *values = ARENA_NEW(arena, float, dim);
    vec_from_f16(row, dim, values);
    out->dense = values;
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
    const void *bytes = dim ? forward_multi_codes(snapshot, docid, &bytes_n) : NULL;
    if (!bytes || multi_max == 0)
        return true;
    if (!multi_codes_open(bytes, bytes_n, dim, &codes, err))
        return error_wrap(err, "docid %u: ", docid);
    uint32_t step = codes.n / multi_max + (codes.n % multi_max > 0), n = 0;
    step = step ? step : 1;
    float *vectors = ARENA_NEW(arena, float, (size_t)(codes.n / step + 1) * dim);
    for (uint32_t row = 0; row < codes.n; row += step)
        multi_decode(&codes, row, vectors + (size_t)n++ * dim);
    out->multi = vectors;
    out->multi_n = n;
    out->multi_step = step;
    return true;
}

bool representation_of(struct snapshot *snapshot, uint32_t docid, uint32_t multi_max,
                       struct arena *arena, struct representation *out, struct error *err) {
    struct representation read = {.multi_step = 1};
    if (!read_dense(snapshot, docid, arena, &read, err) ||
        !read_sparse(snapshot, docid, arena, &read, err) ||
        !read_multi(snapshot, docid, multi_max, arena, &read, err))
        return false;
    *out = read;
    return true;
}
