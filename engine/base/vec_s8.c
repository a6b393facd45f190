#include "engine/base/vec_s8.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/base/mem.h"

/* Rows are read ahead by so many: they lie one behind the other, or anywhere (after a filter). */
enum { AHEAD = 8 };

/* ---- rounding ---- */

static float largest(const float *in, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    return most;
}

struct vec_s8_query vec_s8_query_new(size_t dim) {
    return (struct vec_s8_query){
        .high = mem_alloc_aligned(dim, 1),
        .low = mem_alloc_aligned(dim, 1),
        .byte = mem_alloc_aligned(dim, 1),
        .whole = mem_alloc_aligned(dim, sizeof(int16_t)),
        .dim = dim,
    };
}

void vec_s8_query_done(struct vec_s8_query *query) {
    free(query->high);
    free(query->low);
    free(query->byte);
    free(query->whole);
    *query = (struct vec_s8_query){0};
}

/* 1 / scale, or 0 where that is no number: tiny vectors become zeros. */
static float inverse(float scale) {
    float inverted = 1 / scale;
    return isfinite(inverted) ? inverted : 0;
}

void vec_s8_query_set(struct vec_s8_query *query, const float *in) {
    float most = largest(in, query->dim), lost = 0;
    query->scale = most / VEC_S8_QUERY_MAX;
    query->byte_scale = most / 127;
    float up = inverse(query->scale), byte_up = inverse(query->byte_scale);
    query->sum = query->byte_sum = 0;
    for (size_t i = 0; i < query->dim; i++) {
        int whole = (int)rintf(in[i] * up), high = (whole + 32) >> 6;
        float rest = in[i] - query->scale * (float)whole;
        query->whole[i] = (int16_t)whole;
        query->high[i] = (int8_t)high;
        query->low[i] = (int8_t)(whole - 64 * high);
        query->byte[i] = (int8_t)rintf(in[i] * byte_up);
        query->sum += whole;
        query->byte_sum += query->byte[i];
        lost += rest * rest;
    }
    query->error = sqrtf(lost);
}

void vec_s8_encode(const float *in, size_t dim, uint8_t *out, float *scale_out, float *error_out) {
    float scale = largest(in, dim) / 127, up = inverse(scale), lost = 0;
    for (size_t i = 0; i < dim; i++) {
        float whole = rintf(in[i] * up), rest = in[i] - scale * whole;
        out[i] = (uint8_t)((int)whole + VEC_S8_BIAS);
        lost += rest * rest;
    }
    *scale_out = scale;
    *error_out = sqrtf(lost);
}

/* ---- plain C ---- */

static void dots_plain(const struct vec_s8_query *query, const uint8_t *rows, const uint32_t *which,
                       size_t n, float *sums_out) {
    for (size_t r = 0; r < n; r++) {
        const uint8_t *row = rows + which[r] * query->dim;
        int64_t sum = 0;
        for (size_t i = 0; i < query->dim; i++)
            sum += (row[i] - VEC_S8_BIAS) * query->whole[i];
        sums_out[r] = (float)sum;
    }
}

static void signs_plain(const struct vec_s8_query *query, const uint8_t *signs,
                        const uint32_t *which, size_t n, float *sums_out) {
    for (size_t r = 0; r < n; r++) {
        const uint8_t *row = signs + which[r] * (query->dim / 8);
        int32_t sum = 0;
        for (size_t i = 0; i < query->dim; i++)
            sum += row[i / 8] >> (i % 8) & 1 ? query->byte[i] : -query->byte[i];
        sums_out[r] = (float)sum;
    }
}

/* ---- AVX2 ---- */

#if defined(__x86_64__)

static inline void read_ahead(const uint8_t *rows, size_t row_bytes, const uint32_t *which,
                              size_t n, size_t r) {
    if (r + AHEAD >= n)
        return;
    const uint8_t *row = rows + which[r + AHEAD] * row_bytes;
    for (size_t i = 0; i < row_bytes; i += 64)
        __builtin_prefetch(row + i);
}

/* Not for a row of bytes that lies right behind the one before it: the processor reads on by
 * itself, and sooner without so many requests (100 MB in 8.6 ms instead of 10.9). */
static inline void read_ahead_apart(const uint8_t *rows, size_t row_bytes, const uint32_t *which,
                                    size_t n, size_t r) {
    if (r + AHEAD < n && which[r + AHEAD] != which[r + AHEAD - 1] + 1)
        read_ahead(rows, row_bytes, which, n, r);
}

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma,f16c")))

AVX2_INLINE __m256i load32(const void *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}

AVX2_INLINE int64_t sum_epi32(__m256i v) {
    int32_t lanes[8];
    int64_t sum = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (size_t i = 0; i < 8; i++)
        sum += lanes[i];
    return sum;
}

/* Sixteen signed products at a time; a lane's sum grows by 2 x 127 x 8,096 for 16 dimensions and
 * stays below 2^31 up to VEC_S8_DIM_MAX. */
AVX2 static void dots_avx2(const struct vec_s8_query *query, const uint8_t *rows,
                           const uint32_t *which, size_t n, float *sums_out) {
    const __m128i bias = _mm_set1_epi8((char)0x80);
    for (size_t r = 0; r < n; r++) {
        const uint8_t *row = rows + which[r] * query->dim;
        __m256i even = _mm256_setzero_si256(), odd = even;
        read_ahead_apart(rows, query->dim, which, n, r);
        for (size_t i = 0; i < query->dim; i += 32) {
            __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(row + i));
            __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(row + i + 16));
            even = _mm256_add_epi32(
                even, _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_xor_si128(low, bias)),
                                        load32(query->whole + i)));
            odd = _mm256_add_epi32(
                odd, _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_xor_si128(high, bias)),
                                       load32(query->whole + i + 16)));
        }
        sums_out[r] = (float)(sum_epi32(even) + sum_epi32(odd));
    }
}

/* A bit becomes a byte of ones or zeros, which picks the query's byte. Pairs are added in s16: at
 * most 2 x 127 for 32 dimensions, so 64 steps cannot overflow. */
enum { AVX2_STEPS_IN_S16 = 64 };

AVX2 static void signs_avx2(const struct vec_s8_query *query, const uint8_t *signs,
                            const uint32_t *which, size_t n, float *sums_out) {
    const __m256i spread =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bits = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i ones8 = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
    size_t row_bytes = query->dim / 8;
    for (size_t r = 0; r < n; r++) {
        const uint8_t *row = signs + which[r] * row_bytes;
        __m256i sum = _mm256_setzero_si256();
        read_ahead(signs, row_bytes, which, n, r);
        for (size_t i = 0; i < query->dim;) {
            size_t end =
                i + 32 * AVX2_STEPS_IN_S16 < query->dim ? i + 32 * AVX2_STEPS_IN_S16 : query->dim;
            __m256i narrow = _mm256_setzero_si256();
            for (; i < end; i += 32) {
                int32_t four;
                memcpy(&four, row + i / 8, sizeof four);
                __m256i byte = _mm256_shuffle_epi8(_mm256_set1_epi32(four), spread);
                __m256i mask = _mm256_cmpeq_epi8(_mm256_and_si256(byte, bits), bits);
                __m256i picked = _mm256_and_si256(mask, load32(query->byte + i));
                narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(ones8, picked));
            }
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(narrow, ones16));
        }
        sums_out[r] = (float)(2 * sum_epi32(sum) - query->byte_sum);
    }
}

/* ---- AVX-512 with VNNI ---- */

#define AVX512_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"
#define AVX512 __attribute__((target(AVX512_TARGET)))
#define AVX512_INLINE static inline __attribute__((always_inline, target(AVX512_TARGET)))

/* The sums of four registers' lanes. */
AVX512_INLINE __m128i sum4_epi32(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Rows r .. r + 3 of which[0 .. n), the last one again where there are fewer. */
static inline void four_rows(const uint8_t *rows, size_t row_bytes, const uint32_t *which, size_t n,
                             size_t r, const uint8_t *out[4]) {
    for (size_t i = 0; i < 4; i++)
        out[i] = rows + which[r + i < n ? r + i : n - 1] * row_bytes;
}

/* vpdpbusd wants unsigned times signed: the bias is taken off at the end. Four rows share the loads
 * of the query. */
AVX512_INLINE void dots4_avx512(const struct vec_s8_query *query, const uint8_t *const rows[4],
                                float sums_out[4]) {
    const uint8_t *row0 = rows[0], *row1 = rows[1], *row2 = rows[2], *row3 = rows[3];
    __m512i high0 = _mm512_setzero_si512(), high1 = high0, high2 = high0, high3 = high0;
    __m512i low0 = high0, low1 = high0, low2 = high0, low3 = high0;
    for (size_t i = 0; i < query->dim; i += 64) {
        __m512i high = _mm512_loadu_si512(query->high + i);
        __m512i low = _mm512_loadu_si512(query->low + i);
        __m512i bytes0 = _mm512_loadu_si512(row0 + i), bytes1 = _mm512_loadu_si512(row1 + i);
        __m512i bytes2 = _mm512_loadu_si512(row2 + i), bytes3 = _mm512_loadu_si512(row3 + i);
        high0 = _mm512_dpbusd_epi32(high0, bytes0, high);
        high1 = _mm512_dpbusd_epi32(high1, bytes1, high);
        high2 = _mm512_dpbusd_epi32(high2, bytes2, high);
        high3 = _mm512_dpbusd_epi32(high3, bytes3, high);
        low0 = _mm512_dpbusd_epi32(low0, bytes0, low);
        low1 = _mm512_dpbusd_epi32(low1, bytes1, low);
        low2 = _mm512_dpbusd_epi32(low2, bytes2, low);
        low3 = _mm512_dpbusd_epi32(low3, bytes3, low);
    }
    __m256i high = _mm256_cvtepi32_epi64(sum4_epi32(high0, high1, high2, high3));
    __m256i low = _mm256_cvtepi32_epi64(sum4_epi32(low0, low1, low2, low3));
    __m256i sum = _mm256_add_epi64(_mm256_slli_epi64(high, 6), low);
    sum = _mm256_sub_epi64(sum, _mm256_set1_epi64x(VEC_S8_BIAS * query->sum));
    _mm_storeu_ps(sums_out, _mm256_cvtepi64_ps(sum));
}

AVX512_INLINE void dots1_avx512(const struct vec_s8_query *query, const uint8_t *row,
                                float *sum_out) {
    __m512i high = _mm512_setzero_si512(), low = high;
    for (size_t i = 0; i < query->dim; i += 64) {
        __m512i bytes = _mm512_loadu_si512(row + i);
        high = _mm512_dpbusd_epi32(high, bytes, _mm512_loadu_si512(query->high + i));
        low = _mm512_dpbusd_epi32(low, bytes, _mm512_loadu_si512(query->low + i));
    }
    int64_t sum = 64 * (int64_t)_mm512_reduce_add_epi32(high) + _mm512_reduce_add_epi32(low);
    *sum_out = (float)(sum - VEC_S8_BIAS * query->sum);
}

AVX512 static void dots_avx512(const struct vec_s8_query *query, const uint8_t *rows,
                               const uint32_t *which, size_t n, float *sums_out) {
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        const uint8_t *four[4];
        four_rows(rows, query->dim, which, n, r, four);
        for (size_t i = 0; i < 4; i++)
            read_ahead_apart(rows, query->dim, which, n, r + i);
        dots4_avx512(query, four, sums_out + r);
    }
    for (; r < n; r++)
        dots1_avx512(query, rows + which[r] * query->dim, sums_out + r);
}

/* A mask register holds 64 signs and picks the query's bytes. */
AVX512_INLINE __m512i add_picked(__m512i sum, const uint8_t *signs, __m512i bytes) {
    uint64_t mask;
    memcpy(&mask, signs, sizeof mask);
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1),
                               _mm512_maskz_mov_epi8(_cvtu64_mask64(mask), bytes));
}

AVX512_INLINE void signs4_avx512(const struct vec_s8_query *query, const uint8_t *const rows[4],
                                 float sums_out[4]) {
    const uint8_t *row0 = rows[0], *row1 = rows[1], *row2 = rows[2], *row3 = rows[3];
    __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (size_t i = 0; i < query->dim / 8; i += 8) {
        __m512i bytes = _mm512_loadu_si512(query->byte + 8 * i);
        sum0 = add_picked(sum0, row0 + i, bytes);
        sum1 = add_picked(sum1, row1 + i, bytes);
        sum2 = add_picked(sum2, row2 + i, bytes);
        sum3 = add_picked(sum3, row3 + i, bytes);
    }
    __m128i sums = _mm_slli_epi32(sum4_epi32(sum0, sum1, sum2, sum3), 1);
    sums = _mm_sub_epi32(sums, _mm_set1_epi32(query->byte_sum));
    _mm_storeu_ps(sums_out, _mm_cvtepi32_ps(sums));
}

AVX512 static void signs_avx512(const struct vec_s8_query *query, const uint8_t *signs,
                                const uint32_t *which, size_t n, float *sums_out) {
    for (size_t r = 0; r < n; r += 4) {
        const uint8_t *four[4];
        float sums[4];
        four_rows(signs, query->dim / 8, which, n, r, four);
        for (size_t i = 0; i < 4; i++)
            read_ahead(signs, query->dim / 8, which, n, r + i);
        signs4_avx512(query, four, sums);
        memcpy(sums_out + r, sums, (n - r < 4 ? n - r : 4) * sizeof *sums);
    }
}
#endif

/* ---- the choice ---- */

static const struct vec_s8_kind kinds[] = {
    [CPU_PLAIN] = {dots_plain, signs_plain},
#if defined(__x86_64__)
    [CPU_AVX2] = {dots_avx2, signs_avx2},
    [CPU_AVX512] = {dots_avx512, signs_avx512},
#endif
};

const struct vec_s8_kind *vec_s8_kind_of(enum cpu_level level) {
    return level <= cpu_level() ? &kinds[level] : NULL;
}

void vec_s8_dots(const struct vec_s8_query *query, const uint8_t *rows, const uint32_t *which,
                 size_t n, float *sums_out) {
    assert(query->dim % VEC_S8_STEP == 0 && query->dim <= VEC_S8_DIM_MAX);
    kinds[cpu_level()].dots(query, rows, which, n, sums_out);
}

void vec_s8_signs(const struct vec_s8_query *query, const uint8_t *signs, const uint32_t *which,
                  size_t n, float *sums_out) {
    assert(query->dim % VEC_S8_STEP == 0 && query->dim <= VEC_S8_DIM_MAX);
    kinds[cpu_level()].signs(query, signs, which, n, sums_out);
}
