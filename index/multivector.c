#include "index/multivector.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "index/dense_store.h"
#include "index/index.h"

enum {
    HEADER_BYTES = 8,
    CODE_MAX = 15,
    /* Scales of a document decoded at a time: they stay on the stack. */
    SCALES_IN_HAND = 64,
};

static const float CODE_MIDDLE = 7.5f;
static const float HALF_MAX = 65504.0f; /* the largest finite f16 */

/* What part of the largest magnitude becomes the outermost level. Clipping a few large values buys
 * finer steps for all others; the best part depends on the vector, so each is tried. Measured over
 * random unit vectors of 384 dimensions: mean cosine 0.99479 with the best of these, 0.99309 with
 * 1 alone. */
static const float CLIPS[] = {1.0f, 0.93f, 0.87f, 0.81f, 0.75f, 0.69f, 0.63f};
enum { CLIPS_N = sizeof CLIPS / sizeof *CLIPS };

static size_t row_bytes_of(uint32_t dim) {
    return ((size_t)dim + 1) / 2;
}

/* The format is little-endian whatever the machine is. */
static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void write_u32(uint8_t *at, uint32_t value) {
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

size_t multi_codes_bytes(uint32_t dim, uint32_t n) {
    return HEADER_BYTES + (size_t)n * (2 + row_bytes_of(dim));
}

/* ---- encoding: one kind only, so that a vector gives the same bytes on every machine ---- */

/* Four numbers in a register that every machine has; compilers do not find these by themselves. */
typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

/* The level that each number falls into: 0 .. CODE_MAX, as a whole float. */
static inline float4 levels_of(float4 numbers, float inverse) {
    const float4 most = {CODE_MAX, CODE_MAX, CODE_MAX, CODE_MAX};
    float4 levels = numbers * inverse + (CODE_MIDDLE + 0.5f);
    levels = (float4)((int4)levels & (levels > 0));
    int4 fits = levels < most;
    levels = (float4)(((int4)levels & fits) | ((int4)most & ~fits));
    return __builtin_convertvector(__builtin_convertvector(levels, int4), float4);
}

/* vector: [padded], a multiple of 4, 0 beyond dim. The squared error of a scale (at most three
 * zeros counted in: a hair's preference for finer steps where dim is no multiple of 4). */
static float error_of(const float *vector, size_t padded, float scale) {
    float inverse = 1 / scale;
    float4 sums = {0};
    for (size_t i = 0; i < padded; i += 4) {
        float4 numbers;
        memcpy(&numbers, vector + i, sizeof numbers);
        float4 errors = numbers - scale * (levels_of(numbers, inverse) - CODE_MIDDLE);
        sums += errors * errors;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* The value that f16 will give back. */
static float scale_as_stored(float scale) {
    uint16_t half;
    scale = scale > HALF_MAX ? HALF_MAX : scale;
    vec_to_f16(&scale, 1, &half);
    vec_from_f16(&half, 1, &scale);
    return scale;
}

/* vector: [padded]; codes_out: [padded], a byte each. The scale comes back, exact in f16. */
static float encode_vector(const float *vector, size_t padded, uint8_t *codes_out) {
    float largest = 0, best_scale = 0, best_error = 0;
    for (size_t i = 0; i < padded; i++)
        largest = fabsf(vector[i]) > largest ? fabsf(vector[i]) : largest;
    for (size_t c = 0; c < CLIPS_N; c++) {
        float scale = scale_as_stored(CLIPS[c] * largest / CODE_MIDDLE);
        if (!(scale > 0)) /* a vector of zeros, or too small for f16: scale 0 makes it zeros */
            break;
        float error = error_of(vector, padded, scale);
        if (c == 0 || error < best_error) {
            best_error = error;
            best_scale = scale;
        }
    }
    float inverse = best_scale > 0 ? 1 / best_scale : 0;
    for (size_t i = 0; i < padded; i += 4) {
        float4 numbers;
        memcpy(&numbers, vector + i, sizeof numbers);
        float4 levels = levels_of(numbers, inverse);
        for (size_t j = 0; j < 4; j++)
            codes_out[i + j] = (uint8_t)levels[j];
    }
    return best_scale;
}

void multi_encode(const float *vectors, uint32_t n, uint32_t dim, void *codes_out) {
    assert(dim >= 1 && dim <= MULTI_DIM_MAX);
    size_t row_bytes = row_bytes_of(dim), padded = ((size_t)dim + 3) / 4 * 4;
    float vector[MULTI_DIM_MAX];
    uint8_t *out = codes_out, codes[MULTI_DIM_MAX];
    write_u32(out, n);
    write_u32(out + 4, dim);
    uint8_t *scales = out + HEADER_BYTES, *rows = scales + 2 * (size_t)n;
    memset(vector, 0, padded * sizeof *vector);
    for (size_t v = 0; v < n; v++) {
        uint16_t half;
        memcpy(vector, vectors + v * dim, dim * sizeof *vector);
        float scale = encode_vector(vector, padded, codes);
        vec_to_f16(&scale, 1, &half);
        scales[2 * v] = (uint8_t)half;
        scales[2 * v + 1] = (uint8_t)(half >> 8);
        if (dim % 2 == 1)
            codes[dim] = 0;
        for (size_t i = 0; i < row_bytes; i++)
            rows[v * row_bytes + i] = (uint8_t)(codes[i] | codes[row_bytes + i] << 4);
    }
}

/* ---- reading ---- */

static float scale_at(const struct multi_codes *codes, size_t row) {
    uint16_t half = (uint16_t)(codes->scales[2 * row] | codes->scales[2 * row + 1] << 8);
    float scale;
    vec_from_f16(&half, 1, &scale);
    return scale;
}

bool multi_codes_open(const void *bytes, size_t bytes_len, uint32_t dim, struct multi_codes *out,
                      struct error *err) {
    const uint8_t *at = bytes;
    if (bytes_len < HEADER_BYTES)
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: %zu bytes, the header needs %d",
                         bytes_len, HEADER_BYTES);
    struct multi_codes codes = {.n = read_u32(at), .dim = read_u32(at + 4)};
    if (codes.dim != dim || dim == 0 || dim > MULTI_DIM_MAX)
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: %u dimensions, the index has %u",
                         codes.dim, dim);
    if (bytes_len != multi_codes_bytes(dim, codes.n))
        return error_set(err, ERROR_CORRUPT,
                         "multi-vector codes: %zu bytes, %u vectors of %u dimensions take %zu",
                         bytes_len, codes.n, dim, multi_codes_bytes(dim, codes.n));
    codes.row_bytes = row_bytes_of(dim);
    codes.scales = at + HEADER_BYTES;
    codes.rows = codes.scales + 2 * (size_t)codes.n;
    for (size_t v = 0; v < codes.n; v++)
        if (codes.scales[2 * v + 1] >= 0x7c) /* infinity, NaN, or below 0 */
            return error_set(err, ERROR_CORRUPT, "multi-vector codes: scale of vector %zu", v);
    *out = codes;
    return true;
}

void multi_decode(const struct multi_codes *codes, uint32_t row, float *out) {
    assert(row < codes->n);
    const uint8_t *bytes = codes->rows + row * codes->row_bytes;
    float scale = scale_at(codes, row);
    for (size_t i = 0; i < codes->row_bytes; i++)
        out[i] = scale * ((float)(bytes[i] & CODE_MAX) - CODE_MIDDLE);
    for (size_t i = codes->row_bytes; i < codes->dim; i++)
        out[i] = scale * ((float)(bytes[i - codes->row_bytes] >> 4) - CODE_MIDDLE);
}

/* ---- the query ---- */

/* One vector as int8 into its lane; lane: [steps_n, VEC_U4_LANES, 4] from its first byte on. The
 * sum of the values comes back; *scale_out is what one unit of (value x (2 code - 15)) is worth. */
static int32_t query_lane(const float *vector, uint32_t dim, int8_t *lane, float *scale_out) {
    float largest = 0;
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++)
        largest = fabsf(vector[i]) > largest ? fabsf(vector[i]) : largest;
    float inverse = largest > 0 ? 127 / largest : 0;
    if (!isfinite(inverse)) /* all but 0: the products are 0 */
        largest = inverse = 0;
    for (size_t i = 0; i < dim; i++) {
        int value = (int)lrintf(vector[i] * inverse);
        value = value > 127 ? 127 : value < -127 ? -127 : value;
        lane[i / 4 * VEC_U4_LANES * 4 + i % 4] = (int8_t)value;
        sum += value;
    }
    *scale_out = largest / 127 * 0.5f; /* codes are counted in halves of a level */
    return sum;
}

bool multi_query_init(struct multi_query *query, const float *vectors, size_t n, uint32_t dim,
                      struct arena *arena, struct error *err) {
    assert(dim >= 1 && dim <= MULTI_DIM_MAX);
    if (n > MULTI_QUERY_MAX)
        return error_set(err, ERROR_LIMIT, "query: %zu vectors, at most %d are compared", n,
                         MULTI_QUERY_MAX);
    for (size_t i = 0; i < n * dim; i++)
        if (!isfinite(vectors[i]))
            return error_set(err, ERROR_INVALID, "query vector %zu, dimension %zu: not finite",
                             i / dim, i % dim);
    size_t groups_n = (n + VEC_U4_LANES - 1) / VEC_U4_LANES;
    size_t steps_n = (2 * row_bytes_of(dim) + 3) / 4;
    size_t group_bytes = steps_n * VEC_U4_LANES * 4;
    int8_t *values = ARENA_ZERO(arena, int8_t, groups_n * group_bytes);
    int32_t *offsets = ARENA_ZERO(arena, int32_t, groups_n * VEC_U4_LANES);
    *query = (struct multi_query){
        .u4 = {values, offsets, groups_n, steps_n},
        .scales = ARENA_NEW(arena, float, n),
        .best = ARENA_NEW(arena, float, groups_n *VEC_U4_LANES),
        .n = n,
        .dim = dim,
    };
    for (size_t q = 0; q < n; q++) {
        int8_t *lane = values + q / VEC_U4_LANES * group_bytes + q % VEC_U4_LANES * 4;
        offsets[q] = CODE_MAX * query_lane(vectors + q * dim, dim, lane, &query->scales[q]);
    }
    return true;
}

/* ---- MaxSim ---- */

/* query->best: for each query vector the best of rows [begin, end), still without its scale. */
static void best_of_rows(struct multi_query *query, const struct multi_codes *codes, size_t begin,
                         size_t end) {
    for (size_t i = 0; i < query->u4.groups_n * VEC_U4_LANES; i++)
        query->best[i] = -INFINITY;
    while (begin < end) {
        float scales[SCALES_IN_HAND];
        size_t n = end - begin < SCALES_IN_HAND ? end - begin : SCALES_IN_HAND;
        for (size_t i = 0; i < n; i++)
            scales[i] = scale_at(codes, begin + i);
        vec_u4_best(&query->u4, codes->rows + begin * codes->row_bytes, codes->row_bytes, scales, n,
                    query->best);
        begin += n;
    }
}

/* The mean of products: [n]. In this order everywhere, so that an explanation adds up. */
static float mean_of(const float *products, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += products[i];
    return sum / (float)n;
}

float multi_maxsim(struct multi_query *query, const struct multi_codes *codes) {
    assert(query->dim == codes->dim);
    if (query->n == 0 || codes->n == 0)
        return 0;
    best_of_rows(query, codes, 0, codes->n);
    for (size_t q = 0; q < query->n; q++)
        query->best[q] *= query->scales[q];
    return mean_of(query->best, query->n);
}

void multi_best(struct multi_query *query, const struct multi_codes *codes, uint32_t *best_out,
                float *products_out) {
    assert(query->dim == codes->dim);
    for (size_t q = 0; q < query->n; q++) {
        best_out[q] = 0;
        products_out[q] = codes->n ? -INFINITY : 0;
    }
    for (uint32_t row = 0; row < codes->n; row++) {
        best_of_rows(query, codes, row, (size_t)row + 1);
        for (size_t q = 0; q < query->n; q++)
            if (query->best[q] > products_out[q]) {
                products_out[q] = query->best[q];
                best_out[q] = row;
            }
    }
    for (size_t q = 0; q < query->n && codes->n; q++)
        products_out[q] *= query->scales[q];
}

/* ---- over a snapshot (index.h) ---- */

/* The codes of a docid; n 0 when it has none. */
static bool codes_of(struct snapshot *snapshot, uint32_t docid, uint32_t dim,
                     struct multi_codes *out, struct error *err) {
    size_t bytes_len;
    const void *bytes = forward_multi_codes(snapshot, docid, &bytes_len);
    if (!bytes) {
        *out = (struct multi_codes){.dim = dim};
        return true;
    }
    return multi_codes_open(bytes, bytes_len, dim, out, err) ||
           error_wrap(err, "docid %u: ", docid);
}

static bool query_of(struct snapshot *snapshot, const float *vectors, size_t n, struct arena *arena,
                     struct multi_query *out, struct error *err) {
    const struct index_settings *settings = index_settings_of(snapshot_index(snapshot));
    if (settings->multi_dim == 0)
        return error_set(err, ERROR_INVALID, "this index holds no multi-vectors");
    if (settings->multi_dim > MULTI_DIM_MAX)
        return error_set(err, ERROR_LIMIT, "multi-vectors of %u dimensions, at most %d",
                         settings->multi_dim, MULTI_DIM_MAX);
    return multi_query_init(out, vectors, n, settings->multi_dim, arena, err);
}

bool multi_score(struct snapshot *snapshot, const float *query, size_t query_n,
                 const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                 struct error *err) {
    struct multi_query ready;
    struct multi_codes codes;
    if (!query_of(snapshot, query, query_n, arena, &ready, err))
        return false;
    float *scores = ARENA_NEW(arena, float, n); /* scores_out stays untouched on failure */
    for (size_t i = 0; i < n; i++) {
        if (!codes_of(snapshot, docids[i], ready.dim, &codes, err))
            return false;
        scores[i] = multi_maxsim(&ready, &codes);
    }
    if (n > 0)
        memcpy(scores_out, scores, n * sizeof *scores);
    return true;
}

bool multi_explain(struct snapshot *snapshot, const float *query, size_t query_n, uint32_t docid,
                   struct arena *arena, uint32_t *best_out, float *products_out,
                   struct error *err) {
    struct multi_query ready;
    struct multi_codes codes;
    if (!query_of(snapshot, query, query_n, arena, &ready, err) ||
        !codes_of(snapshot, docid, ready.dim, &codes, err))
        return false;
    multi_best(&ready, &codes, best_out, products_out);
    return true;
}
