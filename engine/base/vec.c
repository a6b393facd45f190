#include "engine/base/vec.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- plain C ---- */

static float bits_to_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t float_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
    if (rest > 0x7c00) /* a NaN, made quiet as F16C does */
        return bits_to_float(sign | 0x7fc00000 | rest << 13);
    if (rest == 0x7c00)
        return bits_to_float(sign | 0x7f800000);
    /* Moved to f32's places the exponent is 112 too small, for subnormal halves as well. */
    return bits_to_float(sign | rest << 13) * 0x1p112f;
}

static uint16_t float_to_half(float value) {
    uint32_t bits = float_to_bits(value), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* 65,520 lies midway between the largest half and 65,536 */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) /* subnormal: a step of f32 at 0.5 is a step of half at 0 */
        return (uint16_t)(sign | (float_to_bits(bits_to_float(bits) + 0.5f) - 0x3f000000));
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | (bits - 0x38000000) >> 13);
}

static uint16_t half_at(const void *row, size_t i) {
    uint16_t half;
    memcpy(&half, (const uint8_t *)row + 2 * i, sizeof half);
    return half;
}

/* Eight sums side by side, which a compiler may put in registers of any width. */
enum { PLAIN_SUMS = 8 };

static float plain_total(const float *sums) {
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static float dot_f32_plain(const float *a, const float *b, size_t n) {
    float sums[PLAIN_SUMS] = {0}, rest = 0;
    size_t i = 0;
    for (; i + PLAIN_SUMS <= n; i += PLAIN_SUMS)
        for (size_t j = 0; j < PLAIN_SUMS; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        rest += a[i] * b[i];
    return plain_total(sums) + rest;
}

static float dot_f16_plain(const float *a, const void *row, size_t n) {
    float sums[PLAIN_SUMS] = {0}, rest = 0;
    size_t i = 0;
    for (; i + PLAIN_SUMS <= n; i += PLAIN_SUMS)
        for (size_t j = 0; j < PLAIN_SUMS; j++)
            sums[j] += a[i + j] * half_to_float(half_at(row, i + j));
    for (; i < n; i++)
        rest += a[i] * half_to_float(half_at(row, i));
    return plain_total(sums) + rest;
}

static void to_f16_plain(const float *in, size_t n, void *out) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half = float_to_half(in[i]);
        memcpy((uint8_t *)out + 2 * i, &half, sizeof half);
    }
}

static void from_f16_plain(const void *in, size_t n, float *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = half_to_float(half_at(in, i));
}

/* ---- 4-bit codes: what the kinds share ---- */

/* Rows unpacked to a byte a dimension before they meet the query: once a row, against 16 or more
 * query vectors. Repeating a row does no harm to a maximum, so the last block is filled up so. */
enum { U4_ROWS = 4 };

/* Inlined into each kind, so that it is compiled for that kind's registers. */
static inline __attribute__((always_inline)) void
u4_unpack(const uint8_t *restrict row, size_t row_bytes, size_t stride, uint8_t *restrict out) {
    for (size_t i = 0; i < row_bytes; i++)
        out[i] = row[i] & 15;
    for (size_t i = 0; i < row_bytes; i++)
        out[row_bytes + i] = row[i] >> 4;
    for (size_t i = 2 * row_bytes; i < stride; i++) /* up to 3; the query is 0 there */
        out[i] = 0;
}

/* codes_out: [U4_ROWS, stride], the rows from `first` on; scales_out: [U4_ROWS]. */
static inline __attribute__((always_inline)) void
u4_unpack_block(const uint8_t *rows, size_t row_bytes, const float *row_scales, size_t first,
                size_t rows_n, size_t stride, uint8_t *codes_out, float *scales_out) {
    for (size_t r = 0; r < U4_ROWS; r++) {
        size_t row = first + r < rows_n ? first + r : rows_n - 1;
        u4_unpack(rows + row * row_bytes, row_bytes, stride, codes_out + r * stride);
        scales_out[r] = row_scales[row];
    }
}

static void u4_best_plain(const struct vec_u4_query *query, const uint8_t *rows, size_t row_bytes,
                          const float *row_scales, size_t rows_n, float *best) {
    uint8_t codes[VEC_U4_DIM_MAX + 4];
    size_t steps_n = query->steps_n;
    for (size_t row = 0; row < rows_n; row++) {
        u4_unpack(rows + row * row_bytes, row_bytes, 4 * steps_n, codes);
        for (size_t g = 0; g < query->groups_n; g++) {
            const int8_t *values = query->values + g * steps_n * VEC_U4_LANES * 4;
            int32_t sums[VEC_U4_LANES] = {0};
            for (size_t s = 0; s < steps_n; s++, values += VEC_U4_LANES * 4)
                for (size_t lane = 0; lane < VEC_U4_LANES; lane++)
                    for (size_t d = 0; d < 4; d++)
                        sums[lane] += codes[4 * s + d] * values[4 * lane + d];
            for (size_t lane = 0; lane < VEC_U4_LANES; lane++) {
                size_t at = g * VEC_U4_LANES + lane;
                float product = row_scales[row] * (float)(2 * sums[lane] - query->offsets[at]);
                best[at] = product > best[at] ? product : best[at];
            }
        }
    }
}

/* ---- AVX2, FMA, F16C ---- */

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma,f16c")))

AVX2_INLINE float sum_ps(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

AVX2 static float dot_f32_avx2(const float *a, const float *b, size_t n) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    float sum = sum_ps(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Eight halves, wherever they lie. */
AVX2_INLINE __m256 load_halves(const uint8_t *at) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)at));
}

AVX2 static float dot_f16_avx2(const float *a, const void *row, size_t n) {
    const uint8_t *b = row;
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), load_halves(b + 2 * i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), load_halves(b + 2 * i + 16), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), load_halves(b + 2 * i + 32), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), load_halves(b + 2 * i + 48), s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), load_halves(b + 2 * i), s0);
    float sum = sum_ps(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    for (; i < n; i++)
        sum += a[i] * half_to_float(half_at(b, i));
    return sum;
}

AVX2 static void to_f16_avx2(const float *in, size_t n, void *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)((uint8_t *)out + 2 * i), halves);
    }
    to_f16_plain(in + i, n - i, (uint8_t *)out + 2 * i);
}

AVX2 static void from_f16_avx2(const void *in, size_t n, float *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, load_halves((const uint8_t *)in + 2 * i));
    from_f16_plain((const uint8_t *)in + 2 * i, n - i, out + i);
}

/* A lane's s16 sum grows by at most 2 x 15 x 127 = 3,810 a step, so 8 steps cannot overflow it. */
enum { AVX2_STEPS_IN_S16 = 8, AVX2_ROWS = 2 };

/* Two rows against half a group (8 query vectors). codes: [AVX2_ROWS, stride]. */
AVX2_INLINE void u4_rows_avx2(const int8_t *values, const int32_t *offsets, size_t steps_n,
                              const uint8_t *codes, const float *scales, float *best) {
    size_t stride = 4 * steps_n;
    __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[AVX2_ROWS] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t s = 0; s < steps_n;) {
        size_t end = s + AVX2_STEPS_IN_S16 < steps_n ? s + AVX2_STEPS_IN_S16 : steps_n;
        __m256i narrow[AVX2_ROWS] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (; s < end; s++) {
            __m256i q =
                _mm256_loadu_si256((const __m256i *)(const void *)(values + s * VEC_U4_LANES * 4));
            for (size_t r = 0; r < AVX2_ROWS; r++) {
                int32_t four;
                memcpy(&four, codes + r * stride + 4 * s, sizeof four);
                narrow[r] =
                    _mm256_add_epi16(narrow[r], _mm256_maddubs_epi16(_mm256_set1_epi32(four), q));
            }
        }
        for (size_t r = 0; r < AVX2_ROWS; r++)
            sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(narrow[r], ones));
    }
    __m256i offset = _mm256_loadu_si256((const __m256i *)(const void *)offsets);
    __m256 most = _mm256_loadu_ps(best);
    for (size_t r = 0; r < AVX2_ROWS; r++) {
        __m256i sum = _mm256_sub_epi32(_mm256_slli_epi32(sums[r], 1), offset);
        most =
            _mm256_max_ps(_mm256_mul_ps(_mm256_set1_ps(scales[r]), _mm256_cvtepi32_ps(sum)), most);
    }
    _mm256_storeu_ps(best, most);
}

AVX2 static void u4_best_avx2(const struct vec_u4_query *query, const uint8_t *rows,
                              size_t row_bytes, const float *row_scales, size_t rows_n,
                              float *best) {
    uint8_t codes[U4_ROWS * (VEC_U4_DIM_MAX + 4)];
    float scales[U4_ROWS];
    size_t steps_n = query->steps_n, stride = 4 * steps_n;
    for (size_t first = 0; first < rows_n; first += U4_ROWS) {
        u4_unpack_block(rows, row_bytes, row_scales, first, rows_n, stride, codes, scales);
        for (size_t eight = 0; eight < 2 * query->groups_n; eight++) {
            const int8_t *values =
                query->values + (eight / 2) * steps_n * VEC_U4_LANES * 4 + eight % 2 * 32;
            for (size_t r = 0; r < U4_ROWS; r += AVX2_ROWS)
                u4_rows_avx2(values, query->offsets + 8 * eight, steps_n, codes + r * stride,
                             scales + r, best + 8 * eight);
        }
    }
}

/* ---- AVX-512 with VNNI ---- */

#define AVX512_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"
#define AVX512 __attribute__((target(AVX512_TARGET)))
#define AVX512_INLINE static inline __attribute__((always_inline, target(AVX512_TARGET)))

AVX512_INLINE __mmask16 tail_mask(size_t n) {
    return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1);
}

AVX512 static float dot_f32_avx512(const float *a, const float *b, size_t n) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i < n; i += 16) {
        __mmask16 mask = tail_mask(n - i);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i),
                             s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

/* Sixteen halves, wherever they lie. */
AVX512_INLINE __m512 load_halves16(const uint8_t *at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

AVX512 static float dot_f16_avx512(const float *a, const void *row, size_t n) {
    const uint8_t *b = row;
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), load_halves16(b + 2 * i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), load_halves16(b + 2 * i + 32), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), load_halves16(b + 2 * i + 64), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), load_halves16(b + 2 * i + 96), s3);
    }
    for (; i < n; i += 16) {
        __mmask16 mask = tail_mask(n - i);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i),
                             _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, b + 2 * i)), s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

/* Four rows against `groups` (1 or 2) groups of query vectors: vpdpbusd adds four products of a
 * row's codes, broadcast, and the query's values to each lane. codes: [U4_ROWS, 4 steps_n]. */
AVX512_INLINE void u4_rows_avx512(const int8_t *values, const int32_t *offsets, size_t steps_n,
                                  size_t groups, const uint8_t *codes, const float *scales,
                                  float *best) {
    size_t group_bytes = steps_n * VEC_U4_LANES * 4, stride = 4 * steps_n;
    __m512i sums[2][U4_ROWS];
    for (size_t g = 0; g < groups; g++)
        for (size_t r = 0; r < U4_ROWS; r++)
            sums[g][r] = _mm512_setzero_si512();
    for (size_t s = 0; s < steps_n; s++)
        for (size_t r = 0; r < U4_ROWS; r++) {
            int32_t four;
            memcpy(&four, codes + r * stride + 4 * s, sizeof four);
            __m512i row = _mm512_set1_epi32(four);
            for (size_t g = 0; g < groups; g++) {
                const int8_t *at = values + g * group_bytes + s * VEC_U4_LANES * 4;
                sums[g][r] = _mm512_dpbusd_epi32(sums[g][r], row, _mm512_loadu_si512(at));
            }
        }
    for (size_t g = 0; g < groups; g++) {
        __m512i offset = _mm512_loadu_si512(offsets + g * VEC_U4_LANES);
        __m512 most = _mm512_loadu_ps(best + g * VEC_U4_LANES);
        for (size_t r = 0; r < U4_ROWS; r++) {
            __m512i sum = _mm512_sub_epi32(_mm512_slli_epi32(sums[g][r], 1), offset);
            most = _mm512_max_ps(_mm512_mul_ps(_mm512_set1_ps(scales[r]), _mm512_cvtepi32_ps(sum)),
                                 most);
        }
        _mm512_storeu_ps(best + g * VEC_U4_LANES, most);
    }
}

AVX512 static void u4_best_avx512(const struct vec_u4_query *query, const uint8_t *rows,
                                  size_t row_bytes, const float *row_scales, size_t rows_n,
                                  float *best) {
    uint8_t codes[U4_ROWS * (VEC_U4_DIM_MAX + 4)];
    float scales[U4_ROWS];
    size_t steps_n = query->steps_n, group_bytes = steps_n * VEC_U4_LANES * 4;
    for (size_t first = 0; first < rows_n; first += U4_ROWS) {
        u4_unpack_block(rows, row_bytes, row_scales, first, rows_n, 4 * steps_n, codes, scales);
        size_t g = 0;
        for (; g + 2 <= query->groups_n; g += 2)
            u4_rows_avx512(query->values + g * group_bytes, query->offsets + g * VEC_U4_LANES,
                           steps_n, 2, codes, scales, best + g * VEC_U4_LANES);
        if (g < query->groups_n)
            u4_rows_avx512(query->values + g * group_bytes, query->offsets + g * VEC_U4_LANES,
                           steps_n, 1, codes, scales, best + g * VEC_U4_LANES);
    }
}
#endif

/* ---- the choice ---- */

static const struct vec_kind kinds[] = {
    [CPU_PLAIN] = {dot_f32_plain, dot_f16_plain, to_f16_plain, from_f16_plain, u4_best_plain},
#if defined(__x86_64__)
    [CPU_AVX2] = {dot_f32_avx2, dot_f16_avx2, to_f16_avx2, from_f16_avx2, u4_best_avx2},
    [CPU_AVX512] = {dot_f32_avx512, dot_f16_avx512, to_f16_avx2, from_f16_avx2, u4_best_avx512},
#endif
};

const struct vec_kind *vec_kind_of(enum cpu_level level) {
    return level <= cpu_level() ? &kinds[level] : NULL;
}

float vec_dot_f32(const float *a, const float *b, size_t n) {
    return kinds[cpu_level()].dot_f32(a, b, n);
}

float vec_dot_f16(const float *a, const void *row, size_t n) {
    return kinds[cpu_level()].dot_f16(a, row, n);
}

void vec_to_f16(const float *in, size_t n, void *out) {
    kinds[cpu_level()].to_f16(in, n, out);
}

void vec_from_f16(const void *in, size_t n, float *out) {
    kinds[cpu_level()].from_f16(in, n, out);
}

void vec_u4_best(const struct vec_u4_query *query, const uint8_t *rows, size_t row_bytes,
                 const float *row_scales, size_t rows_n, float *best) {
    assert(row_bytes <= VEC_U4_DIM_MAX / 2 && 2 * row_bytes <= 4 * query->steps_n &&
           query->steps_n <= VEC_U4_DIM_MAX / 4);
    kinds[cpu_level()].u4_best(query, rows, row_bytes, row_scales, rows_n, best);
}

void vec_normalize(float *vector, size_t n) {
    double sum = 0; /* f64: a long vector of small values keeps its length, large ones fit */
    for (size_t i = 0; i < n; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (!(sum > 0))
        return;
    double scale = 1 / sqrt(sum);
    for (size_t i = 0; i < n; i++)
        vector[i] = (float)((double)vector[i] * scale);
}
