/* sparse_vector.h - term ids and their weights: what lexical scoring works on.
 *
 * For a learned head the weights are the model's; for BM25 a document's weights are term
 * frequencies and a query's are how often the query says the term. ids ascend strictly. */
#ifndef TERCET_BASE_SPARSE_VECTOR_H
#define TERCET_BASE_SPARSE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

struct sparse_vector {
    const uint32_t *ids;  /* [n], strictly ascending */
    const float *weights; /* [n], each > 0 and finite */
    size_t n;
};

#endif
