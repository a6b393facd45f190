/* dense/rotate.h - one fixed rotation of all dense vectors, so that no direction is special.
 *
 * Bytes and signs (dense/lists.h) tell a vector best when its length is spread evenly over the
 * dimensions; embeddings have dimensions that stand out. A product of random signs and
 * Walsh-Hadamard transforms does what a random rotation does (Ailon & Chazelle 2006) in n log n
 * additions. Lengths and products stay as they are, but for rounding.
 * The signs are constants of the file format: docs/disk-format.md. */
#ifndef TERCET_INDEX_DENSE_ROTATE_H
#define TERCET_INDEX_DENSE_ROTATE_H

#include <stddef.h>
#include <stdint.h>

/* dim rounded up to what vec_s8.h asks for; dimensions beyond dim are zeros before the rotation. */
uint32_t dense_rotated_dim(uint32_t dim);

/* vector: [rotated_dim], in place. */
void dense_rotate(float *vector, size_t rotated_dim);

#endif
