/* One kind of attention with f32 products: compiled once for each instruction set, with
 * ATTENTION_KERNELS naming the table it fills (meson.build). Written in GNU C's vectors, whose
 * width is the instruction set's; only the maximum needs an intrinsic.
 *
 * Layouts. Keys: panels of LANES keys, each [dim, LANES], so that a score of LANES keys is a sum
 * of vectors. Values: [n, dim_padded]. Both products are then the same small kernel: rows of
 * scalars against rows of vectors, 6 x 4 vectors of sums in registers (AVX-512). */
#include <assert.h>
#include <float.h>
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/math/attention_kernels.h"

#if defined(__AVX512F__)
#define LANES 16
#define COLUMNS 4 /* vectors side by side */
#define SUMS 24   /* in registers: 6 x 4, and 4 loaded + 1 of 32 */
#elif defined(__AVX2__)
#define LANES 8
#define COLUMNS 2
#define SUMS 12 /* 6 x 2, and 2 loaded + 1 of 16 */
#else
#define LANES 4
#define COLUMNS 2
#define SUMS 12
#endif

enum {
    TILE = 48,   /* queries that share a pass over the keys */
    BLOCK = 128, /* keys: 32 KiB of f32 at dim 64, which stay in a core's first cache */
};

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(LANES * 4)));
typedef float quad __attribute__((vector_size(16)));
typedef float quad_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from) {
    return *(const vec_unaligned *)from;
}

INLINE void store(float *to, vec values) {
    *(vec_unaligned *)to = values;
}

INLINE vec all(float value) {
    return (vec){0} + value;
}

INLINE vec larger(vec a, vec b) {
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    ints mask = a > b;
    return (vec)(((ints)a & mask) | ((ints)b & ~mask));
#endif
}

/* a * b + c, rounded once where the instruction set can. By name: what a compiler contracts by
 * itself differs from one unrolled copy of a loop to the next (clang 14), and bits with it. */
INLINE vec fused(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* 2^x for x <= 0, within 3e-7 relative: 2^r of the fraction by a minimax polynomial (7.5e-8 by
 * itself), and 2^n by the exponent. AVX-512 has instructions for both, with r in [0, 1), down to 0;
 * the others take |r| <= 1/2 and end at 2^-126. */
INLINE vec exp2_negative(vec x) {
#if defined(__AVX512F__)
    enum { MINUS_FLOOR = 0x09 };
    vec r = (vec)_mm512_reduce_ps((__m512)x, MINUS_FLOOR);
    vec p = all(1.87757664e-3f);
    p = fused(p, r, all(8.98934047e-3f));
    p = fused(p, r, all(5.58263174e-2f));
    p = fused(p, r, all(2.40153617e-1f));
    p = fused(p, r, all(6.93153073e-1f));
    p = fused(p, r, all(9.99999925e-1f));
    return (vec)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
    const vec magic = all(12582912.0f); /* 1.5 * 2^23: adding it leaves n in the lowest bits */
    enum { MANTISSA_BITS = 23 };
    x = larger(x, all(-126));
    vec shifted = x + magic;
    vec r = x - (shifted - magic);
    vec p = all(1.32764717e-3f);
    p = fused(p, r, all(9.67554154e-3f));
    p = fused(p, r, all(5.55071328e-2f));
    p = fused(p, r, all(2.40221197e-1f));
    p = fused(p, r, all(6.93146967e-1f));
    p = fused(p, r, all(1.00000007f));
    return (vec)((ints)p + ((ints)shifted << MANTISSA_BITS));
#endif
}

static size_t round_up(size_t n, size_t step) {
    return (n + step - 1) / step * step;
}

/* ---- packing ---- */

/* out[j] = factor * element j of a row of qkv */
INLINE void read_row(const struct attention *in, size_t at, size_t dim, float factor, float *out) {
    if (in->qkv_bf16) {
        for (size_t j = 0; j < dim; j++)
            out[j] = factor * attention_f32_of(in->qkv_bf16[at + j]);
        return;
    }
    const float *row = in->qkv_f32 + at;
    size_t j = 0;
    for (; j + LANES <= dim; j += LANES)
        store(out + j, load(row + j) * factor);
    for (; j < dim; j++)
        out[j] = row[j] * factor;
}

static size_t packed_bytes(size_t n, size_t dim) {
    return (round_up(n, LANES) * dim + n * round_up(dim, LANES)) * sizeof(float);
}

/* out[d * LANES + key] = rows[key][d] for 4 keys and 4 d */
INLINE void transpose_quad(const float *rows, size_t stride, float *out) {
    quad a = *(const quad_unaligned *)rows, b = *(const quad_unaligned *)(rows + stride),
         c = *(const quad_unaligned *)(rows + 2 * stride),
         d = *(const quad_unaligned *)(rows + 3 * stride);
    quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
         ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7),
         cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
         cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(quad_unaligned *)out = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(quad_unaligned *)(out + LANES) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(quad_unaligned *)(out + 2 * LANES) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(quad_unaligned *)(out + 3 * LANES) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* rows: [keys, stride] -> panel [dim, LANES]; lanes past the last key are 0. */
static void pack_panel(const float *rows, size_t stride, size_t keys, size_t dim, float *panel) {
    size_t whole = dim / 4 * 4;
    if (keys == LANES)
        for (size_t d = 0; d < whole; d += 4)
            for (size_t key = 0; key < LANES; key += 4)
                transpose_quad(rows + key * stride + d, stride, panel + d * LANES + key);
    for (size_t d = keys == LANES ? whole : 0; d < dim; d++)
        for (size_t key = 0; key < LANES; key++)
            panel[d * LANES + key] = key < keys ? rows[key * stride + d] : 0;
}

/* The keys of a panel that are bf16, widened a few dimensions at a time. */
static void pack_bf16_panel(const uint16_t *rows, size_t stride, size_t keys, size_t dim,
                            float *panel) {
    enum { WIDTH = 64 };
    float wide[LANES * WIDTH];
    for (size_t at = 0; at < dim; at += WIDTH) {
        size_t width = dim - at < WIDTH ? dim - at : WIDTH;
        for (size_t i = 0; i < keys; i++)
            for (size_t j = 0; j < width; j++)
                wide[i * WIDTH + j] = attention_f32_of(rows[i * stride + at + j]);
        pack_panel(wide, WIDTH, keys, width, panel + at * LANES);
    }
}

static void pack(const struct attention *in, size_t head, void *packed) {
    size_t n = in->n, dim = in->hidden / in->heads_n, padded = round_up(dim, LANES);
    float *keys = packed, *values = keys + round_up(n, LANES) * dim;
    for (size_t first = 0; first < n; first += LANES, keys += LANES * dim) {
        size_t panel_n = n - first < LANES ? n - first : LANES;
        size_t at = attention_at(in, ATTENTION_KEY, head, first);
        if (in->qkv_f32)
            pack_panel(in->qkv_f32 + at, 3 * in->hidden, panel_n, dim, keys);
        else
            pack_bf16_panel(in->qkv_bf16 + at, 3 * in->hidden, panel_n, dim, keys);
    }
    for (size_t i = 0; i < n; i++, values += padded) {
        read_row(in, attention_at(in, ATTENTION_VALUE, head, i), dim, 1, values);
        for (size_t j = dim; j < padded; j++)
            values[j] = 0;
    }
}

/* ---- products ---- */

/* b: [k, columns] vectors; vector c of row i begins at data + i * row_step + c * column_step. */
struct vectors {
    const float *data;
    size_t row_step, column_step;
};

/* out [rows, columns] = a [rows, k] . b, added to out * keep[row] where keep is there. rows and
 * columns are constants where this is inlined, so the sums live in registers. */
INLINE void product_block(const float *a, size_t a_stride, size_t rows, struct vectors b, size_t k,
                          size_t columns, const float *keep, float *out, size_t out_stride) {
    vec sums[SUMS][COLUMNS]; /* [rows][columns] is used */
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (size_t c = 0; c < columns; c++)
            sums[r][c] = (vec){0};
    for (size_t i = 0; i < k; i++) {
        vec right[COLUMNS];
#pragma GCC unroll 16
        for (size_t c = 0; c < columns; c++)
            right[c] = load(b.data + i * b.row_step + c * b.column_step);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            vec left = all(a[r * a_stride + i]);
#pragma GCC unroll 16
            for (size_t c = 0; c < columns; c++)
                sums[r][c] = fused(left, right[c], sums[r][c]);
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (size_t c = 0; c < columns; c++) {
            float *to = out + r * out_stride + c * LANES;
            store(to, keep ? fused(load(to), all(keep[r]), sums[r][c]) : sums[r][c]);
        }
}

/* As many rows at once as the sums fit, then the rest in powers of two. */
#define PRODUCT_STEP(step, columns)                                                                \
    for (; rows >= (step); rows -= (step), a += (step)*a_stride, out += (step)*out_stride) {       \
        product_block(a, a_stride, step, b, k, columns, keep, out, out_stride);                    \
        keep = keep ? keep + (step) : NULL;                                                        \
    }
#define PRODUCT_ROWS(columns)                                                                      \
    static void product_##columns(const float *a, size_t a_stride, size_t rows, struct vectors b,  \
                                  size_t k, const float *keep, float *out, size_t out_stride) {    \
        PRODUCT_STEP(SUMS / columns, columns)                                                      \
        PRODUCT_STEP(4, columns)                                                                   \
        PRODUCT_STEP(2, columns)                                                                   \
        PRODUCT_STEP(1, columns)                                                                   \
    }
#if COLUMNS == 4
PRODUCT_ROWS(4)
#endif
PRODUCT_ROWS(2)
PRODUCT_ROWS(1)

/* out [rows, columns vectors] = a [rows, k] . b (+ out * keep) */
static void product(const float *a, size_t a_stride, size_t rows, struct vectors b, size_t k,
                    size_t columns, const float *keep, float *out, size_t out_stride) {
    size_t c = 0;
    const float *data = b.data;
#if COLUMNS == 4
    for (; c + 4 <= columns; c += 4) {
        b.data = data + c * b.column_step;
        product_4(a, a_stride, rows, b, k, keep, out + c * LANES, out_stride);
    }
#endif
    for (; c + 2 <= columns; c += 2) {
        b.data = data + c * b.column_step;
        product_2(a, a_stride, rows, b, k, keep, out + c * LANES, out_stride);
    }
    if (c < columns) {
        b.data = data + c * b.column_step;
        product_1(a, a_stride, rows, b, k, keep, out + c * LANES, out_stride);
    }
}

/* ---- a tile of queries ---- */

struct tile {
    size_t rows;    /* queries */
    float *queries; /* [TILE, dim] times log2(e) / sqrt(dim), for 2^score */
    float *sums;    /* [TILE, dim_padded]: values weighed with 2^(score - maximum) */
    float *scores;  /* [TILE, BLOCK] */
    float *maxima;  /* [TILE] of the scores so far */
    float *totals;  /* [TILE, LANES] of 2^(score - maximum) so far */
    float *keep;    /* [TILE] what the last block left of the sums before it */
};

static size_t scratch_bytes(size_t dim) {
    return TILE * (round_up(dim, LANES) * 2 + BLOCK + 2 + LANES) * sizeof(float);
}

static struct tile tile_in(void *scratch, size_t dim) {
    size_t padded = round_up(dim, LANES);
    struct tile tile = {.scores = scratch};
    tile.sums = tile.scores + TILE * BLOCK;
    tile.queries = tile.sums + TILE * padded;
    tile.maxima = tile.queries + TILE * padded;
    tile.totals = tile.maxima + TILE;
    tile.keep = tile.totals + TILE * LANES;
    return tile;
}

INLINE float lanes_max(vec values) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)values);
#else
    float lanes[LANES];
    store(lanes, values);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++)
            lanes[lane] = lanes[lane] > lanes[lane + half] ? lanes[lane] : lanes[lane + half];
    return lanes[0];
#endif
}

/* Halves onto halves. Not _mm512_reduce_add_ps: its order is the compiler's choice, which
 * may be another from one place to the next. */
INLINE float lanes_sum(vec values) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)values),
                                 _mm512_extractf32x8_ps((__m512)values, 1));
#else
    __m256 eight = (__m256)values;
#endif
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    return (values[0] + values[2]) + (values[1] + values[3]);
#endif
}

/* One row of scores [keys] -> 2^(score - maximum), the running maximum and total moved on.
 * Lanes past the last key are filled with what counts for nothing. */
static void weigh_row(struct tile *tile, size_t row, size_t keys, bool first) {
    float *scores = tile->scores + row * BLOCK;
    size_t padded = round_up(keys, LANES);
    vec most = all(-FLT_MAX), total = {0};
    for (size_t j = keys; j < padded; j++)
        scores[j] = -FLT_MAX;
    for (size_t j = 0; j < padded; j += LANES)
        most = larger(most, load(scores + j));
    float maximum = lanes_max(most), before = first ? -FLT_MAX : tile->maxima[row];
    maximum = maximum > before ? maximum : before;
    for (size_t j = 0; j < padded; j += LANES) {
        vec weight = exp2_negative(load(scores + j) - maximum);
        store(scores + j, weight);
        total += weight;
    }
    float *totals = tile->totals + row * LANES;
    if (!first) {
        tile->keep[row] = maximum > before ? exp2_negative(all(before - maximum))[0] : 1;
        total = fused(load(totals), all(tile->keep[row]), total);
    }
    tile->maxima[row] = maximum;
    store(totals, total);
}

static void attend_tile(struct tile *tile, size_t n, size_t dim, const float *keys,
                        const float *values) {
    size_t padded = round_up(dim, LANES);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t block = n - at < BLOCK ? n - at : BLOCK;
        struct vectors block_keys = {keys + at * dim, LANES, LANES * dim};
        struct vectors block_values = {values + at * padded, padded, LANES};
        product(tile->queries, dim, tile->rows, block_keys, dim, round_up(block, LANES) / LANES,
                NULL, tile->scores, BLOCK);
        for (size_t row = 0; row < tile->rows; row++)
            weigh_row(tile, row, block, at == 0);
        product(tile->scores, BLOCK, tile->rows, block_values, block, padded / LANES,
                at ? tile->keep : NULL, tile->sums, padded);
    }
}

static void read_queries(const struct attention *in, size_t head, size_t begin,
                         const struct tile *tile) {
    size_t dim = in->hidden / in->heads_n;
    float factor = 1.44269504f / sqrtf((float)dim);
    for (size_t i = 0; i < tile->rows; i++)
        read_row(in, attention_at(in, ATTENTION_QUERY, head, begin + i), dim, factor,
                 tile->queries + i * dim);
}

static void attend(const struct attention *in, size_t head, const void *packed, size_t begin,
                   size_t end, void *scratch, float *out) {
    size_t n = in->n, dim = in->hidden / in->heads_n, padded = round_up(dim, LANES);
    const float *keys = packed, *values = keys + round_up(n, LANES) * dim;
    struct tile tile = tile_in(scratch, dim);
    for (size_t at = begin; at < end; at += TILE) {
        tile.rows = end - at < TILE ? end - at : TILE;
        read_queries(in, head, at, &tile);
        attend_tile(&tile, n, dim, keys, values);
        for (size_t i = 0; i < tile.rows; i++) {
            float *row = out + (at + i) * in->hidden + head * dim;
            const float *sums = tile.sums + i * padded;
            float scale = 1.0f / lanes_sum(load(tile.totals + i * LANES));
            for (size_t j = 0; j < dim; j++)
                row[j] = sums[j] * scale;
        }
    }
}

const struct attention_kernels ATTENTION_KERNELS = {
    .name = ATTENTION_NAME,
    .packed_bytes = packed_bytes,
    .scratch_bytes = scratch_bytes,
    .pack = pack,
    .attend = attend,
};
