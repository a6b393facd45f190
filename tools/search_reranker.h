/* search_reranker.h - the cross-encoder of `tercet search --rerank M`. */
#ifndef TERCET_SEARCH_RERANKER_H
#define TERCET_SEARCH_RERANKER_H

#include "engine/model.h"
#include "query/rerank.h"

struct search_reranker {
    struct rerank_scorer scorer; /* for search_request.reranker */
    struct model *model;
    struct pool *pool;
    struct reranker *reranker;
};

/* On all cores. out stays where it is while its scorer is in use. search_reranker_close accepts one
 * of zeros. */
bool search_reranker_open(const struct model_options *options, struct search_reranker *out,
                          struct error *err);
/* One of a model that is there already, borrowed, on the thread that calls it alone: for searches
 * that stand side by side. */
bool search_reranker_beside(const struct model *model, struct search_reranker *out,
                            struct error *err);
void search_reranker_close(struct search_reranker *reranker);

#endif
