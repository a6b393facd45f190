/* token_pool.h - fewer token vectors a document: those of neighbouring tokens become one.
 *
 * "Sequential pooling" of Clavié, Chaffin & Adams ("Reducing the Footprint of Multi-Vector
 * Retrieval with Minimal Performance Impact via Token Pooling", 2024): the mean of each run of
 * `factor` tokens. Ours is brought back to length 1, as what compares it expects. Their
 * hierarchical clusters hold tokens from anywhere in a text; here a vector stays that of one place,
 * which explanations name (by the run's first token): vector i is of the tokens i * factor and
 * following. */
#ifndef TERCET_INGEST_TOKEN_POOL_H
#define TERCET_INGEST_TOKEN_POOL_H

#include <stddef.h>
#include <stdint.h>

/* vectors: [n, dim], each of length 1; factor >= 1. out: [ceil(n / factor), dim], as many come
 * back; the last may be of fewer tokens. Vectors that cancel each other out: the first of them. */
uint32_t token_pool(const float *vectors, uint32_t n, uint32_t dim, uint32_t factor, float *out);

#endif
