/* measures.h - how good a ranking is, computed as trec_eval computes it.
 *
 * Before anything is counted a run is put into trec_eval's order: score descending, equal scores by
 * document id descending. Relevance above 0 is relevant; gain is the relevance itself, discount
 * log2(rank + 1), the ideal order is made from all judgments (Jarvelin & Kekalainen 2002). */
#ifndef TERCET_EVAL_MEASURES_H
#define TERCET_EVAL_MEASURES_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "tools/eval/beir.h"

struct run_hit {
    const char *doc_key;
    float score;
};

struct measures {
    double ndcg_10, recall_100, mrr_10, map;
};

/* Sorts hits in place. A document that stands twice counts at its first place only: give it once.
 */
struct measures measures_of(const struct judged_query *query, struct run_hit *hits, size_t hits_n,
                            struct arena *arena);

#endif
