/* linear_avx512.h - a register tile of AVX-512: up to 12 rows by 32 channels.
 *
 * 24 registers hold sums, two the weights of a group, one a row's group in all its lanes. Per group
 * a tile loads 2 lines and 12 groups of 4 bytes for 24 products: both product ports stay busy.
 * Up to 6 rows take two panels (64 channels): few rows make few chains of sums, and a sum is ready
 * only 4 to 5 cycles after it began.
 *
 * A kind of product is a function of (sums, weights, row's group), inlined. */
#ifndef TERCET_MATH_LINEAR_AVX512_H
#define TERCET_MATH_LINEAR_AVX512_H

#include <immintrin.h>

#include "engine/math/linear_parts.h"

#define LINEAR_INLINE static inline __attribute__((always_inline))

enum { LINEAR_AVX512_ROWS = 12, LINEAR_LINE_BYTES = 64, LINEAR_LINE_SUMS = 16 };

typedef __m512i linear_avx512_dot(__m512i sums, __m512i weights, __m512i x);

/* The same text for each row of a tile: sums with names of their own are certain to be registers,
 * where gcc 12 leaves an array of them in memory. */
#define LINEAR_EACH_ROW(DO)                                                                        \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

/* rows, lines: constants where this is inlined; lines: 2 a panel.
 * Three rows share a pointer: an address has room for one register times 1 or 2, and twelve
 * pointers would not fit the integer registers. */
LINEAR_INLINE void linear_avx512_tile(const struct linear_tile *tile, linear_avx512_dot *dot,
                                      int rows, int lines) {
    const unsigned char *panel = tile->panel, *next = panel + tile->panel_bytes;
    size_t stride = tile->x_stride, sums_stride = tile->sums_stride;
    int32_t *sums = tile->sums;
    const unsigned char *x0 = tile->x, *x3 = x0 + 3 * stride, *x6 = x3 + 3 * stride,
                        *x9 = x6 + 3 * stride;
    __m512i start[4];
    for (int v = 0; v < 4; v++)
        start[v] = tile->offsets && v < lines
                       ? _mm512_loadu_si512(tile->offsets + v * LINEAR_LINE_SUMS)
                       : _mm512_setzero_si512();
#define DECLARE(r)                                                                                 \
    __m512i a##r##_0 = start[0], a##r##_1 = start[1], a##r##_2 = start[2], a##r##_3 = start[3];
#define RESUME(r)                                                                                  \
    if (rows > r) {                                                                                \
        const int32_t *from = sums + r * sums_stride;                                              \
        a##r##_0 = _mm512_load_si512(from);                                                        \
        a##r##_1 = _mm512_load_si512(from + LINEAR_LINE_SUMS);                                     \
        if (lines > 2) {                                                                           \
            a##r##_2 = _mm512_load_si512(from + 2 * LINEAR_LINE_SUMS);                             \
            a##r##_3 = _mm512_load_si512(from + 3 * LINEAR_LINE_SUMS);                             \
        }                                                                                          \
    }
#define STEP(r)                                                                                    \
    if (rows > r) {                                                                                \
        const unsigned char *from = r < 3 ? x0 : r < 6 ? x3 : r < 9 ? x6 : x9;                     \
        int32_t bytes;                                                                             \
        memcpy(&bytes, from + (size_t)(r % 3) * stride, sizeof bytes);                             \
        __m512i group = _mm512_set1_epi32(bytes);                                                  \
        a##r##_0 = dot(a##r##_0, w0, group);                                                       \
        a##r##_1 = dot(a##r##_1, w1, group);                                                       \
        if (lines > 2) {                                                                           \
            a##r##_2 = dot(a##r##_2, w2, group);                                                   \
            a##r##_3 = dot(a##r##_3, w3, group);                                                   \
        }                                                                                          \
    }
#define STORE(r)                                                                                   \
    if (rows > r) {                                                                                \
        int32_t *to = sums + r * sums_stride;                                                      \
        _mm512_store_si512(to, a##r##_0);                                                          \
        _mm512_store_si512(to + LINEAR_LINE_SUMS, a##r##_1);                                       \
        if (lines > 2) {                                                                           \
            _mm512_store_si512(to + 2 * LINEAR_LINE_SUMS, a##r##_2);                               \
            _mm512_store_si512(to + 3 * LINEAR_LINE_SUMS, a##r##_3);                               \
        }                                                                                          \
    }
    LINEAR_EACH_ROW(DECLARE)
    if (tile->more) {
        LINEAR_EACH_ROW(RESUME)
    }
    for (size_t g = 0; g < tile->groups_n; g++) {
        __m512i w0 = _mm512_load_si512(panel), w1 = _mm512_load_si512(panel + LINEAR_LINE_BYTES);
        __m512i w2 = lines > 2 ? _mm512_load_si512(next) : w0;
        __m512i w3 = lines > 2 ? _mm512_load_si512(next + LINEAR_LINE_BYTES) : w0;
        LINEAR_EACH_ROW(STEP)
        panel += LINEAR_PANEL_GROUP_BYTES;
        next += LINEAR_PANEL_GROUP_BYTES;
        x0 += LINEAR_GROUP_BYTES;
        x3 += LINEAR_GROUP_BYTES;
        x6 += LINEAR_GROUP_BYTES;
        x9 += LINEAR_GROUP_BYTES;
    }
    LINEAR_EACH_ROW(STORE)
#undef DECLARE
#undef RESUME
#undef STEP
#undef STORE
}

/* One compiled loop for each height, so that its sums are registers. */
LINEAR_INLINE void linear_avx512_sums(const struct linear_tile *tile, linear_avx512_dot *dot) {
#define LINEAR_CASE(rows, lines)                                                                   \
    case rows: linear_avx512_tile(tile, dot, rows, lines); break
    if (tile->panels_n == 2)
        switch (tile->rows) {
            LINEAR_CASE(1, 4);
            LINEAR_CASE(2, 4);
            LINEAR_CASE(3, 4);
            LINEAR_CASE(4, 4);
            LINEAR_CASE(5, 4);
            LINEAR_CASE(6, 4);
        }
    else
        switch (tile->rows) {
            LINEAR_CASE(1, 2);
            LINEAR_CASE(2, 2);
            LINEAR_CASE(3, 2);
            LINEAR_CASE(4, 2);
            LINEAR_CASE(5, 2);
            LINEAR_CASE(6, 2);
            LINEAR_CASE(7, 2);
            LINEAR_CASE(8, 2);
            LINEAR_CASE(9, 2);
            LINEAR_CASE(10, 2);
            LINEAR_CASE(11, 2);
            LINEAR_CASE(12, 2);
        }
#undef LINEAR_CASE
}

/* struct linear_kernels' functions for the forms S8, U8 and BF16, and for all kinds. */
float linear_avx512_input_row(const float *x, size_t n, enum linear_form form, void *to);
void linear_avx512_finish(const struct linear_finish *finish);

#endif
