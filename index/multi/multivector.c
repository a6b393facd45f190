#include "index/multi/multivector.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/vec.h"
#include "index/multi/codebook.h"

enum {
    HEADER_BYTES = 10,
    MEAN_PACK = 1,
    /* Scales of a document decoded at a time: they stay on the stack. */
    SCALES_IN_HAND = 256,
};

/* The format is little-endian whatever the machine is. */
static uint32_t read_u16(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t read_u32(const uint8_t *at) {
    return read_u16(at) | read_u16(at + 2) << 16;
}

static void write_bytes(uint8_t *at, uint32_t value, size_t n) {
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static float read_scale(const uint8_t *at) {
    uint16_t half = (uint16_t)read_u16(at);
    float scale;
    vec_from_f16(&half, 1, &scale);
    return scale;
}

static void write_scale(uint8_t *at, float scale) {
    uint16_t half;
    vec_to_f16(&scale, 1, &half);
    write_bytes(at, half, sizeof half);
}

/* Dimensions a code. The error of a product, as part of its spread, is about sqrt(distortion /
 * dim): the same everywhere when longer vectors get fewer bits a dimension. */
static size_t pack_of(uint32_t dim) {
    return dim < 128 ? 1 : dim < 288 ? 2 : dim < 640 ? 3 : 4;
}

static size_t codes_bytes(uint32_t dim, uint32_t n, size_t pack) {
    return HEADER_BYTES + codebook_row_bytes(dim, MEAN_PACK) +
           (size_t)n * (2 + codebook_row_bytes(dim, pack));
}

size_t multi_codes_bytes(uint32_t dim, uint32_t n) {
    return codes_bytes(dim, n, pack_of(dim));
}

/* ---- encoding ---- */

/* Rotated and coded at row_out; mean_out: what the code says. The scale comes back. */
static float encode_mean(const float *vectors, uint32_t n, uint32_t dim, float *mean_out,
                         uint8_t *row_out) {
    float mean[CODEBOOK_ROOM] = {0};
    for (size_t v = 0; v < n; v++)
        for (size_t i = 0; i < dim; i++)
            mean[i] += vectors[v * dim + i];
    for (size_t i = 0; i < dim; i++)
        mean[i] /= n > 0 ? (float)n : 1;
    codebook_rotate(mean, dim);
    float scale = codebook_encode(mean, dim, MEAN_PACK, CODEBOOK_NEAREST, row_out);
    codebook_decode(row_out, dim, MEAN_PACK, scale, mean_out);
    return scale;
}

void multi_encode(const float *vectors, uint32_t n, uint32_t dim, void *codes_out) {
    assert(dim >= 1 && dim <= MULTI_DIM_MAX);
    size_t pack = pack_of(dim), row_bytes = codebook_row_bytes(dim, pack);
    float mean[CODEBOOK_ROOM], vector[CODEBOOK_ROOM] = {0};
    uint8_t *out = codes_out;
    write_bytes(out, n, 4);
    write_bytes(out + 4, dim, 2);
    write_bytes(out + 6, (uint32_t)pack, 2);
    write_scale(out + 8, encode_mean(vectors, n, dim, mean, out + HEADER_BYTES));
    uint8_t *scales = out + HEADER_BYTES + codebook_row_bytes(dim, MEAN_PACK);
    uint8_t *rows = scales + 2 * (size_t)n;
    for (size_t v = 0; v < n; v++) {
        memcpy(vector, vectors + v * dim, dim * sizeof *vector);
        codebook_rotate(vector, dim);
        for (size_t i = 0; i < dim; i++)
            vector[i] -= mean[i];
        write_scale(scales + 2 * v,
                    codebook_encode(vector, dim, pack, CODEBOOK_UNBIASED, rows + v * row_bytes));
    }
}

/* ---- reading ---- */

static bool is_scale(const uint8_t *at) {
    return at[1] < 0x7c; /* no infinity, no NaN, not below 0 */
}

static bool read_header(const uint8_t *at, uint32_t dim, struct multi_codes *out,
                        struct error *err) {
    *out = (struct multi_codes){.n = read_u32(at), .dim = read_u16(at + 4)};
    out->pack = read_u16(at + 6);
    if (out->dim != dim || dim == 0 || dim > MULTI_DIM_MAX)
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: %u dimensions, the index has %u",
                         out->dim, dim);
    if (out->pack < 1 || out->pack > MAXSIM_PACK_MAX)
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: %zu dimensions a code, 1 to %d",
                         out->pack, MAXSIM_PACK_MAX);
    return true;
}

uint32_t multi_codes_dim(const void *bytes, size_t bytes_len) {
    return bytes_len < HEADER_BYTES ? 0 : read_u16((const uint8_t *)bytes + 4);
}

bool multi_codes_next(const uint8_t **at_inout, const uint8_t *end, uint32_t dim,
                      struct multi_codes *out, struct error *err) {
    const uint8_t *at = *at_inout;
    size_t left = (size_t)(end - at);
    struct multi_codes codes;
    if (left < HEADER_BYTES)
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: %zu bytes, the header needs %d",
                         left, HEADER_BYTES);
    if (!read_header(at, dim, &codes, err))
        return false;
    size_t len = codes_bytes(dim, codes.n, codes.pack);
    if (left < len)
        return error_set(err, ERROR_CORRUPT,
                         "multi-vector codes: %zu bytes, %u vectors of %u dimensions take %zu",
                         left, codes.n, dim, len);
    codes.row_bytes = codebook_row_bytes(dim, codes.pack);
    codes.mean = at + HEADER_BYTES;
    codes.scales = codes.mean + codebook_row_bytes(dim, MEAN_PACK);
    codes.rows = codes.scales + 2 * (size_t)codes.n;
    if (!is_scale(at + 8))
        return error_set(err, ERROR_CORRUPT, "multi-vector codes: scale of the mean");
    codes.mean_scale = read_scale(at + 8);
    for (size_t v = 0; v < codes.n; v++)
        if (!is_scale(codes.scales + 2 * v))
            return error_set(err, ERROR_CORRUPT, "multi-vector codes: scale of vector %zu", v);
    *at_inout = at + len;
    *out = codes;
    return true;
}

bool multi_codes_open(const void *bytes, size_t bytes_len, uint32_t dim, struct multi_codes *out,
                      struct error *err) {
    const uint8_t *at = bytes, *end = at + bytes_len;
    struct multi_codes codes;
    if (!multi_codes_next(&at, end, dim, &codes, err))
        return false;
    if (at != end)
        return error_set(err, ERROR_CORRUPT,
                         "multi-vector codes: %zu bytes, %u vectors of %u dimensions take %zu",
                         bytes_len, codes.n, dim, codes_bytes(dim, codes.n, codes.pack));
    *out = codes;
    return true;
}

void multi_decode(const struct multi_codes *codes, uint32_t row, float *out) {
    float mean[CODEBOOK_DIM_MAX];
    assert(row < codes->n);
    codebook_decode(codes->mean, codes->dim, MEAN_PACK, codes->mean_scale, mean);
    codebook_decode(codes->rows + row * codes->row_bytes, codes->dim, codes->pack,
                    read_scale(codes->scales + 2 * (size_t)row), out);
    for (size_t i = 0; i < codes->dim; i++)
        out[i] += mean[i];
    codebook_unrotate(out, codes->dim);
}

/* ---- the query ---- */

/* Four numbers in a register that every machine has: a query is made ready in a tenth of the time
 * that it is compared in, and took half of it number by number. */
typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

static inline int4 pick4(int4 mask, int4 yes, int4 no) {
    return (yes & mask) | (no & ~mask);
}

/* The largest magnitude of vector [n], n a multiple of 4; infinity when one is not finite. */
static float largest_of(const float *vector, size_t n) {
    float4 largest = {0}, nothing = {0};
    for (size_t i = 0; i < n; i += 4) {
        float4 four;
        memcpy(&four, vector + i, sizeof four);
        nothing += four * 0;
        four = (float4)((int4)four & INT32_MAX);
        largest = (float4)pick4(largest >= four, (int4)largest, (int4)four);
    }
    float most = 0;
    for (size_t i = 0; i < 4; i++)
        most = nothing[i] == 0 ? fmaxf(most, largest[i]) : INFINITY;
    return most;
}

/* One rotated vector as int8 into its lane; lane: [steps, MAXSIM_LANES, 4] from its first byte on.
 * vector: [padded], a multiple of 4, with zeros behind the last dimension. The sum of the values
 * comes back; *scale_out is what one unit of a value is worth. */
static int32_t query_lane(const float *vector, size_t padded, int8_t *lane, float *scale_out) {
    float largest = largest_of(vector, padded);
    float inverse = largest > 0 ? 127 / largest : 0;
    int4 sums = {0};
    if (!isfinite(inverse) ||
        !isfinite(largest)) /* all but 0, or beyond all sense: products are 0 */
        largest = inverse = 0;
    for (size_t i = 0; i < padded && inverse > 0; i += 4, lane += MAXSIM_LANES * 4) {
        float4 four;
        memcpy(&four, vector + i, sizeof four);
        /* rounded: the sum is positive */
        int4 values = __builtin_convertvector(four * inverse + 128.5f, int4) - 128;
        values = pick4(values > 127, (int4){127, 127, 127, 127}, values);
        values = pick4(values < -127, (int4){-127, -127, -127, -127}, values);
        sums += values;
        for (size_t j = 0; j < 4; j++)
            lane[j] = (int8_t)values[j];
    }
    *scale_out = largest / 127;
    return sums[0] + sums[1] + sums[2] + sums[3];
}

/* Steps that hold every row's dimensions, whatever its pack rounds them up to. */
static size_t steps_of(uint32_t dim) {
    size_t most = 0;
    for (size_t pack = 1; pack <= MAXSIM_PACK_MAX; pack++) {
        size_t padded = 2 * pack * codebook_row_bytes(dim, pack);
        most = padded > most ? padded : most;
    }
    return (most + MAXSIM_STEP_DIMS - 1) / MAXSIM_STEP_DIMS;
}

struct multi_query multi_query_twin(const struct multi_query *query, struct arena *arena) {
    struct multi_query twin = *query;
    size_t lanes_n = query->maxsim.groups_n * MAXSIM_LANES;
    size_t scratch_bytes = MAXSIM_BLOCK_ROWS * MAXSIM_SCRATCH_STRIDE(query->maxsim.steps_n);
    twin.maxsim.scratch = ARENA_ZERO(arena, uint8_t, scratch_bytes);
    twin.best = ARENA_NEW(arena, float, lanes_n);
    twin.means = ARENA_NEW(arena, float, lanes_n);
    return twin;
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
    size_t groups_n = (n + MAXSIM_LANES - 1) / MAXSIM_LANES, steps_n = steps_of(dim);
    size_t padded = steps_n * MAXSIM_STEP_DIMS, group_bytes = padded * MAXSIM_LANES;
    int8_t *values = ARENA_ZERO(arena, int8_t, groups_n * group_bytes);
    int32_t *begins = ARENA_ZERO(arena, int32_t, groups_n * MAXSIM_LANES);
    float *vector = ARENA_ZERO(arena, float, padded);
    const struct multi_query shared = {
        .maxsim = {values, begins, groups_n, steps_n, NULL},
        .scales = ARENA_NEW(arena, float, n),
        .n = n,
        .dim = dim,
    };
    *query = multi_query_twin(&shared, arena);
    for (size_t q = 0; q < n; q++) {
        int8_t *lane = values + q / MAXSIM_LANES * group_bytes + q % MAXSIM_LANES * 4;
        memcpy(vector, vectors + q * dim, dim * sizeof *vector);
        codebook_rotate(vector, dim);
        begins[q] = -MAXSIM_LEVEL_MAX * query_lane(vector, padded, lane, &query->scales[q]);
    }
    return true;
}

/* ---- MaxSim ---- */

/* best: [lanes]: for each query vector the best of so many rows, still without its scale. */
static void best_of_rows(const struct multi_query *query, const struct maxsim_rows *rows,
                         float *best) {
    for (size_t i = 0; i < query->maxsim.groups_n * MAXSIM_LANES; i++)
        best[i] = -INFINITY;
    maxsim_best(&query->maxsim, rows, best);
}

/* query->means: the products with what a document's vectors have in common. */
static void products_of_mean(struct multi_query *query, const struct multi_codes *codes) {
    struct maxsim_rows mean = {
        .codes = codes->mean,
        .points = codebook_points(MEAN_PACK),
        .scales = &codes->mean_scale,
        .n = 1,
        .row_bytes = codebook_row_bytes(codes->dim, MEAN_PACK),
        .pack = MEAN_PACK,
    };
    best_of_rows(query, &mean, query->means);
}

/* query->best: the products with the best of rows [begin, end) less the mean. */
static void products_of_rows(struct multi_query *query, const struct multi_codes *codes,
                             size_t begin, size_t end) {
    float scales[SCALES_IN_HAND];
    for (size_t i = 0; i < query->maxsim.groups_n * MAXSIM_LANES; i++)
        query->best[i] = -INFINITY;
    while (begin < end) {
        size_t n = end - begin < SCALES_IN_HAND ? end - begin : SCALES_IN_HAND;
        vec_from_f16(codes->scales + 2 * begin, n, scales);
        struct maxsim_rows rows = {
            .codes = codes->rows + begin * codes->row_bytes,
            .points = codebook_points(codes->pack),
            .scales = scales,
            .n = n,
            .row_bytes = codes->row_bytes,
            .pack = codes->pack,
        };
        maxsim_best(&query->maxsim, &rows, query->best);
        begin += n;
    }
}

static float product_of(const struct multi_query *query, size_t q, float best) {
    return query->scales[q] * (query->means[q] + best);
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
    products_of_mean(query, codes);
    products_of_rows(query, codes, 0, codes->n);
    for (size_t q = 0; q < query->n; q++)
        query->best[q] = product_of(query, q, query->best[q]);
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
        products_of_rows(query, codes, row, (size_t)row + 1);
        for (size_t q = 0; q < query->n; q++)
            if (query->best[q] > products_out[q]) {
                products_out[q] = query->best[q];
                best_out[q] = row;
            }
    }
    if (codes->n > 0)
        products_of_mean(query, codes);
    for (size_t q = 0; q < query->n && codes->n; q++)
        products_out[q] = product_of(query, q, products_out[q]);
}
