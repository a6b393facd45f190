/* score.h - how alike two encodings are, as BGEM3FlagModel.compute_score says it.
 *
 * Source: FlagEmbedding 1.4 (M3). dense: the inner product. sparse: the sum over common terms of
 * the product of their weights. colbert: the mean over the query's vectors of the largest inner
 * product with one of the passage's. Combinations are weighted means over the modes they name. */
#ifndef TERCET_SCORE_H
#define TERCET_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/encoder.h"

struct model_info;

struct score_weights {
    float dense, sparse, colbert; /* 1, 1, 1 unless asked otherwise; not negative */
};

struct score {
    float dense, sparse, colbert;
    float sparse_dense;         /* "sparse+dense" */
    float colbert_sparse_dense; /* "colbert+sparse+dense" */
};

/* Both were encoded by one model in all three modes. A weighted mean whose weights are all zero is
 * 0. */
struct score score_pair(const struct model_info *info, const struct encoding *query,
                        const struct encoding *passage, const struct score_weights *weights);

#endif
