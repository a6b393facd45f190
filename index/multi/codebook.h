/* codebook.h - a vector as a string of 4-bit codes, by rules that no data taught.
 *
 * A vector is turned by a fixed rotation (signs of chance and Hadamard transforms), after which its
 * numbers are close to normal ones whatever they were, as RaBitQ (Gao & Long 2024) and TurboQuant
 * (Zandieh et al. 2025) do. Then k dimensions together become one of sixteen points that are best
 * for normal numbers, at a scale of the vector's own: k = 1, 2, 3, 4 is 4, 2, 1.33, 1 bits a
 * dimension. A rotation changes no inner product, so queries are turned too and nothing is ever
 * turned back, except to show a vector. All arithmetic is of one kind, so that a vector gives the
 * same codes on every machine. */
#ifndef TERCET_INDEX_MULTI_CODEBOOK_H
#define TERCET_INDEX_MULTI_CODEBOOK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/maxsim.h"

enum {
    CODEBOOK_DIM_MAX = MAXSIM_DIM_MAX,
    /* What encode works on is as long as a multiple of this, 0 beyond dim. */
    CODEBOOK_ROOM = CODEBOOK_DIM_MAX + 64,
};

/* vector: [dim], in place; there and back. */
void codebook_rotate(float *vector, size_t dim);
void codebook_unrotate(float *vector, size_t dim);

/* The points of `pack` dimensions as maxsim.h wants them: [pack]. */
const uint8_t (*codebook_points(size_t pack))[MAXSIM_POINTS];

/* Bytes of a row: half of its codes, rounded up. */
size_t codebook_row_bytes(size_t dim, size_t pack);

/* How a scale is chosen. */
enum codebook_scale {
    CODEBOOK_NEAREST,  /* the coded vector lies nearest to the vector */
    CODEBOOK_UNBIASED, /* its product with the vector is the vector's own: so is, on average, its
                        * product with anything, which nearest makes too small (RaBitQ) */
};

/* vector: [CODEBOOK_ROOM], already rotated, within +-1e9, 0 beyond dim. row_out:
 * [codebook_row_bytes], as maxsim.h has rows. The scale comes back: an f16 value, finite, >= 0. */
float codebook_encode(const float *vector, size_t dim, size_t pack, enum codebook_scale kind,
                      uint8_t *row_out);

/* out: [dim], still rotated. */
void codebook_decode(const uint8_t *row, size_t dim, size_t pack, float scale, float *out);

#endif
