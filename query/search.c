#include "query/search.h"

#include <math.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/pool.h"
#include "index/fields/filter.h"
#include "query/explain.h"
#include "query/highlight.h"
#include "query/run.h"
#include "query/tuned.h"

/* ---- the query ---- */

/* A query that is a document: its own words are named where somebody will read them. */
static bool read_like(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    struct searcher *searcher = run->searcher;
    struct analyzer *analyzer = NULL;
    bool named = request->explain || request->highlight.wanted;
    const struct index_settings *settings = index_settings_of(searcher->index);
    run->is_like = true;
    return document_find(run->snapshot, request->like, request->like_len, &run->like_docid, err) &&
           (!named || searcher_analyzer(searcher, &analyzer, err)) &&
           query_like(run->snapshot, run->like_docid, settings, analyzer,
                      named ? searcher->model : NULL, run->arena, &run->query, err);
}

/* What came ready-made; without a model the text's words stand beside it, where there are any. */
static bool read_ready(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    const struct index_settings *settings = index_settings_of(run->searcher->index);
    struct analyzer *analyzer = NULL;
    bool words = request->query && !request->vectors.has_sparse && !index_has_model(settings) &&
                 run->plan.queried & 1u << FUSE_SPARSE;
    return query_ready(&request->vectors, settings, run->snapshot, request->query,
                       request->query_len, run->arena, &run->query, err) &&
           (!words || (searcher_analyzer(run->searcher, &analyzer, err) &&
                       query_add_terms(&run->query, analyzer, run->snapshot, run->arena, err)));
}

static bool read_query(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    struct searcher *searcher = run->searcher;
    const struct index_settings *settings = index_settings_of(searcher->index);
    if (request->like)
        return read_like(run, err);
    if (vectors_modes(&request->vectors) || !index_has_model(settings))
        return read_ready(run, err);
    if (!searcher->encoder) {
        *err = searcher->no_model;
        return false;
    }
    return query_encode(searcher->encoder, search_encoder_modes(run->plan.queried), settings,
                        run->snapshot, request->query, request->query_len, run->arena,
                        request->encoding, &run->query, err);
}

/* ---- the page ---- */

const char *search_field_name(enum search_field field) {
    static const char *const names[] = {[SEARCH_TITLE] = "title", [SEARCH_TEXT] = "text"};
    return names[field];
}

static bool tell_why(struct search_run *run, const struct highlighter *highlighter,
                     struct search_hit *hit, struct error *err) {
    const struct search_request *request = run->request;
    struct evidence evidence;
    if (!request->explain && !request->highlight.wanted)
        return true;
    return evidence_find(run, hit, &evidence, err) &&
           (!request->explain || explain_hit(run, &evidence, hit, err)) &&
           (!request->highlight.wanted || highlight_hit(run, highlighter, &evidence, hit, err));
}

/* The page of the candidates that was asked for, with what is shown of it. */
static bool fetch(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    struct search_result *result = run->result;
    size_t offset = request->offset < run->n ? request->offset : run->n;
    size_t k = request->all_hits ? SIZE_MAX : plan_page_size(request);
    size_t left = run->n - offset, n = left < k ? left : k;
    struct search_hit *hits = ARENA_ZERO(run->arena, struct search_hit, n);
    struct highlighter highlighter;
    if (request->highlight.wanted && !highlighter_init(run, &highlighter, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct search_hit *hit = &hits[i];
        hit->scores = run->candidates[offset + i];
        if (offset + i < result->reranking.scored_n)
            hit->rerank = run->reranked[offset + i];
        if (!document_get(run->snapshot, hit->scores.docid, run->arena, &hit->document, err) ||
            !run_hit_passage(run, hit, err))
            return false;
        if (!tell_why(run, &highlighter, hit, err))
            return false;
    }
    result->hits = hits;
    result->hits_n = n;
    return true;
}

static bool count_facets(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    size_t n = request->facets_n;
    size_t limit = request->facet_limit ? request->facet_limit : FACET_LIMIT_DEFAULT;
    struct facet *facets = ARENA_ZERO(run->arena, struct facet, n);
    struct search_facet *fields = ARENA_ZERO(run->arena, struct search_facet, n);
    for (size_t i = 0; i < n; i++) {
        fields[i] = request->facets[i];
        if (!facet_count(run->snapshot, fields[i].field, fields[i].field_len, limit, run->allowed,
                         run->arena, &facets[i], err))
            return false;
    }
    run->result->facets = facets;
    run->result->facet_fields = fields;
    run->result->facets_n = n;
    return true;
}

/* ---- the whole ---- */

/* Notes the time since *mark and moves the mark. */
static double lap_ms(double *mark) {
    double now = clock_now_ms(), lap = now - *mark;
    *mark = now;
    return lap;
}

static bool ask_filter(struct search_run *run, const struct filter *filter,
                       struct docid_set *allowed, struct error *err) {
    struct search_retrieval *retrieval = &run->result->retrieval;
    if (!filter)
        return true;
    if (!filter_run(filter, run->snapshot, run->arena, allowed, err))
        return false;
    run->allowed = allowed;
    retrieval->filtered = true;
    retrieval->allowed_n = docid_set_count(allowed);
    return true;
}

static double deadline_of(const struct search_request *request, double began_ms) {
    return request->rerank.deadline_ms
               ? began_ms - request->encoding_ms + (double)request->rerank.deadline_ms
               : (double)INFINITY;
}

static bool run_in_snapshot(struct search_run *run, const struct filter *filter,
                            struct error *err) {
    const struct search_request *request = run->request;
    struct search_timing *timing = &run->result->timing;
    struct docid_set allowed;
    double began = clock_now_ms(), mark = began;
    if (!read_query(run, err))
        return false;
    timing->encode_ms = lap_ms(&mark) + request->encoding_ms;
    if (!ask_filter(run, filter, &allowed, err) || !run_retrieve(run, err))
        return false;
    timing->retrieve_ms = lap_ms(&mark);
    if (!run_score(run, err))
        return false;
    timing->score_ms = lap_ms(&mark);
    fuse(&run->plan.fuse, run->candidates, run->n, run->arena);
    timing->fuse_ms = lap_ms(&mark);
    run->result->candidates_n = run->n;
    if (request->rerank.wanted) {
        if (!run_rerank(run, deadline_of(request, began), err))
            return false;
        timing->rerank_ms = lap_ms(&mark);
    }
    if (!fetch(run, err))
        return false;
    timing->fetch_ms = lap_ms(&mark);
    if (request->facets_n) {
        if (!count_facets(run, err))
            return false;
        timing->facets_ms = lap_ms(&mark);
    }
    timing->total_ms = mark - began + request->encoding_ms;
    return true;
}

bool search_check(const struct searcher *searcher, const struct search_request *request,
                  const char **field_out, struct error *err) {
    struct search_plan ignored;
    return plan_make(request, index_settings_of(searcher->index), &ignored, field_out, err);
}

const char *search_fault(const struct search_request *request, const struct error *err) {
    return request->like && err->code == ERROR_NOT_FOUND ? "like" : NULL;
}

/* What other threads allocate: they may not from the request's arena. */
static size_t beside_n(const struct search_run *run) {
    return run->request->pool ? pool_workers_n(run->request->pool) - 1 : 0;
}

static void begin_beside(struct search_run *run) {
    run->beside = ARENA_ZERO(run->arena, struct arena, beside_n(run));
}

static void end_beside(struct search_run *run) {
    for (size_t i = 0; i < beside_n(run); i++)
        arena_done(&run->beside[i]);
}

bool search_run(struct searcher *searcher, const struct search_request *request,
                struct arena *arena, struct search_result *out, struct error *err) {
    struct search_result result = {.offset = request->offset,
                                   .no_text = request->no_text,
                                   .highlighted = request->highlight.wanted};
    struct search_run run = {
        .searcher = searcher, .request = request, .arena = arena, .result = &result};
    struct filter *filter = NULL;
    const char *ignored;
    if (!plan_make(request, index_settings_of(searcher->index), &run.plan, &ignored, err) ||
        (request->filter && !filter_parse(request->filter, arena, &filter, err)) ||
        !snapshot_open(searcher->index, &run.snapshot, err))
        return false;
    begin_beside(&run);
    bool ok = tuned_apply(request, run.snapshot, &run.plan.fuse, err);
    result.plan = run.plan.fuse;
    result.retrieval = run.plan.retrieval;
    ok = ok && run_in_snapshot(&run, filter, err);
    end_beside(&run);
    snapshot_close(run.snapshot);
    if (ok)
        *out = result;
    return ok;
}
