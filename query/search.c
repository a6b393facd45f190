#include "query/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "index/fields/filter.h"
#include "query/explain.h"
#include "query/query.h"
#include "query/rerank.h"

struct searcher {
    struct index *index;
    const struct model *model;
    struct encoder *encoder;
    double rerank_pair_ms; /* what the reranker took for a pair last time; 0: not yet known */
};

unsigned search_modes_of(const struct index_settings *settings) {
    unsigned modes = 0;
    if (settings->dense_dim)
        modes |= 1u << FUSE_DENSE;
    if (settings->lexical != INDEX_LEXICAL_NONE)
        modes |= 1u << FUSE_SPARSE;
    if (settings->multi_dim)
        modes |= 1u << FUSE_MULTI;
    return modes;
}

static unsigned encoder_modes_of(unsigned modes) {
    return (modes & 1u << FUSE_DENSE ? ENCODE_DENSE : 0u) |
           (modes & 1u << FUSE_SPARSE ? ENCODE_LEXICAL : 0u) |
           (modes & 1u << FUSE_MULTI ? ENCODE_MULTI : 0u);
}

bool searcher_open(struct index *index, const struct model *model, struct searcher **out,
                   struct error *err) {
    const struct index_settings *settings = index_settings_of(index);
    const struct model_info *info = model_info(model);
    if (strcmp(settings->fingerprint, info->fingerprint) != 0)
        return error_set(err, ERROR_INVALID,
                         "%s was indexed with model %s (fingerprint %.8s), this is %s (%.8s): "
                         "search with the same model, or index again",
                         index_folder(index), settings->model, settings->fingerprint, info->name,
                         info->fingerprint);
    struct encoder_options options = {
        .modes = encoder_modes_of(search_modes_of(settings)),
        .instruction = settings->instruction,
        .unit_length = true,
        .length_max = settings->length_max,
        .analyzer = settings->analyzer,
    };
    struct encoder *encoder;
    if (!encoder_open(model, NULL, &options, &encoder, err))
        return false;
    struct searcher *searcher = mem_alloc(1, sizeof *searcher);
    *searcher = (struct searcher){.index = index, .model = model, .encoder = encoder};
    *out = searcher;
    return true;
}

void searcher_close(struct searcher *searcher) {
    if (!searcher)
        return;
    encoder_close(searcher->encoder);
    free(searcher);
}

bool searcher_encode(struct searcher *searcher, const struct search_request *const *requests,
                     size_t n, struct arena *arena, struct encoding *out, struct error *err) {
    struct encoder_text *texts = ARENA_NEW(arena, struct encoder_text, n);
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct encoder_text){requests[i]->query, requests[i]->query_len};
    return encoder_encode(searcher->encoder, texts, n, arena, out, err);
}

/* What is to be done: the request's word where it has one, the measured defaults elsewhere. A
 * collection whose sparse weights are learned is BGE-M3's kind, whose published rule is the
 * weighted sum of raw scores; BM25's open scale needs the z-score. */
static bool plan_make(const struct search_request *request, const struct index_settings *settings,
                      struct fuse_plan *plan, const char **field_out, struct error *err) {
    unsigned offered = search_modes_of(settings);
    *field_out = "modes";
    plan->modes = request->modes ? request->modes : offered;
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (plan->modes & ~offered & (1u << mode))
            return error_set(err, ERROR_INVALID, "this collection has no %s representations",
                             fuse_mode_name((enum fuse_mode)mode));
    plan->method = request->fusion_given                        ? request->fusion
                   : settings->lexical == INDEX_LEXICAL_LEARNED ? FUSE_WEIGHTED
                                                                : FUSE_ZSCORE;
    if (!request->weights_given) {
        fuse_default_weights(plan->method, plan->modes, plan->weights);
        return true;
    }
    *field_out = "weights";
    memcpy(plan->weights, request->weights, sizeof plan->weights);
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (plan->modes & 1u << mode && plan->weights[mode] > 0)
            return true;
    return error_set(err, ERROR_INVALID,
                     "weights: every mode that is compared has the weight 0, so there is no order");
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The docids of both lists, each once, ascending: kind to the pages they are scored from. */
static size_t docids_union(const struct scored_list *a, const struct scored_list *b,
                           struct arena *arena, uint32_t **out) {
    uint32_t *docids = ARENA_NEW(arena, uint32_t, a->n + b->n);
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < a->n; i++)
        docids[n++] = a->entries[i].docid;
    for (size_t i = 0; i < b->n; i++)
        docids[n++] = b->entries[i].docid;
    if (n)
        qsort(docids, n, sizeof *docids, compare_u32);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || docids[i] != docids[kept - 1])
            docids[kept++] = docids[i];
    *out = docids;
    return kept;
}

/* Multi-vectors only rescore, so a search by them alone takes the dense candidates, or the sparse
 * ones where there is no dense vector. */
static unsigned retrieving_modes(unsigned modes, unsigned offered) {
    unsigned retrieving = modes & (1u << FUSE_DENSE | 1u << FUSE_SPARSE);
    if (retrieving)
        return retrieving;
    return offered & 1u << FUSE_DENSE ? 1u << FUSE_DENSE : offered & 1u << FUSE_SPARSE;
}

static size_t page_size(const struct search_request *request) {
    return request->k ? request->k : SEARCH_K_DEFAULT;
}

static size_t rerank_top(const struct search_request *request) {
    return request->rerank.top ? request->rerank.top : SEARCH_RERANK_DEFAULT;
}

/* At least as many candidates as the page's end and the reranker need. */
static void retrieval_plan(const struct search_request *request, unsigned modes, unsigned offered,
                           struct search_retrieval *out) {
    size_t end = request->offset + page_size(request);
    size_t wanted = request->candidates ? request->candidates : SEARCH_CANDIDATES_DEFAULT;
    if (request->rerank.wanted && end < rerank_top(request))
        end = rerank_top(request);
    out->modes = retrieving_modes(modes, offered);
    out->candidates = (uint32_t)(wanted < end ? end : wanted);
}

static bool retrieve(struct snapshot *snapshot, const struct query *query,
                     struct search_retrieval *retrieval, const struct search_request *request,
                     const struct docid_set *allowed, struct arena *arena, uint32_t **docids_out,
                     size_t *n_out, struct error *err) {
    struct scored_list dense = {0}, sparse = {0};
    size_t k = retrieval->candidates;
    float mass = request->sparse_mass > 0 && !request->exact ? request->sparse_mass : 1;
    if (retrieval->modes & 1u << FUSE_DENSE &&
        !dense_search(snapshot, query->dense, k, request->exact, allowed, arena, &dense, err))
        return false;
    if (retrieval->modes & 1u << FUSE_SPARSE &&
        !sparse_search_approximate(snapshot, &query->sparse, k, allowed, mass, arena, &sparse, err))
        return false;
    retrieval->approximate =
        (dense.approximate ? 1u << FUSE_DENSE : 0u) | (sparse.approximate ? 1u << FUSE_SPARSE : 0u);
    *n_out = docids_union(&dense, &sparse, arena, docids_out);
    return true;
}

static bool score_exactly(struct snapshot *snapshot, const struct query *query, unsigned modes,
                          const uint32_t *docids, size_t n, struct arena *arena,
                          struct fuse_candidate **out, struct error *err) {
    struct fuse_candidate *candidates = ARENA_ZERO(arena, struct fuse_candidate, n);
    float *scores = ARENA_ZERO(arena, float, n);
    for (size_t i = 0; i < n; i++)
        candidates[i].docid = docids[i];
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        if (!(modes & (1u << mode)))
            continue;
        bool ok = mode == FUSE_DENSE ? dense_score(snapshot, query->dense, docids, n, scores, err)
                  : mode == FUSE_SPARSE
                      ? sparse_score(snapshot, &query->sparse, docids, n, arena, scores, err)
                      : multi_score(snapshot, query->multi, query->multi_n, docids, n, arena,
                                    scores, err);
        if (!ok)
            return false;
        for (size_t i = 0; i < n; i++)
            candidates[i].raw[mode] = scores[i];
    }
    *out = candidates;
    return true;
}

/* ---- reranking ---- */

struct rerank_passages {
    struct snapshot *snapshot;
    const struct fuse_candidate *candidates;
};

static bool rerank_passage(void *context, size_t i, struct arena *arena, struct passage *out,
                           struct error *err) {
    const struct rerank_passages *passages = context;
    struct document document;
    if (!document_get(passages->snapshot, passages->candidates[i].docid, arena, &document, err))
        return false;
    *out = passage_of(document.title, document.title_len, document.text, document.text_len, arena);
    return true;
}

struct reranked {
    float raw;
    size_t place; /* among the fused */
};

static int compare_reranked(const void *a, const void *b) {
    const struct reranked *x = a, *y = b;
    if (x->raw != y->raw)
        return x->raw < y->raw ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Brings the first `n` candidates into the order of their scores. */
static void reorder(struct fuse_candidate *candidates, const float *raw, size_t n,
                    struct arena *arena, struct rerank_score *scores_out) {
    struct reranked *order = ARENA_NEW(arena, struct reranked, n);
    struct fuse_candidate *fused = ARENA_NEW(arena, struct fuse_candidate, n);
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct reranked){raw[i], i};
        fused[i] = candidates[i];
    }
    if (n)
        qsort(order, n, sizeof *order, compare_reranked);
    for (size_t i = 0; i < n; i++) {
        candidates[i] = fused[order[i].place];
        scores_out[i] = (struct rerank_score){
            .rank = (uint32_t)i + 1,
            .raw = order[i].raw,
            .normalized = 1 / (1 + expf(-order[i].raw)),
        };
    }
}

/* *scores_out: [reranking.scored_n] of the first candidates. */
static bool rerank_best(struct searcher *searcher, struct snapshot *snapshot,
                        const struct search_request *request, double until_ms,
                        struct fuse_candidate *candidates, size_t n, struct arena *arena,
                        struct rerank_score **scores_out, struct search_reranking *reranking,
                        struct error *err) {
    struct rerank_passages passages = {snapshot, candidates};
    const struct rerank_task task = {
        .scorer = request->reranker,
        .query = request->query,
        .query_len = request->query_len,
        .until_ms = until_ms,
        .cancelled = request->cancelled,
        .pair_ms = &searcher->rerank_pair_ms,
        .passage = rerank_passage,
        .context = &passages,
    };
    size_t top = rerank_top(request), asked = n < top ? n : top, scored;
    float *raw = ARENA_NEW(arena, float, asked);
    *scores_out = ARENA_NEW(arena, struct rerank_score, asked);
    if (!rerank(&task, asked, raw, &scored, err))
        return false;
    reorder(candidates, raw, scored, arena, *scores_out);
    *reranking = (struct search_reranking){request->reranker->name, asked, scored, scored < asked};
    return true;
}

/* ---- the page ---- */

/* The page of the candidates that was asked for, with what is shown of it. */
static bool fetch(struct searcher *searcher, struct snapshot *snapshot,
                  const struct search_request *request, const struct query *query,
                  const struct fuse_candidate *candidates, size_t candidates_n,
                  const struct rerank_score *reranked, struct arena *arena,
                  struct search_result *result, struct error *err) {
    size_t offset = request->offset < candidates_n ? request->offset : candidates_n;
    size_t k = page_size(request), left = candidates_n - offset, n = left < k ? left : k;
    const struct fuse_candidate *best = candidates + offset;
    struct search_hit *hits = ARENA_ZERO(arena, struct search_hit, n);
    for (size_t i = 0; i < n; i++) {
        hits[i].scores = best[i];
        if (offset + i < result->reranking.scored_n)
            hits[i].rerank = reranked[offset + i];
        if (!document_get(snapshot, best[i].docid, arena, &hits[i].document, err))
            return false;
        if (request->explain && !explain_hit(snapshot, searcher->model, query, result->plan.modes,
                                             arena, &hits[i], err))
            return false;
    }
    result->hits = hits;
    result->hits_n = n;
    return true;
}

static bool count_facets(struct snapshot *snapshot, const struct search_request *request,
                         const struct docid_set *allowed, struct arena *arena,
                         struct search_result *result, struct error *err) {
    size_t n = request->facets_n;
    size_t limit = request->facet_limit ? request->facet_limit : FACET_LIMIT_DEFAULT;
    struct facet *facets = ARENA_ZERO(arena, struct facet, n);
    struct search_facet *fields = ARENA_ZERO(arena, struct search_facet, n);
    for (size_t i = 0; i < n; i++) {
        fields[i] = request->facets[i];
        if (!facet_count(snapshot, fields[i].field, fields[i].field_len, limit, allowed, arena,
                         &facets[i], err))
            return false;
    }
    result->facets = facets;
    result->facet_fields = fields;
    result->facets_n = n;
    return true;
}

/* Notes the time since *mark and moves the mark. */
static double lap_ms(double *mark) {
    double now = clock_now_ms(), lap = now - *mark;
    *mark = now;
    return lap;
}

static bool run_in_snapshot(struct searcher *searcher, struct snapshot *snapshot,
                            const struct search_request *request, const struct filter *filter,
                            struct arena *arena, struct search_result *result, struct error *err) {
    const struct index_settings *settings = index_settings_of(searcher->index);
    struct search_retrieval *retrieval = &result->retrieval;
    struct search_timing *timing = &result->timing;
    struct fuse_candidate *candidates;
    struct rerank_score *reranked = NULL;
    struct docid_set allowed;
    struct query query;
    uint32_t *docids;
    size_t n;
    double began = clock_now_ms(), mark = began;
    retrieval_plan(request, result->plan.modes, search_modes_of(settings), retrieval);
    unsigned encoded = encoder_modes_of(result->plan.modes | retrieval->modes);
    if (!query_encode(searcher->encoder, encoded, settings, snapshot, request->query,
                      request->query_len, arena, request->encoding, &query, err))
        return false;
    timing->encode_ms = lap_ms(&mark) + request->encoding_ms;
    if (filter && !filter_run(filter, snapshot, arena, &allowed, err))
        return false;
    retrieval->filtered = filter != NULL;
    retrieval->allowed_n = filter ? docid_set_count(&allowed) : 0;
    if (!retrieve(snapshot, &query, retrieval, request, filter ? &allowed : NULL, arena, &docids,
                  &n, err))
        return false;
    timing->retrieve_ms = lap_ms(&mark);
    if (!score_exactly(snapshot, &query, result->plan.modes, docids, n, arena, &candidates, err))
        return false;
    timing->score_ms = lap_ms(&mark);
    fuse(&result->plan, candidates, n, arena);
    timing->fuse_ms = lap_ms(&mark);
    result->candidates_n = n;
    double deadline_ms =
        request->rerank.deadline_ms ? (double)request->rerank.deadline_ms : (double)INFINITY;
    if (request->rerank.wanted &&
        !rerank_best(searcher, snapshot, request, began - request->encoding_ms + deadline_ms,
                     candidates, n, arena, &reranked, &result->reranking, err))
        return false;
    timing->rerank_ms = lap_ms(&mark);
    if (!fetch(searcher, snapshot, request, &query, candidates, n, reranked, arena, result, err))
        return false;
    timing->fetch_ms = lap_ms(&mark);
    if (!count_facets(snapshot, request, filter ? &allowed : NULL, arena, result, err))
        return false;
    timing->facets_ms = lap_ms(&mark);
    timing->total_ms = mark - began + request->encoding_ms;
    return true;
}

bool search_check_page(const struct search_request *request, struct error *err) {
    size_t k = page_size(request);
    return request->offset + k <= SEARCH_K_MAX ||
           error_set(err, ERROR_INVALID,
                     "offset %u and k %zu end at hit %zu, at most %d can be paged through",
                     request->offset, k, request->offset + k, SEARCH_K_MAX);
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
    return true;
}

bool search_check(const struct searcher *searcher, const struct search_request *request,
                  const char **field_out, struct error *err) {
    struct fuse_plan ignored;
    if (!check_limits(request, field_out, err))
        return false;
    *field_out = "rerank";
    return check_reranker(request, err) &&
           plan_make(request, index_settings_of(searcher->index), &ignored, field_out, err);
}

bool search_run(struct searcher *searcher, const struct search_request *request,
                struct arena *arena, struct search_result *out, struct error *err) {
    struct search_result result = {.offset = request->offset, .no_text = request->no_text};
    struct snapshot *snapshot;
    struct filter *filter = NULL;
    const char *ignored;
    if (!search_check(searcher, request, &ignored, err) ||
        (request->filter && !filter_parse(request->filter, arena, &filter, err)) ||
        !plan_make(request, index_settings_of(searcher->index), &result.plan, &ignored, err) ||
        !snapshot_open(searcher->index, &snapshot, err))
        return false;
    bool ok = run_in_snapshot(searcher, snapshot, request, filter, arena, &result, err);
    snapshot_close(snapshot);
    if (ok)
        *out = result;
    return ok;
}
