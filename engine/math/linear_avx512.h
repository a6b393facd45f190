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

/* Row r of a tile. Three rows share a pointer: an address has room for one register times 1 or 2,
 * and twelve pointers would not fit the integer registers. */
LINEAR_INLINE __m512i linear_avx512_group(const unsigned char *const *x, size_t stride, int r) {
    int32_t group;
    memcpy(&group, x[r / 3] + (size_t)(r % 3) * stride, sizeof group);
    return _mm512_set1_epi32(group);
}

/* rows, lines: constants where this is inlined; lines: 2 a panel. */
LINEAR_INLINE void linear_avx512_tile(const struct linear_tile *tile, int32_t *sums,
                                      linear_avx512_dot *dot, int rows, int lines) {
    const unsigned char *panel = tile->panel, *next = panel + tile->panel_bytes;
    size_t stride = tile->x_stride;
    const unsigned char *x[LINEAR_AVX512_ROWS / 3] = {tile->x, tile->x + 3 * stride,
                                                      tile->x + 6 * stride, tile->x + 9 * stride};
    __m512i acc[LINEAR_AVX512_ROWS][4];
    for (int v = 0; v < lines; v++) {
        __m512i start = tile->offsets ? _mm512_loadu_si512(tile->offsets + v * LINEAR_LINE_SUMS)
                                      : _mm512_setzero_si512();
        for (int r = 0; r < rows; r++)
            acc[r][v] = start;
    }
    for (size_t g = 0; g < tile->groups_n; g++) {
        __m512i w[4];
        for (int v = 0; v < lines; v++)
            w[v] = _mm512_load_si512((v < 2 ? panel : next) + v % 2 * LINEAR_LINE_BYTES);
        for (int r = 0; r < rows; r++) {
            __m512i group = linear_avx512_group(x, stride, r);
            for (int v = 0; v < lines; v++)
                acc[r][v] = dot(acc[r][v], w[v], group);
        }
        panel += LINEAR_PANEL_GROUP_BYTES;
        next += LINEAR_PANEL_GROUP_BYTES;
        for (int i = 0; i < LINEAR_AVX512_ROWS / 3; i++)
            x[i] += LINEAR_GROUP_BYTES;
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < lines; v++)
            _mm512_store_si512(sums + r * LINEAR_SUMS_STRIDE + v * LINEAR_LINE_SUMS, acc[r][v]);
}

/* One compiled loop for each height, so that its sums are registers. */
LINEAR_INLINE void linear_avx512_sums(const struct linear_tile *tile, int32_t *sums,
                                      linear_avx512_dot *dot) {
#define LINEAR_CASE(rows, lines)                                                                   \
    case rows: linear_avx512_tile(tile, sums, dot, rows, lines); break
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
