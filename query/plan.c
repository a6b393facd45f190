#include "query/plan.h"

#include <string.h>

#include "query/rerank.h"

enum {
    DENSE = 1u << FUSE_DENSE,
    SPARSE = 1u << FUSE_SPARSE,
    MULTI = 1u << FUSE_MULTI,
};

size_t plan_page_size(const struct search_request *request) {
    return request->k ? request->k : SEARCH_K_DEFAULT;
}

size_t plan_rerank_top(const struct search_request *request) {
    return request->rerank.top ? request->rerank.top : SEARCH_RERANK_DEFAULT;
}

/* ---- what is refused ---- */

bool search_check_page(const struct search_request *request, struct error *err) {
    size_t k = plan_page_size(request);
    return request->offset + k <= SEARCH_K_MAX ||
           error_set(err, ERROR_INVALID,
                     "offset %u and k %zu end at hit %zu, at most %d can be paged through",
                     request->offset, k, request->offset + k, SEARCH_K_MAX);
}

bool search_check_source(const struct search_request *request, struct error *err) {
    bool vectors = vectors_modes(&request->vectors) != 0;
    if (request->like && (request->query || vectors))
        return error_set(err, ERROR_INVALID,
                         "\"like\" is a query by itself: leave out query, dense, sparse and multi");
    return request->like || request->query || vectors ||
           error_set(err, ERROR_INVALID,
                     "nothing to search for: give \"query\", ready-made \"dense\", \"sparse\" or "
                     "\"multi\", or \"like\"");
}

static bool check_limits(const struct search_request *request, const char **field_out,
                         struct error *err) {
    *field_out = "k";
    if (request->k > SEARCH_K_MAX)
        return error_set(err, ERROR_LIMIT, "k is %u, at most %d hits are given", request->k,
                         SEARCH_K_MAX);
    *field_out = "candidates";
    if (request->candidates > SEARCH_CANDIDATES_MAX)
        return error_set(err, ERROR_LIMIT, "candidates is %u, at most %d are scored",
                         request->candidates, SEARCH_CANDIDATES_MAX);
    *field_out = "query";
    if (request->query_len > SEARCH_QUERY_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "the query has %zu bytes, at most %d are read",
                         request->query_len, SEARCH_QUERY_BYTES_MAX);
    *field_out = NULL;
    if (!search_check_source(request, err))
        return false;
    *field_out = "offset";
    return search_check_page(request, err);
}

static bool check_reranker(const struct search_request *request, struct error *err) {
    const struct search_rerank *wanted = &request->rerank;
    if (!wanted->wanted)
        return true;
    if (!request->reranker)
        return error_set(err, ERROR_UNSUPPORTED,
                         "there is no reranker here: tercet serve --reranker M starts with one");
    if (wanted->model && strcmp(wanted->model, request->reranker->name) != 0)
        return error_set(err, ERROR_UNSUPPORTED, "\"%.100s\" is not the reranker here, \"%s\" is",
                         wanted->model, request->reranker->name);
    return request->query || error_set(err, ERROR_INVALID,
                                       "\"rerank\" reads the query's text: give \"query\" as well");
}

/* ---- what is done ---- */

/* The modes that the query has, or can be given. Without a model a text is words at most, beside
 * whatever came ready-made. */
static unsigned given_modes(const struct search_request *request,
                            const struct index_settings *settings) {
    unsigned ready = vectors_modes(&request->vectors);
    if (index_has_model(settings) || request->like)
        return ready ? ready : search_modes_of(settings);
    bool words = request->query && vectors_terms_are_words(settings);
    return ready | (words ? SPARSE : 0u);
}

/* The modes that are compared: of those that the query has. */
static bool choose_modes(const struct search_request *request,
                         const struct index_settings *settings, unsigned given, unsigned *out,
                         struct error *err) {
    unsigned offered = search_modes_of(settings), modes = request->modes ? request->modes : given;
    if (given == 0)
        return error_set(err, ERROR_INVALID,
                         "the collection has no model to read the query's text: give \"dense\", "
                         "\"sparse\" or \"multi\" ready-made, or \"like\"");
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        const char *name = fuse_mode_name((enum fuse_mode)mode);
        if (modes & ~offered & (1u << mode))
            return error_set(err, ERROR_INVALID, "this collection has no %s representations", name);
        if (modes & ~given & (1u << mode))
            return error_set(err, ERROR_INVALID,
                             index_has_model(settings)
                                 ? "mode %s: the query came ready-made and has no \"%s\""
                                 : "mode %s: the collection has no model, and the query no \"%s\"",
                             name, name);
    }
    *out = modes;
    return true;
}

/* A collection whose sparse weights are learned is BGE-M3's kind, whose published rule is the
 * weighted sum of raw scores; BM25's open scale needs the z-score. */
enum fuse_method plan_fusion(const struct index_settings *settings) {
    enum fuse_method method;
    struct error unknown;
    if (settings->fusion[0] && fuse_method_parse(settings->fusion, &method, &unknown))
        return method;
    return settings->lexical == INDEX_LEXICAL_LEARNED ? FUSE_WEIGHTED : FUSE_ZSCORE;
}

static bool choose_fusion(const struct search_request *request,
                          const struct index_settings *settings, struct fuse_plan *plan,
                          struct error *err) {
    plan->method = request->fusion_given ? request->fusion : plan_fusion(settings);
    if (!request->weights_given) {
        fuse_default_weights(plan->method, plan->modes, settings->chunk_tokens > 0, plan->weights);
        return true;
    }
    memcpy(plan->weights, request->weights, sizeof plan->weights);
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (plan->modes & 1u << mode && plan->weights[mode] > 0)
            return true;
    return error_set(err, ERROR_INVALID,
                     "weights: every mode that is compared has the weight 0, so there is no order");
}

/* Token vectors only rescore, so a search by them alone takes the dense candidates, or the sparse
 * ones where the query has no dense vector; with neither, every document is compared. */
static unsigned retrieving_modes(unsigned modes, unsigned given) {
    unsigned retrieving = modes & (DENSE | SPARSE);
    if (retrieving)
        return retrieving;
    return given & DENSE ? DENSE : given & SPARSE ? SPARSE : MULTI;
}

/* At least as many candidates as the page's end and the reranker need. */
static uint32_t candidates_of(const struct search_request *request) {
    size_t end = request->offset + plan_page_size(request);
    size_t wanted = request->candidates ? request->candidates : SEARCH_CANDIDATES_DEFAULT;
    if (request->rerank.wanted && end < plan_rerank_top(request))
        end = plan_rerank_top(request);
    return (uint32_t)(wanted < end ? end : wanted);
}

bool plan_make(const struct search_request *request, const struct index_settings *settings,
               struct search_plan *out, const char **field_out, struct error *err) {
    struct search_plan plan = {0};
    unsigned given = given_modes(request, settings);
    if (!check_limits(request, field_out, err))
        return false;
    *field_out = "rerank";
    if (!check_reranker(request, err) || !vectors_fit(&request->vectors, settings, field_out, err))
        return false;
    *field_out = "modes";
    if (!choose_modes(request, settings, given, &plan.fuse.modes, err))
        return false;
    *field_out = "weights";
    if (!choose_fusion(request, settings, &plan.fuse, err))
        return false;
    *field_out = NULL;
    plan.retrieval.modes = retrieving_modes(plan.fuse.modes, given);
    plan.retrieval.candidates = candidates_of(request);
    plan.queried = plan.fuse.modes | plan.retrieval.modes;
    *out = plan;
    return true;
}
