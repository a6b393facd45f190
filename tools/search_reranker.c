#include "tools/search_reranker.h"

#include "engine/base/pool.h"
#include "query/encoders.h"

static bool score(void *context, const struct reranker_pair *pairs, size_t n, float *scores_out,
                  struct error *err) {
    return reranker_score(context, pairs, n, scores_out, err);
}

bool search_reranker_open(const struct model_options *options, struct search_reranker *out,
                          struct error *err) {
    const struct reranker_options plain = {0};
    struct search_reranker made = {0};
    if (!model_open(options, &made.model, err))
        return false;
    made.pool = pool_open(0);
    if (!reranker_open(made.model, made.pool, &plain, &made.reranker, err)) {
        search_reranker_close(&made);
        return false;
    }
    made.scorer = (struct rerank_scorer){encoders_name(made.model), score, made.reranker};
    *out = made;
    return true;
}

void search_reranker_close(struct search_reranker *reranker) {
    reranker_close(reranker->reranker);
    if (reranker->pool)
        pool_close(reranker->pool);
    model_close(reranker->model);
}
