#include "engine/base/vec.h"

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

/* ---- AVX-512 ---- */

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

#endif

/* ---- the choice ---- */

static const struct vec_kind kinds[] = {
    [CPU_PLAIN] = {dot_f32_plain, dot_f16_plain, to_f16_plain, from_f16_plain},
#if defined(__x86_64__)
    [CPU_AVX2] = {dot_f32_avx2, dot_f16_avx2, to_f16_avx2, from_f16_avx2},
    [CPU_AVX512] = {dot_f32_avx512, dot_f16_avx512, to_f16_avx2, from_f16_avx2},
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
