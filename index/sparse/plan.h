/* sparse/plan.h - inside sparse search: a query made ready, and the one place that makes scores.
 *
 * Sums made while searching are only ever compared with slack. A score that is reported comes from
 * sparse_plan_score, which adds the shares in the order of the query's terms: so search and
 * sparse_score agree to the bit, whatever the segments and whatever was pruned. */
#ifndef TERCET_INDEX_SPARSE_PLAN_H
#define TERCET_INDEX_SPARSE_PLAN_H

#include "index/inside.h"

struct sparse_plan {
    struct snapshot *snapshot;
    const struct sparse_vector *query;
    size_t n;
    float *weights; /* [n] query weight, times idf for BM25 */
    float *finding; /* [n] the same; 0 for terms that only score what others find */
    float *row; /* [n] scratch: a document's weights of the query's terms, 0 where it has none */
    bool bm25;
    float norm_base, norm_slope; /* BM25: k1 (1 - b), and k1 b / average length */
    bool exact;                  /* all terms find */
    float slack;                 /* what a sum of n floats may be off, and then some */
};

bool sparse_plan_init(struct snapshot *snapshot, const struct sparse_vector *query,
                      struct arena *arena, struct sparse_plan *out, struct error *err);

/* Leaves finding to the heaviest terms that make up `mass` (0 .. 1) of the query's weight. */
void sparse_plan_thin(struct sparse_plan *plan, float mass, struct arena *arena);

/* What one term adds. query_weight includes idf; weight: the document's, > 0. */
static inline float sparse_plan_share(const struct sparse_plan *plan, float query_weight,
                                      float weight, float length) {
    if (!plan->bm25)
        return query_weight * weight;
    return query_weight * (weight / (weight + (plan->norm_base + plan->norm_slope * length)));
}

/* The exact score of a living docid, from its sparse row. */
bool sparse_plan_score(const struct sparse_plan *plan, uint32_t docid, float *out,
                       struct error *err);

#endif
