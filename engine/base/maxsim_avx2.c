/* MaxSim with AVX2: bytes times bytes into sums of 16 bits (vpmaddubsw), widened in time; and with
 * AVX-VNNI (vpdpbusd), which adds them in 32 bits at once. */
#include <string.h>

#include "engine/base/maxsim_kinds.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

/* A lane's s16 sum grows by at most 2 x 30 x 127 = 7,620 a step, so 4 steps cannot overflow it. */
enum { STEPS_IN_S16 = 4, ROWS = 4, HALF_LANES = 8 };

/* At most 32 codes' worth of one coordinate, low halves and high halves. */
AVX2_INLINE void decode_32(const uint8_t *points, __m256i low, __m256i high, uint8_t *low_out,
                           uint8_t *high_out) {
    __m256i table =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)points));
    _mm256_storeu_si256((__m256i *)(void *)low_out, _mm256_shuffle_epi8(table, low));
    _mm256_storeu_si256((__m256i *)(void *)high_out, _mm256_shuffle_epi8(table, high));
}

AVX2_INLINE void decode_row(const struct maxsim_rows *rows, size_t row, uint8_t *out) {
    const uint8_t *codes = rows->codes + row * rows->row_bytes;
    const __m256i halves = _mm256_set1_epi8(15);
    size_t n = rows->row_bytes, i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
        __m256i low = _mm256_and_si256(bytes, halves);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), halves);
        for (size_t p = 0; p < rows->pack; p++)
            decode_32(rows->points[p], low, high, out + 2 * p * n + i, out + (2 * p + 1) * n + i);
    }
    for (; i < n; i++)
        for (size_t p = 0; p < rows->pack; p++) {
            out[2 * p * n + i] = rows->points[p][codes[i] & 15];
            out[(2 * p + 1) * n + i] = rows->points[p][codes[i] >> 4];
        }
}

/* Raises best to the products of the first rows_n sums. */
AVX2_INLINE void raise_best(const __m256i *sums, const float *scales, size_t rows_n, float *best) {
    __m256 most = _mm256_loadu_ps(best);
    for (size_t r = 0; r < rows_n; r++)
        most = _mm256_max_ps(_mm256_mul_ps(_mm256_set1_ps(scales[r]), _mm256_cvtepi32_ps(sums[r])),
                             most);
    _mm256_storeu_ps(best, most);
}

/* ROWS rows against half a group. decoded: [ROWS, 4 fours_n]; only rows_n of them count. */
AVX2_INLINE void best_of_rows(const int8_t *values, const int32_t *begins, size_t fours_n,
                              const uint8_t *decoded, const float *scales, size_t rows_n,
                              float *best) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[ROWS];
    for (size_t r = 0; r < ROWS; r++)
        sums[r] = _mm256_loadu_si256((const __m256i *)(const void *)begins);
    for (size_t s = 0; s < fours_n; s += STEPS_IN_S16) {
        __m256i narrow[ROWS];
        for (size_t r = 0; r < ROWS; r++)
            narrow[r] = _mm256_setzero_si256();
        for (size_t t = s; t < s + STEPS_IN_S16; t++) {
            __m256i q =
                _mm256_load_si256((const __m256i *)(const void *)(values + t * MAXSIM_LANES * 4));
            for (size_t r = 0; r < ROWS; r++) {
                int32_t four;
                memcpy(&four, decoded + 4 * (r * fours_n + t), sizeof four);
                narrow[r] =
                    _mm256_add_epi16(narrow[r], _mm256_maddubs_epi16(_mm256_set1_epi32(four), q));
            }
        }
        for (size_t r = 0; r < ROWS; r++)
            sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(narrow[r], ones));
    }
    raise_best(sums, scales, rows_n, best);
}

/* ---- plain AVX2 ---- */

AVX2 void maxsim_best_avx2(const struct maxsim_query *query, const struct maxsim_rows *rows,
                           float *best) {
    size_t fours_n = query->steps_n * MAXSIM_STEP_DIMS / 4;
    uint8_t *decoded = query->scratch;
    for (size_t first = 0; first < rows->n; first += ROWS) {
        size_t n = rows->n - first < ROWS ? rows->n - first : ROWS;
        for (size_t r = 0; r < n; r++)
            decode_row(rows, first + r, decoded + r * 4 * fours_n);
        for (size_t half = 0; half < 2 * query->groups_n; half++)
            best_of_rows(query->values + half / 2 * fours_n * MAXSIM_LANES * 4 +
                             half % 2 * HALF_LANES * 4,
                         query->begins + half * HALF_LANES, fours_n, decoded, rows->scales + first,
                         n, best + half * HALF_LANES);
    }
}

/* ---- AVX-VNNI ---- */

#define AVXVNNI __attribute__((target("avx2,avxvnni")))
#define AVXVNNI_INLINE static inline __attribute__((always_inline, target("avx2,avxvnni")))

/* Two halves of a group for each: 12 sums, and all 16 registers are taken. */
enum { VNNI_ROWS = 6 };

/* vpdpbusd by its name, as in maxsim_avx512.c. */
AVXVNNI_INLINE __m256i add_products(__m256i sums, __m256i bytes, __m256i values) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(bytes), "x"(values));
    return sums;
}

/* VNNI_ROWS rows against a group. */
AVXVNNI_INLINE void vnni_rows(const int8_t *values, const int32_t *begins, size_t fours_n,
                              const uint8_t *decoded, const float *scales, size_t rows_n,
                              float *best) {
    __m256i left[VNNI_ROWS], right[VNNI_ROWS];
    for (size_t r = 0; r < VNNI_ROWS; r++) {
        left[r] = _mm256_loadu_si256((const __m256i *)(const void *)begins);
        right[r] = _mm256_loadu_si256((const __m256i *)(const void *)(begins + HALF_LANES));
    }
    for (size_t s = 0; s < fours_n; s++) {
        const int8_t *at = values + s * MAXSIM_LANES * 4;
        __m256i q = _mm256_load_si256((const __m256i *)(const void *)at);
        __m256i p = _mm256_load_si256((const __m256i *)(const void *)(at + HALF_LANES * 4));
        for (size_t r = 0; r < VNNI_ROWS; r++) {
            int32_t four;
            memcpy(&four, decoded + 4 * (r * fours_n + s), sizeof four);
            __m256i bytes = _mm256_set1_epi32(four);
            left[r] = add_products(left[r], bytes, q);
            right[r] = add_products(right[r], bytes, p);
        }
    }
    raise_best(left, scales, rows_n, best);
    raise_best(right, scales, rows_n, best + HALF_LANES);
}

AVXVNNI void maxsim_best_avxvnni(const struct maxsim_query *query, const struct maxsim_rows *rows,
                                 float *best) {
    size_t fours_n = query->steps_n * MAXSIM_STEP_DIMS / 4;
    uint8_t *decoded = query->scratch;
    for (size_t first = 0; first < rows->n; first += VNNI_ROWS) {
        size_t n = rows->n - first < VNNI_ROWS ? rows->n - first : VNNI_ROWS;
        for (size_t r = 0; r < n; r++)
            decode_row(rows, first + r, decoded + r * 4 * fours_n);
        for (size_t g = 0; g < query->groups_n; g++)
            vnni_rows(query->values + g * fours_n * MAXSIM_LANES * 4,
                      query->begins + g * MAXSIM_LANES, fours_n, decoded, rows->scales + first, n,
                      best + g * MAXSIM_LANES);
    }
}

#endif
