/* vec.h - products of vectors, f32 and f16.
 *
 * Every function has a plain C kind and SIMD kinds chosen once by cpu_level(); vec_test.c compares
 * them on random input. f32 sums are taken in an order of their own by each kind, so they agree to
 * rounding. */
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

/* ---- one kind at a time, for tests and benchmarks ---- */

struct vec_kind {
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*dot_f16)(const float *a, const void *row, size_t n);
    void (*to_f16)(const float *in, size_t n, void *out);
    void (*from_f16)(const void *in, size_t n, float *out);
};

/* NULL when this CPU (or TERCET_CPU) rules the level out. */
const struct vec_kind *vec_kind_of(enum cpu_level level);

#endif
