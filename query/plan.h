/* plan.h - what a search is going to do: the request's word where it has one, the measured defaults
 * elsewhere. And what it refuses to do. */
#ifndef TERCET_QUERY_PLAN_H
#define TERCET_QUERY_PLAN_H

#include "query/search.h"

struct search_plan {
    struct fuse_plan fuse;
    struct search_retrieval retrieval; /* as planned: approximate and filtered come later */
    /* Modes that the query must be there in: those that are compared, and those that retrieve. */
    unsigned queried;
};

/* search_check (search.h) for an index of these settings, and the plan that comes of it. */
bool plan_make(const struct search_request *request, const struct index_settings *settings,
               struct search_plan *out, const char **field_out, struct error *err);

/* How a search fuses that names nothing: as the model asked for, or else what its lexical kind
 * needs. A name that is not known here counts for nothing: newer programs may write more. */
enum fuse_method plan_fusion(const struct index_settings *settings);

/* Hits of a page, and candidates for the reranker, defaults put in. */
size_t plan_page_size(const struct search_request *request);
size_t plan_rerank_top(const struct search_request *request);

#endif
