/* vec.h - products of vectors: f32, f16, and the 4-bit codes of multi-vectors.
 *
 * Every function has a plain C kind and SIMD kinds chosen once by cpu_level(); vec_test.c compares
 * them on random input. f32 sums are taken in an order of their own by each kind, so they agree to
 * rounding; the 4-bit product is integer arithmetic and agrees to the bit. */
#ifndef TERCET_BASE_VEC_H
#define TERCET_BASE_VEC_H

#include <stddef.h>
#include <stdint.h>

float vec_dot_f32(const float *a, const float *b, size_t n);

/* a: [n] f32; row: [n] IEEE half, perhaps unaligned (it lies in a mapped page). */
float vec_dot_f16(const float *a, const void *row, size_t n);

void vec_to_f16(const float *in, size_t n, void *out);   /* round to nearest even */
void vec_from_f16(const void *in, size_t n, float *out);

/* Scales to length 1; a vector of zeros stays as it is. */
void vec_normalize(float *vector, size_t n);

#endif
