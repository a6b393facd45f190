/* vec.h - products of vectors: f32, f16, and the 4-bit codes of multi-vectors.
 *
 * Every function has a plain C kind and SIMD kinds chosen once by cpu_level(); vec_test.c compares
 * them on random input. f32 sums are taken in an order of their own by each kind, so they agree to
 * rounding; the 4-bit product is integer arithmetic and agrees to the bit. */
#ifndef TERCET_BASE_VEC_H
#define TERCET_BASE_VEC_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/cpu.h"

float vec_dot_f32(const float *a, const float *b, size_t n);

/* a: [n] f32; row: [n] IEEE half, perhaps unaligned (it lies in a mapped page). */
float vec_dot_f16(const float *a, const void *row, size_t n);

void vec_to_f16(const float *in, size_t n, void *out); /* round to nearest even */
void vec_from_f16(const void *in, size_t n, float *out);

/* Scales to length 1; a vector of zeros stays as it is. */
void vec_normalize(float *vector, size_t n);

/* ---- MaxSim over 4-bit codes (ColBERT's late interaction; Khattab & Zaharia 2020) ---- */

enum {
    VEC_U4_LANES = 16,      /* query vectors that one pass over a document serves: a zmm of s32 */
    VEC_U4_DIM_MAX = 16384, /* the index's own limit; four unpacked rows (64 KiB) fit a stack */
};

/* Query vectors as int8, four dimensions of sixteen vectors side by side, so that each 32-bit lane
 * of a register gathers one vector's product and nothing is ever summed across lanes. Dimensions
 * beyond the vector's and lanes beyond the last vector hold 0. */
struct vec_u4_query {
    const int8_t *values;   /* [groups_n, steps_n, VEC_U4_LANES, 4] */
    const int32_t *offsets; /* [groups_n, VEC_U4_LANES]: 15 x the sum of a vector's values */
    size_t groups_n;        /* of VEC_U4_LANES query vectors */
    size_t steps_n;         /* of 4 dimensions: 4 steps_n >= 2 row_bytes */
};

/* best[groups_n * VEC_U4_LANES]: raised to the largest, over the rows, of
 *     row_scales[row] * (float)(sum over dim of value * (2 code - 15))
 * where byte i of a row holds the code of dimension i in its low half and of i + row_bytes in its
 * high half. rows: [rows_n, row_bytes], perhaps unaligned; not one byte beyond them is read. */
void vec_u4_best(const struct vec_u4_query *query, const uint8_t *rows, size_t row_bytes,
                 const float *row_scales, size_t rows_n, float *best);

/* ---- one kind at a time, for tests and benchmarks ---- */

struct vec_kind {
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*dot_f16)(const float *a, const void *row, size_t n);
    void (*to_f16)(const float *in, size_t n, void *out);
    void (*from_f16)(const void *in, size_t n, float *out);
    void (*u4_best)(const struct vec_u4_query *query, const uint8_t *rows, size_t row_bytes,
                    const float *row_scales, size_t rows_n, float *best);
};

/* NULL when this CPU (or TERCET_CPU) rules the level out. */
const struct vec_kind *vec_kind_of(enum cpu_level level);

#endif
