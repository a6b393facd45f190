/* multivector.h - a document's token vectors in 4 bits a number, and MaxSim over them.
 *
 * MaxSim = the mean over the query's vectors of the largest inner product with any of the
 * document's vectors (ColBERT's late interaction; Khattab & Zaharia 2020, which sums: a mean
 * compares queries of different lengths). Query vectors become int8, document vectors lie on disk
 * as 4-bit codes, and their product is integer arithmetic, so a score does not depend on the CPU.
 *
 * A code c stands for scale * (c - 7.5): sixteen levels, symmetric about 0. Measured on SciFact
 * (MaxSim over the dense top 200, 384 dimensions): nDCG@10 74.84, in f32 74.62.
 *
 * Bytes of a document's codes, little-endian, row_bytes = ceil(dim / 2):
 *   OFFSET          SIZE           MEANING
 *   0               4              n, vectors
 *   4               4              dim
 *   8               2 n            scale of each vector, f16, finite and >= 0
 *   8 + 2 n         row_bytes n    byte i of a vector: code of dimension i in the low half, of
 *                                  dimension row_bytes + i in the high half (0 beyond dim)
 * No alignment is needed anywhere, so searches read straight from the mapped page. */
#ifndef TERCET_INDEX_MULTIVECTOR_H
#define TERCET_INDEX_MULTIVECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/vec.h"

enum {
    MULTI_DIM_MAX = VEC_U4_DIM_MAX,
    /* A query is at most 8,192 tokens (DESIGN.md, "HTTP"); more would not fit u32 products either
     * way, and nobody types them. */
    MULTI_QUERY_MAX = 8192,
};

/* dim: 1 .. MULTI_DIM_MAX; n may be 0. */
size_t multi_codes_bytes(uint32_t dim, uint32_t n);

/* vectors: [n, dim], finite. codes_out: [multi_codes_bytes(dim, n)]. */
void multi_encode(const float *vectors, uint32_t n, uint32_t dim, void *codes_out);

/* What a document's bytes hold, checked against their length: scales finite, dim as expected.
 * ERROR_CORRUPT when they cannot be what multi_encode wrote. */
struct multi_codes {
    const uint8_t *scales; /* [n] f16 */
    const uint8_t *rows;   /* [n, row_bytes] */
    size_t row_bytes;
    uint32_t n, dim;
};
bool multi_codes_open(const void *bytes, size_t bytes_len, uint32_t dim, struct multi_codes *out,
                      struct error *err);

/* One vector as the codes have it; out: [dim]. row < codes->n. */
void multi_decode(const struct multi_codes *codes, uint32_t row, float *out);

/* A query's vectors made ready, in the arena. One thread: it holds scratch. */
struct multi_query {
    struct vec_u4_query u4;
    float *scales; /* [n]: what an integer product is worth */
    float *best;   /* scratch, [groups_n * VEC_U4_LANES] */
    size_t n;
    uint32_t dim;
};

/* vectors: [n, dim]. ERROR_INVALID for NaN or infinity, ERROR_LIMIT beyond MULTI_QUERY_MAX. */
bool multi_query_init(struct multi_query *query, const float *vectors, size_t n, uint32_t dim,
                      struct arena *arena, struct error *err);

/* The MaxSim of one document. 0 when the query or the document has no vectors. */
float multi_maxsim(struct multi_query *query, const struct multi_codes *codes);

/* For each query vector the document's best vector (the first of equals) and their product; both
 * [query->n]. A document without vectors gives 0 and 0. The products' mean is multi_maxsim. */
void multi_best(struct multi_query *query, const struct multi_codes *codes, uint32_t *best_out,
                float *products_out);

#endif
