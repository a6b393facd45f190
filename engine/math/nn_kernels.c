/* One kind of nn.h's functions: compiled once for each instruction set, with NN_KERNELS naming the
 * table it fills (meson.build). The loops are plain C that the compiler vectorises; `omp simd`
 * (-fopenmp-simd, no OpenMP runtime) allows it to reorder the sums, which nothing else here may. */
#include "engine/math/nn_kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* e^x for x <= 0, within 3e-7 relative; e^-87 (1.6e-38) below that. x = n ln 2 + r with
 * |r| <= ln 2 / 2: e^r by its Taylor series, 2^n by the exponent bits. */
static inline float exp_negative(float x) {
    const float log2_e = 1.44269504f;
    const float ln2_high = 0.693359375f,
                ln2_low = -2.12194440e-4f; /* Cody & Waite: n * high exact */
    const float round = 12582912.0f;       /* 1.5 * 2^23: adding it leaves no fraction bits */
    enum { EXPONENT_BIAS = 127, MANTISSA_BITS = 23 };

    x = x > -87.0f ? x : -87.0f;
    float n = (x * log2_e + round) - round;
    float r = (x - n * ln2_high) - n * ln2_low;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t bits = ((int32_t)n + EXPONENT_BIAS) * (1 << MANTISSA_BITS);
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* Abramowitz & Stegun 7.1.26: erf(z) = 1 - (a1 t + ... + a5 t^5) e^(-z^2), t = 1 / (1 + p z), for
 * z >= 0; |error| <= 1.5e-7 before rounding. */
static inline float erf_positive(float z) {
    float t = 1.0f / (1.0f + 0.3275911f * z);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    return 1.0f - p * t * exp_negative(-z * z);
}

static inline float gelu(float v) {
    const float sqrt_half = 0.707106781f;
    float erf = copysignf(erf_positive(fabsf(v) * sqrt_half), v);
    return 0.5f * v * (1.0f + erf);
}

static void add_bias(float *restrict x, size_t rows, size_t n, const float *restrict bias) {
    for (size_t i = 0; i < rows; i++, x += n) {
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            x[j] += bias[j];
    }
}

/* Sums of a row run in its four quarters side by side: one would wait for each addition. */

static inline float row_sum(const float *restrict x, size_t n) {
    size_t m = n / 4;
    const float *restrict b = x + m, *restrict c = b + m, *restrict d = c + m;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (size_t j = 0; j < m; j++) {
        s0 += x[j];
        s1 += b[j];
        s2 += c[j];
        s3 += d[j];
    }
    for (size_t j = 4 * m; j < n; j++)
        s0 += x[j];
    return (s0 + s1) + (s2 + s3);
}

static inline float row_squares(const float *restrict x, size_t n, float mean) {
    size_t m = n / 4;
    const float *restrict b = x + m, *restrict c = b + m, *restrict d = c + m;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (size_t j = 0; j < m; j++) {
        s0 += (x[j] - mean) * (x[j] - mean);
        s1 += (b[j] - mean) * (b[j] - mean);
        s2 += (c[j] - mean) * (c[j] - mean);
        s3 += (d[j] - mean) * (d[j] - mean);
    }
    for (size_t j = 4 * m; j < n; j++)
        s0 += (x[j] - mean) * (x[j] - mean);
    return (s0 + s1) + (s2 + s3);
}

/* Two passes: the variance of values about their own mean. */
static inline void norm_row(float *restrict x, size_t n, const struct nn_norm *norm) {
    const float *restrict gain = norm->gain, *restrict shift = norm->shift;
    float mean = row_sum(x, n) / (float)n, squares = row_squares(x, n, mean);
    float scale = 1.0f / sqrtf(squares / (float)n + norm->epsilon);
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        x[j] = (x[j] - mean) * scale * gain[j] + shift[j];
}

/* ---- a row as the next product reads it ---- */

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* max |x|. Absolute values of floats are ordered as their bits are, and a maximum of whole numbers
 * is one that every compiler vectorises. */
static inline float row_size(const float *restrict x, size_t n) {
    int32_t most = 0;
#pragma omp simd reduction(max : most)
    for (size_t j = 0; j < n; j++) {
        int32_t bits = (int32_t)(bits_of(x[j]) & 0x7fffffff);
        most = bits > most ? bits : most;
    }
    float size;
    memcpy(&size, &most, sizeof size);
    return size;
}

/* Ties to even. The product is rounded first, so that all kinds give the same codes: SSE2 has no
 * rounding, but no fused multiply-add either, and there 1.5 * 2^23 leaves no fraction bits. */
static inline int32_t code_of(float x, float factor) {
#if defined(__x86_64__) && !defined(__AVX2__)
    float product = x * factor;
    return (int32_t)bits_of(product + 12582912.0f);
#else
    return (int32_t)__builtin_rintf(x * factor);
#endif
}

static float code_row_8(const float *restrict x, size_t n, uint8_t flip, uint8_t *restrict out) {
    const float smallest = 0x1p-100f; /* 127 / max must stay finite */
    float size = row_size(x, n);
    bool any = size >= smallest;
    float factor = any ? 127.0f / size : 0;
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        out[j] = (uint8_t)code_of(x[j], factor) ^ flip;
    return any ? size / 127.0f : 0;
}

static void code_row_bf16(const float *restrict x, size_t n, uint16_t *restrict out) {
#pragma omp simd
    for (size_t j = 0; j < n; j++) {
        uint32_t bits = bits_of(x[j]);
        out[j] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

static void code_row(const float *x, size_t n, const struct nn_codes *codes, size_t row) {
    uint8_t *to = (uint8_t *)codes->values + row * codes->stride_bytes;
    if (codes->form == NN_BF16)
        code_row_bf16(x, n, (uint16_t *)(void *)to);
    else
        codes->scales[row] = code_row_8(x, n, codes->form == NN_U8 ? 0x80 : 0, to);
}

static void code(const float *x, size_t rows, size_t n, const struct nn_codes *codes) {
    for (size_t i = 0; i < rows; i++)
        code_row(x + i * n, n, codes, i);
}

/* ---- norms and GELU ---- */

static void layer_norm(float *restrict x, size_t rows, size_t n, const struct nn_norm *norm,
                       const struct nn_codes *codes) {
    for (size_t i = 0; i < rows; i++, x += n) {
        norm_row(x, n, norm);
        if (codes)
            code_row(x, n, codes, i);
    }
}

static void residual_norm(float *restrict x, const float *restrict y, const float *restrict bias,
                          size_t rows, size_t n, const struct nn_norm *norm,
                          const struct nn_codes *codes) {
    for (size_t i = 0; i < rows; i++, x += n, y += n) {
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            x[j] += y[j] + bias[j];
        norm_row(x, n, norm);
        if (codes)
            code_row(x, n, codes, i);
    }
}

static void bias_gelu(float *restrict x, size_t rows, size_t n, const float *restrict bias,
                      const struct nn_codes *codes) {
    for (size_t i = 0; i < rows; i++, x += n) {
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            x[j] = gelu(x[j] + bias[j]);
        if (codes)
            code_row(x, n, codes, i);
    }
}

/* The largest of x [n], n >= 1. clang 14 refuses to vectorise a maximum as a reduction (because of
 * NaN and -0), gcc 12 to keep lanes of an array in a register: each gets the form it knows. */
static inline float row_max(const float *restrict x, size_t n) {
    float max = x[0];
#if defined(__clang__)
    enum { LANES = 16 };
    float lanes[LANES];
    size_t whole = n / LANES * LANES;
    for (size_t lane = 0; lane < LANES; lane++)
        lanes[lane] = max;
    for (size_t j = 0; j < whole; j += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] = x[j + lane] > lanes[lane] ? x[j + lane] : lanes[lane];
    for (size_t lane = 0; lane < LANES; lane++)
        max = lanes[lane] > max ? lanes[lane] : max;
    for (size_t j = whole; j < n; j++)
        max = x[j] > max ? x[j] : max;
#else
#pragma omp simd reduction(max : max)
    for (size_t j = 0; j < n; j++)
        max = x[j] > max ? x[j] : max;
#endif
    return max;
}

/* x [n] = e^(x - max). A function of its own: inside softmax clang 14 carries values from this loop
 * into the next, and then vectorises neither. */
__attribute__((noinline)) static void exp_row(float *restrict x, size_t n, float max) {
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        x[j] = exp_negative(x[j] - max);
}

static void softmax(float *restrict x, size_t rows, size_t n, size_t stride) {
    for (size_t i = 0; i < rows; i++, x += stride) {
        exp_row(x, n, n ? row_max(x, n) : 0);
        float scale = 1.0f / row_sum(x, n);
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            x[j] *= scale;
    }
}

const struct nn_kernels NN_KERNELS = {
    .add_bias = add_bias,
    .layer_norm = layer_norm,
    .residual_norm = residual_norm,
    .bias_gelu = bias_gelu,
    .softmax = softmax,
    .code = code,
};
