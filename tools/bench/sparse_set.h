/* sparse_set.h - documents and queries for `tercet bench sparse`.
 *
 * Made up, with the statistics of learned sparse vectors (SPLADE, BGE-M3's head): Zipf-Mandelbrot
 * terms over 250,002 ids, some 130 a document, topics, lognormal weights, queries out of a
 * document's heavier terms. Or read from a folder that a race gives to all who run in it:
 * docs_ and queries_ offsets.npy i8, terms.npy i4 ascending, weights.npy f4 (CSR), and the exact
 * answers truth10.npy and truth1000.npy i8, -1 where there are fewer.
 * BM25 on the same sets: a document's term frequencies are its weights, rounded up; a query says
 * each of its terms once. */
#ifndef TERCET_BENCH_SPARSE_SET_H
#define TERCET_BENCH_SPARSE_SET_H

#include "engine/base/sparse_vector.h"
#include "tools/bench/npy.h"

enum { SPARSE_SET_TERMS_MAX = 4096 }; /* of one document or query */

struct sparse_set_vector {
    uint32_t ids[SPARSE_SET_TERMS_MAX];
    float weights[SPARSE_SET_TERMS_MAX];
    size_t n;
    float length; /* BM25 */
};

struct sparse_made; /* the tables that made-up documents come from */
struct sparse_csr {
    struct npy offsets, terms, weights;
};

/* Zeros are a valid empty one. */
struct sparse_set {
    uint32_t documents_n, queries_n;
    bool bm25;
    struct sparse_made *made; /* NULL: read */
    struct sparse_csr docs, queries;
    struct npy truths[2]; /* [queries_n, 10] and [queries_n, 1000]; empty: not known */
};

void sparse_set_make(uint32_t documents_n, uint32_t queries_n, bool bm25, struct sparse_set *out);
/* truths are left out for bm25: they are those of the weights. */
bool sparse_set_read(const char *folder, bool bm25, struct sparse_set *out, struct error *err);
void sparse_set_done(struct sparse_set *set);

/* The same in every call. */
void sparse_set_document(const struct sparse_set *set, uint32_t number,
                         struct sparse_set_vector *out);
void sparse_set_query(const struct sparse_set *set, uint32_t number, struct sparse_set_vector *out);

#endif
