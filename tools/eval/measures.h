/* measures.h - how good a ranking is, computed as trec_eval computes it.
 *
 *   ndcg@k     gain is the relevance, discount log2(rank + 1), over the best order of all judgments
 *              (Jarvelin & Kekalainen 2002); trec_eval's ndcg_cut_k
 *   recall@k   relevant ones among the first k, of all that are relevant
 *   precision@k  the same, of k
 *   mrr@k      1 / rank of the first relevant one; without @k recip_rank
 *   map@k      mean of the precision at each relevant one, of all that are relevant; without @k map
 *   hit@k      1 when one of the first k is relevant (success_k; open question answering calls the
 *              mean of it recall)
 *   hole@k     the part of the first k that nobody judged for this query (Thakur et al. 2021)
 * Before anything is counted a run is put into trec_eval's order: score descending, equal scores by
 * document id descending, scores as f32. Relevance above 0 is relevant. */
#ifndef TERCET_EVAL_MEASURES_H
#define TERCET_EVAL_MEASURES_H

#include "tools/eval/judged.h"

struct run_hit {
    const char *doc_key;
    float score;
};

/* A query's run as measures see it. */
struct ranking {
    const int *gains; /* [n] relevance at each rank; RANKING_UNJUDGED */
    const int *ideal; /* [relevant_n] the relevances above 0, descending */
    size_t n, relevant_n;
};

enum { RANKING_UNJUDGED = -1000000 };

enum measure_kind {
    MEASURE_NDCG,
    MEASURE_RECALL,
    MEASURE_PRECISION,
    MEASURE_MRR,
    MEASURE_MAP,
    MEASURE_HIT,
    MEASURE_HOLE,
};

struct measure {
    enum measure_kind kind;
    uint32_t depth; /* 0: the whole run */
};

enum { MEASURES_MAX = 32, MEASURE_NAME_BYTES = 32 };

struct measure_list {
    struct measure items[MEASURES_MAX];
    size_t n;
};

/* Sorts hits in place; a document that stands twice counts at its first place. In the arena. */
struct ranking ranking_make(const struct judged_query *query, struct run_hit *hits, size_t hits_n,
                            struct arena *arena);

double measure_of(struct measure measure, const struct ranking *ranking);

/* "ndcg@10,recall@100,mrr@10,map". */
bool measures_parse(const char *names, struct measure_list *out, struct error *err);
void measure_name(struct measure measure, char out[MEASURE_NAME_BYTES]);

#endif
