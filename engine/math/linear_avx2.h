/* linear_avx2.h - a register tile of AVX2: up to 6 rows by 16 channels.
 *
 * 12 registers hold sums, two the weights of a group, one a row's group in all its lanes. One or
 * two rows take 32 channels, for more chains of sums. A panel is passed once for each 16 channels.
 *
 * A kind of product has its own way to load weights (8 channels of a group, or 4 widened to 16
 * bits) and to lay a row's group into all lanes; constants and functions, inlined. */
#ifndef TERCET_MATH_LINEAR_AVX2_H
#define TERCET_MATH_LINEAR_AVX2_H

#include <immintrin.h>

#include "engine/math/linear_parts.h"

#define LINEAR_INLINE static inline __attribute__((always_inline))

enum { LINEAR_AVX2_ROWS = 6, LINEAR_AVX2_SUMS = 8 };

struct linear_avx2_product {
    __m256i (*weights)(const unsigned char *from);
    __m256i (*group)(const unsigned char *from); /* of a row, in all lanes */
    __m256i (*dot)(__m256i sums, __m256i weights, __m256i group);
    int channels;    /* in a register of weights: 8, or 4 with two sums each */
    int group_bytes; /* of a row */
};

/* Where the sums of `line` (`channels` of them) begin, from the second chunk of groups on. */
LINEAR_INLINE __m256i linear_avx2_resume(const struct linear_tile *tile, size_t at, int row,
                                         int line, int channels) {
    size_t channel = at + (size_t)(line * channels);
    const int32_t *from =
        tile->more ? (const int32_t *)tile->sums + (size_t)row * tile->sums_stride : tile->offsets;
    if (!from || (!tile->more && channels == 4)) /* only vpdpbusd's sums begin with an offset */
        return _mm256_setzero_si256();
    if (channels == 8)
        return _mm256_loadu_si256((const __m256i *)(const void *)(from + channel));
    __m128i whole = _mm_loadu_si128((const __m128i *)(const void *)(from + channel));
    return _mm256_cvtepu32_epi64(whole); /* sum, 0, sum, 0 ... */
}

LINEAR_INLINE void linear_avx2_store(const struct linear_tile *tile, size_t at, int row, int line,
                                     int channels, __m256i sums) {
    int32_t *to =
        (int32_t *)tile->sums + (size_t)row * tile->sums_stride + at + (size_t)(line * channels);
    if (channels == 8) {
        _mm256_storeu_si256((__m256i *)(void *)to, sums);
    } else {
        __m128i low = _mm256_castsi256_si128(sums), high = _mm256_extracti128_si256(sums, 1);
        _mm_storeu_si128((__m128i *)(void *)to, _mm_hadd_epi32(low, high));
    }
}

#define LINEAR_EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

/* The channels from `at` on (of a tile with two panels, at may lie in the second). */
LINEAR_INLINE void linear_avx2_tile(const struct linear_tile *tile, size_t at,
                                    struct linear_avx2_product product, int rows, int lines) {
    const int channels = product.channels, line_bytes = channels * LINEAR_GROUP_BYTES;
    const unsigned char *w = tile->panel + at / LINEAR_PANEL * tile->panel_bytes +
                             at % LINEAR_PANEL * LINEAR_GROUP_BYTES;
    size_t stride = tile->x_stride;
    const unsigned char *x0 = tile->x, *x3 = x0 + 3 * stride;
#define DECLARE(r)                                                                                 \
    __m256i a##r##_0 = _mm256_setzero_si256(), a##r##_1 = a##r##_0, a##r##_2 = a##r##_0,           \
            a##r##_3 = a##r##_0;                                                                   \
    if (rows > r) {                                                                                \
        a##r##_0 = linear_avx2_resume(tile, at, r, 0, channels);                                   \
        a##r##_1 = linear_avx2_resume(tile, at, r, 1, channels);                                   \
        if (lines > 2) {                                                                           \
            a##r##_2 = linear_avx2_resume(tile, at, r, 2, channels);                               \
            a##r##_3 = linear_avx2_resume(tile, at, r, 3, channels);                               \
        }                                                                                          \
    }
#define STEP(r)                                                                                    \
    if (rows > r) {                                                                                \
        __m256i group = product.group((r < 3 ? x0 : x3) + (size_t)(r % 3) * stride);               \
        a##r##_0 = product.dot(a##r##_0, w0, group);                                               \
        a##r##_1 = product.dot(a##r##_1, w1, group);                                               \
        if (lines > 2) {                                                                           \
            a##r##_2 = product.dot(a##r##_2, w2, group);                                           \
            a##r##_3 = product.dot(a##r##_3, w3, group);                                           \
        }                                                                                          \
    }
#define STORE(r)                                                                                   \
    if (rows > r) {                                                                                \
        linear_avx2_store(tile, at, r, 0, channels, a##r##_0);                                     \
        linear_avx2_store(tile, at, r, 1, channels, a##r##_1);                                     \
        if (lines > 2) {                                                                           \
            linear_avx2_store(tile, at, r, 2, channels, a##r##_2);                                 \
            linear_avx2_store(tile, at, r, 3, channels, a##r##_3);                                 \
        }                                                                                          \
    }
    LINEAR_EACH_ROW(DECLARE)
    for (size_t g = 0; g < tile->groups_n; g++) {
        __m256i w0 = product.weights(w), w1 = product.weights(w + line_bytes), w2 = w0, w3 = w0;
        if (lines > 2) {
            w2 = product.weights(w + 2 * line_bytes);
            w3 = product.weights(w + 3 * line_bytes);
        }
        LINEAR_EACH_ROW(STEP)
        w += LINEAR_PANEL_GROUP_BYTES;
        x0 += product.group_bytes;
        x3 += product.group_bytes;
    }
    LINEAR_EACH_ROW(STORE)
#undef DECLARE
#undef STEP
#undef STORE
}

LINEAR_INLINE void linear_avx2_sums(const struct linear_tile *tile,
                                    struct linear_avx2_product product) {
    size_t channels_n = tile->panels_n * LINEAR_PANEL, channels = (size_t)product.channels;
#define LINEAR_CASE(rows, lines)                                                                   \
    case rows:                                                                                     \
        for (size_t at = 0; at < channels_n; at += lines * channels)                               \
            linear_avx2_tile(tile, at, product, rows, lines);                                      \
        break
    switch (tile->rows) {
        LINEAR_CASE(1, 4);
        LINEAR_CASE(2, 4);
        LINEAR_CASE(3, 2);
        LINEAR_CASE(4, 2);
        LINEAR_CASE(5, 2);
        LINEAR_CASE(6, 2);
    }
#undef LINEAR_CASE
}

LINEAR_INLINE __m256i linear_avx2_load(const unsigned char *from) {
    return _mm256_load_si256((const __m256i *)(const void *)from);
}

LINEAR_INLINE __m256i linear_avx2_group4(const unsigned char *from) {
    int32_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

/* struct linear_kernels' functions for the forms U8 and S16, and for all kinds. */
float linear_avx2_input_row(const float *x, size_t n, enum linear_form form, void *to);
void linear_avx2_finish(const struct linear_finish *finish);

#endif
