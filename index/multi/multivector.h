/* multivector.h - a document's token vectors in few bits, and MaxSim over them.
 *
 * MaxSim = the mean over the query's vectors of the largest inner product with any of the
 * document's vectors (ColBERT's late interaction; Khattab & Zaharia 2020, which sums: a mean
 * compares queries of different lengths). Query vectors become int8, document vectors lie on disk
 * as codes, and their product is integer arithmetic, so a score does not depend on the CPU.
 *
 * The vectors of one document have much in common (of bge-small's token states 74 % of the energy):
 * their mean is stored once, and each vector's difference to it in codes of codebook.h, which need
 * no data to learn from. docs/multivectors.md has what was measured.
 *
 * Bytes of a document's codes, little-endian; m = ceil(dim / 2), row_bytes = ceil(dim / (2 pack)):
 *   OFFSET          SIZE           MEANING
 *   0               4              u32 n, vectors
 *   4               2              u16 dim
 *   6               2              u16 pack: dimensions a code of the rows has, 1 to 4
 *   8               2              f16 scale of the mean, finite and >= 0
 *   10              m              codes of the mean, pack 1
 *   10 + m          2 n            f16 scale of each vector's difference, finite and >= 0
 *   10 + m + 2 n    row_bytes n    codes of the differences, as maxsim.h has rows
 * No alignment is needed anywhere, so searches read straight from the mapped page. */
#ifndef TERCET_INDEX_MULTI_MULTIVECTOR_H
#define TERCET_INDEX_MULTI_MULTIVECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/maxsim.h"

enum {
    MULTI_DIM_MAX = MAXSIM_DIM_MAX,
    /* A query is at most 8,192 tokens (DESIGN.md, "HTTP"); more would not fit u32 products either
     * way, and nobody types them. */
    MULTI_QUERY_MAX = 8192,
};

/* dim: 1 .. MULTI_DIM_MAX; n may be 0. */
size_t multi_codes_bytes(uint32_t dim, uint32_t n);

/* vectors: [n, dim], each number within +-65504 (f16). codes_out: [multi_codes_bytes(dim, n)]. */
void multi_encode(const float *vectors, uint32_t n, uint32_t dim, void *codes_out);

/* The dim that a document's bytes name, and 0 when they are too short to name one. */
uint32_t multi_codes_dim(const void *bytes, size_t bytes_len);

/* What a document's bytes hold, checked against their length: scales finite, dim as expected.
 * ERROR_CORRUPT when they cannot be what multi_encode wrote. */
struct multi_codes {
    const uint8_t *mean, *scales; /* [ceil(dim / 2)]; [n] f16 */
    const uint8_t *rows;          /* [n, row_bytes] */
    size_t row_bytes, pack;
    float mean_scale;
    uint32_t n, dim;
};
bool multi_codes_open(const void *bytes, size_t bytes_len, uint32_t dim, struct multi_codes *out,
                      struct error *err);

/* The same for codes that others may follow, those of further passages: *at, before end, is moved
 * behind them. */
bool multi_codes_next(const uint8_t **at, const uint8_t *end, uint32_t dim, struct multi_codes *out,
                      struct error *err);

/* One vector as the codes have it; out: [dim]. row < codes->n. */
void multi_decode(const struct multi_codes *codes, uint32_t row, float *out);

/* A query's vectors made ready, in the arena. One thread: it holds scratch. */
struct multi_query {
    struct maxsim_query maxsim;
    float *scales;       /* [n]: what an integer product is worth */
    float *best, *means; /* scratch, [groups_n * MAXSIM_LANES] */
    size_t n;
    uint32_t dim;
};

/* vectors: [n, dim]. ERROR_INVALID for NaN or infinity, ERROR_LIMIT beyond MULTI_QUERY_MAX. */
bool multi_query_init(struct multi_query *query, const float *vectors, size_t n, uint32_t dim,
                      struct arena *arena, struct error *err);

/* The same query for another thread: with scratch of its own. */
struct multi_query multi_query_twin(const struct multi_query *query, struct arena *arena);

/* The MaxSim of one document. 0 when the query or the document has no vectors. */
float multi_maxsim(struct multi_query *query, const struct multi_codes *codes);

/* For each query vector the document's best vector (the first of equals) and their product; both
 * [query->n]. A document without vectors gives 0 and 0. The products' mean is multi_maxsim. */
void multi_best(struct multi_query *query, const struct multi_codes *codes, uint32_t *best_out,
                float *products_out);

#endif
