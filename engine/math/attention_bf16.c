/* One kind of attention with bf16 products: compiled for AVX512_BF16, and with
 * ATTENTION_AMX for AMX, whose tiles of 16 x 64 bytes give the layouts of both.
 *
 * A group is 16 queries; a chunk is 32 keys. Layouts, each tile 16 rows of 16 pairs of bf16:
 *   queries  [groups, dim / 32] tiles, row = query, pairs along the head's width;
 *   keys     [n / 16, dim / 32] tiles, row = pair of dimensions, column = key;
 *   values   [n / 32, dim / 16] tiles, row i = keys i and i + 16 of the chunk as a pair,
 *            column = dimension;
 *   weights  [chunks] tiles, row = query, pair i = keys i and i + 16, which two registers of 16
 *            scores give without a shuffle.
 * Widths and lengths are filled up with zeros.
 *
 * Departure from FlashAttention: a row's maximum moves only when a block exceeds it by SLACK, so
 * sums are seldom scaled anew. Any reference gives the same quotient; SLACK keeps it in range. */
#include <assert.h>
#include <float.h>
#include <immintrin.h>
#include <math.h>

#include "engine/math/attention_kernels.h"

enum {
    GROUP = 16,            /* queries whose products share an AMX tile */
    TILE = 64,             /* queries that share a pass over the keys */
    CHUNK = 32,            /* keys */
    BLOCK = 128,           /* keys; with values 32 KiB at dim 64: the first cache */
    LANES = 16,            /* f32 in a register */
    PAIR = 2,              /* bf16 in a lane */
    TILE_VALUES = 16 * 32, /* bf16 in an AMX tile */
    CHUNKS = BLOCK / CHUNK,
    SCORES_STRIDE = BLOCK + LANES, /* an odd number of cache lines, so that rows spread over sets */
};
static const float SLACK = 16; /* weights up to 2^16: sums of 8,192 stay far below 2^127 */

typedef uint16_t bf16;

static size_t round_up(size_t n, size_t step) {
    return (n + step - 1) / step * step;
}

/* ---- packing ---- */

/* `count` (up to 16) values of qkv as bf16, then zeros */
static inline __m256i read_16(const struct attention *in, size_t at, size_t count) {
    __mmask16 mask = (__mmask16)((1u << count) - 1);
    if (in->qkv_bf16)
        return _mm256_maskz_loadu_epi16(mask, in->qkv_bf16 + at);
    return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, in->qkv_f32 + at));
}

static inline size_t at_most(size_t n, size_t most) {
    return n < most ? n : most;
}

/* Values [d, d + 32) of a row of qkv that begins at `at` and is dim wide */
static inline __m512i read_32(const struct attention *in, size_t at, size_t d, size_t dim) {
    __m256i low = read_16(in, at + d, at_most(dim - d, LANES)), high = {0};
    if (dim > d + LANES)
        high = read_16(in, at + d + LANES, at_most(dim - d - LANES, LANES));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* rows[i][j] <-> rows[j][i] of 16 x 16 lanes */
static inline void transpose(__m512i rows[LANES]) {
    __m512i a[LANES], b[LANES];
    for (int i = 0; i < LANES; i += 2) {
        a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    /* b[4 g + j]: columns j, j + 4, j + 8, j + 12 of rows 4 g to 4 g + 3, one a quarter */
    for (int j = 0; j < 4; j++) {
        __m512i even_low = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88),
                odd_low = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd),
                even_high = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88),
                odd_high = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
        rows[j] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
        rows[j + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
        rows[j + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
        rows[j + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
    }
}

static size_t keys_size(size_t n, size_t dim) {
    return round_up(n, CHUNK) * round_up(dim, CHUNK);
}

static size_t packed_bytes(size_t n, size_t dim) {
    return (keys_size(n, dim) + round_up(n, CHUNK) * round_up(dim, LANES)) * sizeof(bf16);
}

static void pack_keys(const struct attention *in, size_t head, size_t dim, bf16 *out) {
    for (size_t first = 0; first < round_up(in->n, CHUNK); first += LANES)
        for (size_t d = 0; d < dim; d += CHUNK, out += TILE_VALUES) {
            __m512i rows[LANES];
            for (size_t i = 0; i < LANES; i++)
                rows[i] =
                    first + i < in->n
                        ? read_32(in, attention_at(in, ATTENTION_KEY, head, first + i), d, dim)
                        : _mm512_setzero_si512();
            transpose(rows);
            for (size_t i = 0; i < LANES; i++)
                _mm512_store_si512(out + i * LANES * PAIR, rows[i]);
        }
}

/* 16 values of a token as the lower halves of lanes; zeros past the last token */
static inline __m512i read_value(const struct attention *in, size_t head, size_t token, size_t d,
                                 size_t count) {
    if (token >= in->n)
        return _mm512_setzero_si512();
    size_t at = attention_at(in, ATTENTION_VALUE, head, token) + d;
    return _mm512_cvtepu16_epi32(read_16(in, at, count));
}

static void pack_values(const struct attention *in, size_t head, size_t dim, bf16 *out) {
    for (size_t first = 0; first < in->n; first += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++)
            attention_prefetch(in, ATTENTION_VALUE, head, first + CHUNK + i);
        for (size_t d = 0; d < dim; d += LANES)
            for (size_t i = 0; i < LANES; i++, out += LANES * PAIR) {
                size_t count = at_most(dim - d, LANES);
                __m512i low = read_value(in, head, first + i, d, count),
                        high = read_value(in, head, first + LANES + i, d, count);
                _mm512_store_si512(out, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
    }
}

static void pack(const struct attention *in, size_t head, void *packed) {
    size_t dim = in->hidden / in->heads_n;
    pack_keys(in, head, dim, packed);
    pack_values(in, head, dim, (bf16 *)packed + keys_size(in->n, dim));
}

/* ---- a group of queries against a block of keys ---- */

struct group {
    size_t dim_chunks, dim_tiles; /* width in 32s and in 16s */
    float factor;                 /* log2(e) / sqrt(dim): e^(score / sqrt dim) = 2^(score * it) */
    const bf16 *queries;          /* [dim_chunks] tiles */
    float *sums;                  /* [dim_tiles, GROUP, LANES]: values weighed so far */
    float *totals;                /* [GROUP, LANES] of the weights so far; lanes are summed last */
    float *maxima;                /* [GROUP] the reference of each row, times factor */
    float *factors, *offsets;     /* [GROUP] a weight is 2^(score * factor - offset) */
    float *scores;                /* [GROUP, SCORES_STRIDE] */
    bf16 *weights;                /* [CHUNKS] tiles */
};

/* [row] = the largest lane of rows[row] */
static inline __m512 max_of_rows(__m512 rows[GROUP]) {
    for (int i = 0; i < 8; i++)
        rows[i] = _mm512_max_ps(_mm512_shuffle_f32x4(rows[i], rows[i + 8], 0x44),
                                _mm512_shuffle_f32x4(rows[i], rows[i + 8], 0xee));
    for (int i = 0; i < 4; i++)
        rows[i] = _mm512_max_ps(_mm512_shuffle_f32x4(rows[i], rows[i + 4], 0x88),
                                _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0xdd));
    for (int i = 0; i < 2; i++)
        rows[i] = _mm512_max_ps(_mm512_unpacklo_ps(rows[i], rows[i + 2]),
                                _mm512_unpackhi_ps(rows[i], rows[i + 2]));
    rows[0] =
        _mm512_max_ps(_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1]));
    return _mm512_shuffle_f32x4(rows[0], rows[0], 0xd8); /* quarters held rows 0, 8, 4, 12 */
}

/* 2^x * (1 + 2^-8) for x <= SLACK, and 0 far below. The factor is half a bf16's last place for a
 * significand in [1, 2), so that cutting the lower half off rounds. x = floor + r: 2^r by a
 * minimax polynomial within 7.5e-5 relative. */
static inline __m512 exp2_to_cut(__m512 x) {
    enum { MINUS_FLOOR = 0x09 };
    const float half_place = 0x1p-8f;
    __m512 r = _mm512_reduce_ps(x, MINUS_FLOOR);
    __m512 p = _mm512_set1_ps(0.0780245195f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.226067178f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.695833522f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999925221f + half_place));
    return _mm512_scalef_ps(p, x);
}

/* Scores past the last key weigh nothing. */
static void blank_scores(const struct group *group, size_t keys) {
    for (size_t row = 0; row < GROUP; row++)
        for (size_t j = keys; j < round_up(keys, CHUNK); j++)
            group->scores[row * SCORES_STRIDE + j] = -FLT_MAX;
}

static void scale_sums(const struct group *group, __m512 before, __m512 after) {
    float keep[GROUP];
    _mm512_storeu_ps(keep, _mm512_sub_ps(before, after));
    for (size_t row = 0; row < GROUP; row++) {
        float factor = exp2f(keep[row]);
        __m512 by = _mm512_set1_ps(factor);
        float *totals = group->totals + row * LANES;
        _mm512_store_ps(totals, _mm512_mul_ps(_mm512_load_ps(totals), by));
        for (size_t t = 0; t < group->dim_tiles; t++) {
            float *sums = group->sums + (t * GROUP + row) * LANES;
            _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), by));
        }
    }
}

/* A fused score * factor - maximum is off by up to 2^-24 of the maximum, which is above 0 for a
 * maximum beyond this; such rows (of no sane model) are shifted with a rounded product instead. */
static const float FAR = 0x1p20f;

static void shift_far_rows(const struct group *group, size_t padded) {
    for (size_t row = 0; row < GROUP; row++) {
        bool is_far = fabsf(group->maxima[row]) > FAR;
        group->factors[row] = is_far ? 1 : group->factor;
        group->offsets[row] = is_far ? 0 : group->maxima[row];
        float *scores = group->scores + row * SCORES_STRIDE;
        for (size_t j = 0; is_far && j < padded; j += LANES) {
            __m512 scaled =
                _mm512_mul_ps(_mm512_load_ps(scores + j), _mm512_set1_ps(group->factor));
            __m512 maximum = _mm512_set1_ps(group->maxima[row]);
            _mm512_store_ps(scores + j, _mm512_sub_ps(scaled, maximum));
        }
    }
}

/* Moves the rows' references up where this block demands it. */
static void refer(const struct group *group, size_t keys, bool first) {
    size_t padded = round_up(keys, CHUNK);
    __m512 rows[GROUP];
    for (size_t row = 0; row < GROUP; row++) {
        const float *scores = group->scores + row * SCORES_STRIDE;
        __m512 even = _mm512_load_ps(scores), odd = _mm512_load_ps(scores + LANES);
        for (size_t j = CHUNK; j < padded; j += CHUNK) {
            even = _mm512_max_ps(even, _mm512_load_ps(scores + j));
            odd = _mm512_max_ps(odd, _mm512_load_ps(scores + j + LANES));
        }
        rows[row] = _mm512_max_ps(even, odd);
    }
    __m512 found = _mm512_mul_ps(max_of_rows(rows), _mm512_set1_ps(group->factor));
    if (!first) {
        __m512 before = _mm512_load_ps(group->maxima);
        __m512 limit = _mm512_add_ps(before, _mm512_set1_ps(SLACK));
        __mmask16 moved = _mm512_cmp_ps_mask(found, limit, _CMP_GT_OQ);
        found = _mm512_mask_mov_ps(before, moved, found);
        if (moved)
            scale_sums(group, before, found);
    }
    _mm512_store_ps(group->maxima, found);
    __m512 size = _mm512_abs_ps(found);
    if (_mm512_cmp_ps_mask(size, _mm512_set1_ps(FAR), _CMP_GT_OQ))
        shift_far_rows(group, padded);
    else {
        _mm512_store_ps(group->factors, _mm512_set1_ps(group->factor));
        _mm512_store_ps(group->offsets, found);
    }
}

/* scores of one chunk -> its tile of weights, and their sum */
static inline void weigh_chunk(const struct group *group, size_t chunk) {
    const __m512i ones = _mm512_set1_epi32(0x3f803f80), upper = _mm512_set1_epi32((int)0xffff0000);
    enum { A_OR_B_AND_C = 0xf8 };
    const float *scores = group->scores + chunk * CHUNK;
    bf16 *weights = group->weights + chunk * TILE_VALUES;
    for (size_t row = 0; row < GROUP; row++, scores += SCORES_STRIDE, weights += LANES * PAIR) {
        __m512 factor = _mm512_set1_ps(group->factors[row]),
               offset = _mm512_set1_ps(group->offsets[row]);
        __m512 low = exp2_to_cut(_mm512_fmsub_ps(_mm512_load_ps(scores), factor, offset)),
               high = exp2_to_cut(_mm512_fmsub_ps(_mm512_load_ps(scores + LANES), factor, offset));
        __m512i pairs = _mm512_ternarylogic_epi32(_mm512_srli_epi32(_mm512_castps_si512(low), 16),
                                                  _mm512_castps_si512(high), upper, A_OR_B_AND_C);
        _mm512_store_si512(weights, pairs);
        float *totals = group->totals + row * LANES;
        _mm512_store_ps(totals,
                        _mm512_dpbf16_ps(_mm512_load_ps(totals), (__m512bh)pairs, (__m512bh)ones));
    }
}

#if defined(ATTENTION_AMX)

/* Tiles 0 to 3 hold sums, 4 the left side of a product, 5 to 7 the right. */
static void tiles_begin(void) {
    struct {
        uint8_t palette, start_row, zeros[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (size_t i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    _tile_loadconfig(&config);
}

static void tiles_end(void) {
    _tile_release();
}

enum { ROW_BYTES = 64, SCORES_ROW_BYTES = SCORES_STRIDE * sizeof(float) };

/* scores [GROUP, keys]; keys: tiles of a block */
static void score(const struct group *group, const bf16 *keys, size_t keys_n) {
    size_t dim_chunks = group->dim_chunks, step = dim_chunks * TILE_VALUES;
    for (size_t j = 0; j < keys_n; j += CHUNK, keys += 2 * step) {
        float *scores = group->scores + j;
        _tile_zero(0);
        _tile_zero(1);
        for (size_t c = 0; c < dim_chunks; c++) {
            _tile_loadd(4, group->queries + c * TILE_VALUES, ROW_BYTES);
            _tile_loadd(5, keys + c * TILE_VALUES, ROW_BYTES);
            _tile_loadd(6, keys + step + c * TILE_VALUES, ROW_BYTES);
            _tile_dpbf16ps(0, 4, 5);
            _tile_dpbf16ps(1, 4, 6);
        }
        _tile_stored(0, scores, SCORES_ROW_BYTES);
        _tile_stored(1, scores + LANES, SCORES_ROW_BYTES);
    }
}

/* sums += weights . values, `tiles` of the width from `at` on; the first pass makes the weights */
static inline __attribute__((always_inline)) void mix_tiles(const struct group *group,
                                                            const bf16 *values, size_t chunks,
                                                            size_t at, size_t tiles,
                                                            bool first_block) {
    float *sums = group->sums + at * GROUP * LANES;
    enum { SIZE = GROUP * LANES };
    if (first_block) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, ROW_BYTES);
        if (tiles > 1)
            _tile_loadd(1, sums + SIZE, ROW_BYTES);
        if (tiles > 2)
            _tile_loadd(2, sums + 2 * SIZE, ROW_BYTES);
        if (tiles > 3)
            _tile_loadd(3, sums + 3 * SIZE, ROW_BYTES);
    }
    values += at * TILE_VALUES;
    for (size_t chunk = 0; chunk < chunks; chunk++, values += group->dim_tiles * TILE_VALUES) {
        if (at == 0)
            weigh_chunk(group, chunk);
        _tile_loadd(4, group->weights + chunk * TILE_VALUES, ROW_BYTES);
        _tile_loadd(5, values, ROW_BYTES);
        _tile_dpbf16ps(0, 4, 5);
        if (tiles > 1) {
            _tile_loadd(6, values + TILE_VALUES, ROW_BYTES);
            _tile_dpbf16ps(1, 4, 6);
        }
        if (tiles > 2) {
            _tile_loadd(7, values + 2 * TILE_VALUES, ROW_BYTES);
            _tile_dpbf16ps(2, 4, 7);
        }
        if (tiles > 3) {
            _tile_loadd(5, values + 3 * TILE_VALUES, ROW_BYTES);
            _tile_dpbf16ps(3, 4, 5);
        }
    }
    _tile_stored(0, sums, ROW_BYTES);
    if (tiles > 1)
        _tile_stored(1, sums + SIZE, ROW_BYTES);
    if (tiles > 2)
        _tile_stored(2, sums + 2 * SIZE, ROW_BYTES);
    if (tiles > 3)
        _tile_stored(3, sums + 3 * SIZE, ROW_BYTES);
}

static void mix(const struct group *group, const bf16 *values, size_t chunks, bool first_block) {
    for (size_t at = 0; at < group->dim_tiles; at += 4)
        switch (at_most(group->dim_tiles - at, 4)) {
        case 1: mix_tiles(group, values, chunks, at, 1, first_block); break;
        case 2: mix_tiles(group, values, chunks, at, 2, first_block); break;
        case 3: mix_tiles(group, values, chunks, at, 3, first_block); break;
        default: mix_tiles(group, values, chunks, at, 4, first_block); break;
        }
}

#else

static void tiles_begin(void) {
}

static void tiles_end(void) {
}

/* The same by vectors: ROWS rows of 16 x 4 products in registers. */
enum { ROWS = 4, COLUMNS = 4 };

/* sums[r][c] += left . right of tiles: rows [row, row + ROWS) of left, `columns` tiles of right
 * right_step apart. */
static inline __attribute__((always_inline)) void multiply(__m512 sums[ROWS][COLUMNS],
                                                           const bf16 *left, const bf16 *right,
                                                           size_t right_step, size_t columns) {
    for (size_t i = 0; i < LANES; i++)
#pragma GCC unroll 4
        for (size_t r = 0; r < ROWS; r++) {
            int pair;
            memcpy(&pair, left + (r * LANES + i) * PAIR, sizeof pair);
            __m512bh all = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (size_t c = 0; c < columns; c++)
                sums[r][c] = _mm512_dpbf16_ps(
                    sums[r][c], all,
                    (__m512bh)_mm512_load_si512(right + c * right_step + i * LANES * PAIR));
        }
}

static inline __attribute__((always_inline)) void score_columns(const struct group *group,
                                                                const bf16 *keys, size_t columns,
                                                                size_t row, float *scores) {
    size_t step = group->dim_chunks * TILE_VALUES;
    __m512 sums[ROWS][COLUMNS];
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < columns; c++)
            sums[r][c] = _mm512_setzero_ps();
    for (size_t c = 0; c < group->dim_chunks; c++)
        multiply(sums, group->queries + c * TILE_VALUES + row * LANES * PAIR,
                 keys + c * TILE_VALUES, step, columns);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < columns; c++)
            _mm512_store_ps(scores + (row + r) * SCORES_STRIDE + c * LANES, sums[r][c]);
}

static void score(const struct group *group, const bf16 *keys, size_t keys_n) {
    size_t step = group->dim_chunks * TILE_VALUES, tiles = round_up(keys_n, CHUNK) / LANES;
    for (size_t at = 0; at < tiles; at += COLUMNS)
        for (size_t row = 0; row < GROUP; row += ROWS)
            if (tiles - at >= COLUMNS)
                score_columns(group, keys + at * step, COLUMNS, row, group->scores + at * LANES);
            else
                score_columns(group, keys + at * step, 2, row, group->scores + at * LANES);
}

static inline __attribute__((always_inline)) void mix_columns(const struct group *group,
                                                              const bf16 *values, size_t chunks,
                                                              size_t columns, size_t row,
                                                              bool first_block, float *out) {
    __m512 sums[ROWS][COLUMNS];
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < columns; c++)
            sums[r][c] = first_block ? _mm512_setzero_ps()
                                     : _mm512_load_ps(out + (c * GROUP + row + r) * LANES);
    for (size_t chunk = 0; chunk < chunks; chunk++)
        multiply(sums, group->weights + chunk * TILE_VALUES + row * LANES * PAIR,
                 values + chunk * group->dim_tiles * TILE_VALUES, TILE_VALUES, columns);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < columns; c++)
            _mm512_store_ps(out + (c * GROUP + row + r) * LANES, sums[r][c]);
}

static void mix(const struct group *group, const bf16 *values, size_t chunks, bool first_block) {
    for (size_t chunk = 0; chunk < chunks; chunk++)
        weigh_chunk(group, chunk);
    for (size_t at = 0; at < group->dim_tiles; at += COLUMNS) {
        const bf16 *right = values + at * TILE_VALUES;
        float *out = group->sums + at * GROUP * LANES;
        for (size_t row = 0; row < GROUP; row += ROWS)
            switch (at_most(group->dim_tiles - at, COLUMNS)) {
            case 1: mix_columns(group, right, chunks, 1, row, first_block, out); break;
            case 2: mix_columns(group, right, chunks, 2, row, first_block, out); break;
            case 3: mix_columns(group, right, chunks, 3, row, first_block, out); break;
            default: mix_columns(group, right, chunks, COLUMNS, row, first_block, out); break;
            }
    }
}

#endif

/* ---- a tile of queries ---- */

static size_t group_floats(size_t dim) {
    return round_up(dim, CHUNK) / PAIR * GROUP + round_up(dim, LANES) * GROUP + GROUP * LANES +
           3 * GROUP;
}

static size_t scratch_bytes(size_t dim) {
    size_t shared = GROUP * SCORES_STRIDE + CHUNKS * TILE_VALUES / PAIR;
    return (shared + TILE / GROUP * group_floats(dim)) * sizeof(float);
}

static struct group group_in(void *scratch, size_t dim, size_t index) {
    struct group group = {
        .dim_chunks = round_up(dim, CHUNK) / CHUNK,
        .dim_tiles = round_up(dim, LANES) / LANES,
        .factor = 1.44269504f / sqrtf((float)dim),
        .scores = scratch,
    };
    float *shared = group.scores + GROUP * SCORES_STRIDE;
    float *own = shared + CHUNKS * TILE_VALUES / PAIR + index * group_floats(dim);
    group.weights = (bf16 *)shared;
    group.queries = (const bf16 *)own;
    group.sums = own + group.dim_chunks * TILE_VALUES / PAIR;
    group.totals = group.sums + group.dim_tiles * GROUP * LANES;
    group.maxima = group.totals + GROUP * LANES;
    group.factors = group.maxima + GROUP;
    group.offsets = group.factors + GROUP;
    return group;
}

/* Rows past the last are zeros. */
static void read_queries(const struct attention *in, size_t head, size_t begin, size_t end,
                         const struct group *group) {
    size_t dim = in->hidden / in->heads_n;
    bf16 *out = (bf16 *)group->queries;
    for (size_t c = 0; c < group->dim_chunks; c++)
        for (size_t row = 0; row < GROUP; row++, out += CHUNK)
            _mm512_store_si512(
                out, begin + row < end
                         ? read_32(in, attention_at(in, ATTENTION_QUERY, head, begin + row),
                                   c * CHUNK, dim)
                         : _mm512_setzero_si512());
    memset(group->totals, 0, GROUP * LANES * sizeof(float));
}

/* Halves onto halves, in this order whatever the compiler (_mm512_reduce_add_ps leaves it open). */
static float lanes_sum(__m512 values) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(values), _mm512_extractf32x8_ps(values, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static void write_out(const struct attention *in, size_t head, size_t begin, size_t end,
                      const struct group *group, float *out) {
    size_t dim = in->hidden / in->heads_n;
    for (size_t row = 0; row < GROUP && begin + row < end; row++) {
        float *to = out + (begin + row) * in->hidden + head * dim;
        __m512 total = _mm512_load_ps(group->totals + row * LANES);
        __m512 scale = _mm512_set1_ps(1.0f / lanes_sum(total));
        for (size_t t = 0; t < group->dim_tiles; t++) {
            __mmask16 mask = (__mmask16)((1u << at_most(dim - t * LANES, LANES)) - 1);
            __m512 sums = _mm512_load_ps(group->sums + (t * GROUP + row) * LANES);
            _mm512_mask_storeu_ps(to + t * LANES, mask, _mm512_mul_ps(sums, scale));
        }
    }
}

static void attend_block(const struct group *group, const bf16 *keys, const bf16 *values, size_t n,
                         size_t at) {
    size_t block = at_most(n - at, BLOCK);
    score(group, keys + at * group->dim_chunks * CHUNK, block);
    if (block % CHUNK)
        blank_scores(group, block);
    refer(group, block, at == 0);
    mix(group, values + at * group->dim_tiles * LANES, round_up(block, CHUNK) / CHUNK, at == 0);
}

static void attend(const struct attention *in, size_t head, const void *packed, size_t begin,
                   size_t end, void *scratch, float *out) {
    size_t dim = in->hidden / in->heads_n;
    const bf16 *keys = packed, *values = keys + keys_size(in->n, dim);
    struct group groups[TILE / GROUP];
    tiles_begin();
    for (size_t first = begin; first < end; first += TILE) {
        size_t groups_n = round_up(at_most(end - first, TILE), GROUP) / GROUP;
        for (size_t g = 0; g < groups_n; g++) {
            groups[g] = group_in(scratch, dim, g);
            read_queries(in, head, first + g * GROUP, end, &groups[g]);
        }
        attention_prefetch_tile(in, head, first, at_most(end, first + TILE), out);
        for (size_t at = 0; at < in->n; at += BLOCK)
            for (size_t g = 0; g < groups_n; g++)
                attend_block(&groups[g], keys, values, in->n, at);
        for (size_t g = 0; g < groups_n; g++)
            write_out(in, head, first + g * GROUP, end, &groups[g], out);
    }
    tiles_end();
}

const struct attention_kernels ATTENTION_KERNELS = {
    .name = ATTENTION_NAME,
    .packed_bytes = packed_bytes,
    .scratch_bytes = scratch_bytes,
    .pack = pack,
    .attend = attend,
};
