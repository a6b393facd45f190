/* MaxSim with AVX-512: decoding 64 codes at a time; products by VNNI (vpdpbusd), or by AMX tiles
 * where there are any. */
#include <string.h>

#include "engine/base/maxsim_kinds.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define AVX512 __attribute__((target(AVX512_TARGET)))
#define AVX512_INLINE static inline __attribute__((always_inline, target(AVX512_TARGET)))

/* ---- decoding, as both have it ---- */

/* The tables of all planes, in each quarter of a register. */
struct tables {
    __m512i planes[MAXSIM_PACK_MAX];
};

AVX512_INLINE struct tables tables_of(const struct maxsim_rows *rows, size_t pack) {
    struct tables tables;
    for (size_t p = 0; p < pack; p++)
        tables.planes[p] =
            _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)rows->points[p]));
    return tables;
}

/* 64 bytes of codes, whose coordinates lie row_bytes apart; out: the first one's. */
AVX512_INLINE void decode_64(const struct tables *tables, size_t pack, const uint8_t *codes,
                             size_t row_bytes, uint8_t *out) {
    const __m512i halves = _mm512_set1_epi8(15);
    __m512i bytes = _mm512_loadu_si512(codes);
    __m512i low = _mm512_and_si512(bytes, halves);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), halves);
    for (size_t p = 0; p < pack; p++, out += 2 * row_bytes) {
        _mm512_storeu_si512(out, _mm512_shuffle_epi8(tables->planes[p], low));
        _mm512_storeu_si512(out + row_bytes, _mm512_shuffle_epi8(tables->planes[p], high));
    }
}

/* The same for 32, which is all that a row of 128 dimensions has. */
AVX512_INLINE void decode_32(const struct tables *tables, size_t pack, const uint8_t *codes,
                             size_t row_bytes, uint8_t *out) {
    const __m256i halves = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    __m256i low = _mm256_and_si256(bytes, halves);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), halves);
    for (size_t p = 0; p < pack; p++, out += 2 * row_bytes) {
        __m256i table = _mm512_castsi512_si256(tables->planes[p]);
        _mm256_storeu_si256((__m256i *)(void *)out, _mm256_shuffle_epi8(table, low));
        _mm256_storeu_si256((__m256i *)(void *)(out + row_bytes), _mm256_shuffle_epi8(table, high));
    }
}

/* The same for n < 32. */
AVX512_INLINE void decode_rest(const struct tables *tables, size_t pack, const uint8_t *codes,
                               size_t n, size_t row_bytes, uint8_t *out) {
    const __m512i halves = _mm512_set1_epi8(15);
    __mmask64 mask = ((__mmask64)1 << n) - 1;
    __m512i bytes = _mm512_maskz_loadu_epi8(mask, codes);
    __m512i low = _mm512_and_si512(bytes, halves);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), halves);
    for (size_t p = 0; p < pack; p++, out += 2 * row_bytes) {
        _mm512_mask_storeu_epi8(out, mask, _mm512_shuffle_epi8(tables->planes[p], low));
        _mm512_mask_storeu_epi8(out + row_bytes, mask,
                                _mm512_shuffle_epi8(tables->planes[p], high));
    }
}

/* out: [2 row_bytes pack]. pack is a constant where this is inlined, so that the tables stay in
 * registers. */
AVX512_INLINE void decode_row(const struct tables *tables, size_t pack, const uint8_t *codes,
                              size_t row_bytes, uint8_t *out) {
    size_t i = 0;
    for (; i + 64 <= row_bytes; i += 64)
        decode_64(tables, pack, codes + i, row_bytes, out + i);
    if (i + 32 <= row_bytes) {
        decode_32(tables, pack, codes + i, row_bytes, out + i);
        i += 32;
    }
    if (i < row_bytes)
        decode_rest(tables, pack, codes + i, row_bytes - i, row_bytes, out + i);
}

/* decoded: [n, stride], the rows from `first` on. */
AVX512_INLINE void decode_rows(const struct maxsim_rows *rows, size_t first, size_t n, size_t pack,
                               size_t stride, uint8_t *decoded) {
    struct tables tables = tables_of(rows, pack);
    for (size_t r = 0; r < n; r++)
        decode_row(&tables, pack, rows->codes + (first + r) * rows->row_bytes, rows->row_bytes,
                   decoded + r * stride);
}

AVX512 static void decode_block(const struct maxsim_rows *rows, size_t first, size_t n,
                                size_t stride, uint8_t *decoded) {
    switch (rows->pack) {
    case 1: decode_rows(rows, first, n, 1, stride, decoded); break;
    case 2: decode_rows(rows, first, n, 2, stride, decoded); break;
    case 3: decode_rows(rows, first, n, 3, stride, decoded); break;
    default: decode_rows(rows, first, n, MAXSIM_PACK_MAX, stride, decoded);
    }
}

/* ---- VNNI ---- */

/* Enough sums at once to hide a product's delay, few enough to stay in registers. Fewer for the
 * last rows, and for a document's mean, which is one. */
enum { VNNI_ROWS = 8, VNNI_FEW = 3, VNNI_GROUPS = 2 };

/* vpdpbusd adds to each lane four products of bytes and values. By its name: around the intrinsic
 * gcc 12 copies each sum to another register and back, which takes a fifth of the time. */
AVX512_INLINE __m512i add_products(__m512i sums, __m512i bytes, __m512i values) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(bytes), "v"(values));
    return sums;
}

/* `rows` rows, each four coordinates broadcast, against `groups` (1 or 2) groups; both are
 * constants where this is inlined. Only rows_n of the rows count. */
AVX512_INLINE void vnni_rows(const int8_t *values, const int32_t *begins, size_t fours_n,
                             size_t rows, size_t groups, const uint8_t *decoded,
                             const float *scales, size_t rows_n, float *best) {
    size_t group_bytes = fours_n * MAXSIM_LANES * 4;
    __m512i sums[VNNI_GROUPS][VNNI_ROWS];
    for (size_t g = 0; g < groups; g++)
        for (size_t r = 0; r < rows; r++)
            sums[g][r] = _mm512_loadu_si512(begins + g * MAXSIM_LANES);
    for (size_t s = 0; s < fours_n; s++)
        for (size_t r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, decoded + 4 * (r * fours_n + s), sizeof four);
            for (size_t g = 0; g < groups; g++) {
                const int8_t *at = values + g * group_bytes + s * MAXSIM_LANES * 4;
                sums[g][r] =
                    add_products(sums[g][r], _mm512_set1_epi32(four), _mm512_loadu_si512(at));
            }
        }
    for (size_t g = 0; g < groups; g++) {
        __m512 most = _mm512_loadu_ps(best + g * MAXSIM_LANES);
        for (size_t r = 0; r < rows; r++) /* sums are indexed by constants: registers */
            if (r < rows_n)
                most = _mm512_max_ps(
                    _mm512_mul_ps(_mm512_set1_ps(scales[r]), _mm512_cvtepi32_ps(sums[g][r])), most);
        _mm512_storeu_ps(best + g * MAXSIM_LANES, most);
    }
}

AVX512_INLINE void vnni_groups(const struct maxsim_query *query, size_t rows, const float *scales,
                               size_t rows_n, float *best) {
    size_t stride = query->steps_n * MAXSIM_STEP_DIMS, group_bytes = stride * MAXSIM_LANES, g = 0;
    for (; g + VNNI_GROUPS <= query->groups_n; g += VNNI_GROUPS)
        vnni_rows(query->values + g * group_bytes, query->begins + g * MAXSIM_LANES, stride / 4,
                  rows, VNNI_GROUPS, query->scratch, scales, rows_n, best + g * MAXSIM_LANES);
    if (g < query->groups_n)
        vnni_rows(query->values + g * group_bytes, query->begins + g * MAXSIM_LANES, stride / 4,
                  rows, 1, query->scratch, scales, rows_n, best + g * MAXSIM_LANES);
}

AVX512 void maxsim_best_avx512(const struct maxsim_query *query, const struct maxsim_rows *rows,
                               float *best) {
    size_t stride = query->steps_n * MAXSIM_STEP_DIMS;
    for (size_t first = 0; first < rows->n; first += VNNI_ROWS) {
        size_t n = rows->n - first < VNNI_ROWS ? rows->n - first : VNNI_ROWS;
        decode_block(rows, first, n, stride, query->scratch);
        if (n <= VNNI_FEW)
            vnni_groups(query, VNNI_FEW, rows->scales + first, n, best);
        else
            vnni_groups(query, VNNI_ROWS, rows->scales + first, n, best);
    }
}

/* ---- AMX ----
 *   tiles 0..3   sums: 2 x 16 rows by 2 groups of 16 query vectors
 *   tiles 4, 5   16 decoded rows, 64 dimensions of each
 *   tiles 6, 7   16 x 4 dimensions of 16 query vectors */

#define AMX_TARGET AVX512_TARGET ",amx-tile,amx-int8"
#define AMX __attribute__((target(AMX_TARGET)))
#define AMX_INLINE static inline __attribute__((always_inline, target(AMX_TARGET)))

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_BYTES = 1024 };

/* The operand of ldtilecfg (Intel's manual). */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

AMX_INLINE void tiles_begin(void) {
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = TILE_ROW_BYTES;
        config.rows[i] = TILE_ROWS;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* gcc 12 takes it to read 8 bytes */
    _tile_loadconfig(&config);
}

/* 32 rows by two groups. Tiles of sums begin with the query's begins in every row: stride 0.
 * sums_out: [2 groups, MAXSIM_BLOCK_ROWS, MAXSIM_LANES]. */
AMX_INLINE void tiles_two_groups(const struct maxsim_query *query, size_t g, int32_t *sums_out) {
    size_t stride = MAXSIM_SCRATCH_STRIDE(query->steps_n),
           group_bytes = query->steps_n * TILE_BYTES;
    const uint8_t *upper = query->scratch, *lower = upper + TILE_ROWS * stride;
    const int8_t *left = query->values + g * group_bytes, *right = left + group_bytes;
    const int32_t *begins = query->begins + g * MAXSIM_LANES;
    _tile_loadd(0, begins, 0);
    _tile_loadd(1, begins + MAXSIM_LANES, 0);
    _tile_loadd(2, begins, 0);
    _tile_loadd(3, begins + MAXSIM_LANES, 0);
    for (size_t s = 0; s < query->steps_n; s++) {
        _tile_loadd(4, upper + s * TILE_ROW_BYTES, stride);
        _tile_loadd(6, left + s * TILE_BYTES, TILE_ROW_BYTES);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, right + s * TILE_BYTES, TILE_ROW_BYTES);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(5, lower + s * TILE_ROW_BYTES, stride);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    int32_t *second = sums_out + MAXSIM_BLOCK_ROWS * MAXSIM_LANES;
    _tile_stored(0, sums_out, TILE_ROW_BYTES);
    _tile_stored(1, second, TILE_ROW_BYTES);
    _tile_stored(2, sums_out + TILE_ROWS * MAXSIM_LANES, TILE_ROW_BYTES);
    _tile_stored(3, second + TILE_ROWS * MAXSIM_LANES, TILE_ROW_BYTES);
}

/* 16 rows (the first, or from `row` on) by one group. sums_out: [TILE_ROWS, MAXSIM_LANES]. */
AMX_INLINE void tiles_one_group(const struct maxsim_query *query, size_t g, size_t row,
                                int32_t *sums_out) {
    size_t stride = MAXSIM_SCRATCH_STRIDE(query->steps_n);
    const uint8_t *upper = query->scratch + row * stride;
    const int8_t *values = query->values + g * query->steps_n * TILE_BYTES;
    _tile_loadd(0, query->begins + g * MAXSIM_LANES, 0);
    for (size_t s = 0; s < query->steps_n; s++) {
        _tile_loadd(4, upper + s * TILE_ROW_BYTES, stride);
        _tile_loadd(6, values + s * TILE_BYTES, TILE_ROW_BYTES);
        _tile_dpbusd(0, 4, 6);
    }
    _tile_stored(0, sums_out, TILE_ROW_BYTES);
}

/* sums: [n, MAXSIM_LANES]. Two maxima side by side, each waits for half of the rows only. */
AMX_INLINE void raise_best(const int32_t *sums, const float *scales, size_t n, float *best) {
    __m512 even = _mm512_loadu_ps(best), odd = even;
    size_t r = 0;
    for (; r + 2 <= n; r += 2) {
        __m512i first = _mm512_loadu_si512(sums + r * MAXSIM_LANES);
        __m512i second = _mm512_loadu_si512(sums + (r + 1) * MAXSIM_LANES);
        even = _mm512_max_ps(_mm512_mul_ps(_mm512_set1_ps(scales[r]), _mm512_cvtepi32_ps(first)),
                             even);
        odd = _mm512_max_ps(
            _mm512_mul_ps(_mm512_set1_ps(scales[r + 1]), _mm512_cvtepi32_ps(second)), odd);
    }
    if (r < n)
        even = _mm512_max_ps(
            _mm512_mul_ps(_mm512_set1_ps(scales[r]),
                          _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + r * MAXSIM_LANES))),
            even);
    _mm512_storeu_ps(best, _mm512_max_ps(even, odd));
}

/* Rows beyond the last are whatever the scratch holds: multiplied too, but never looked at. */
AMX void maxsim_best_amx(const struct maxsim_query *query, const struct maxsim_rows *rows,
                         float *best) {
    _Alignas(64) int32_t sums[2 * MAXSIM_BLOCK_ROWS * MAXSIM_LANES];
    size_t stride = MAXSIM_SCRATCH_STRIDE(query->steps_n);
    tiles_begin();
    for (size_t first = 0; first < rows->n; first += MAXSIM_BLOCK_ROWS) {
        size_t n = rows->n - first < MAXSIM_BLOCK_ROWS ? rows->n - first : MAXSIM_BLOCK_ROWS;
        const float *scales = rows->scales + first;
        size_t g = 0;
        decode_block(rows, first, n, stride, query->scratch);
        for (; n > TILE_ROWS && g + 2 <= query->groups_n; g += 2) {
            tiles_two_groups(query, g, sums);
            raise_best(sums, scales, n, best + g * MAXSIM_LANES);
            raise_best(sums + MAXSIM_BLOCK_ROWS * MAXSIM_LANES, scales, n,
                       best + (g + 1) * MAXSIM_LANES);
        }
        for (; g < query->groups_n; g++)
            for (size_t row = 0; row < n; row += TILE_ROWS) {
                tiles_one_group(query, g, row, sums);
                raise_best(sums, scales + row, n - row < TILE_ROWS ? n - row : TILE_ROWS,
                           best + g * MAXSIM_LANES);
            }
    }
    _tile_release();
}

#endif
