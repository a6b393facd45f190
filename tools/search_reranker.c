#include "tools/search_reranker.h"

#include "engine/base/pool.h"
#include "query/encoders.h"

static bool score(void *context, const struct reranker_pair *pairs, size_t n, float *scores_out,
                  struct error *err) {
    return reranker_score(context, pairs, n, scores_out, err);
}

static bool session_open(const struct model *model, struct search_reranker *made,
                         struct error *err) {
    const struct reranker_options plain = {0};
    if (!reranker_open(model, made->pool, &plain, &made->reranker, err))
        return false;
    made->scorer = (struct rerank_scorer){encoders_name(model), score, made->reranker};
    return true;
}

bool search_reranker_open(const struct model_options *options, struct search_reranker *out,
                          struct error *err) {
    struct search_reranker made = {0};
    if (!model_open(options, &made.model, err))
        return false;
    made.pool = pool_open(0);
    if (!session_open(made.model, &made, err)) {
        search_reranker_close(&made);
        return false;
    }
    *out = made;
    return true;
}

bool search_reranker_beside(const struct model *model, struct search_reranker *out,
                            struct error *err) {
    struct search_reranker made = {0};
    if (!session_open(model, &made, err))
        return false;
    *out = made;
    return true;
}

void search_reranker_close(struct search_reranker *reranker) {
    reranker_close(reranker->reranker);
    if (reranker->pool)
        pool_close(reranker->pool);
    model_close(reranker->model);
}
