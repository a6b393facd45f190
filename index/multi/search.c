/* MaxSim over a snapshot (index.h): of given documents, of all, and explained. */
#include <string.h>

#include "index/rows.h"
#include "index/index.h"
#include "index/multi/multivector.h"

/* The codes of a docid, passage by passage. */
struct passage_codes {
    const uint8_t *at, *end;
    uint32_t docid, dim;
};

static struct passage_codes codes_of(struct snapshot *snapshot, uint32_t docid, uint32_t dim) {
    size_t bytes_len = 0;
    const uint8_t *bytes = forward_multi_codes(snapshot, docid, &bytes_len);
    return (struct passage_codes){bytes, bytes ? bytes + bytes_len : NULL, docid, dim};
}

/* A document without vectors has no codes at all; damaged ones have a passage that cannot be. */
static bool has_next(const struct passage_codes *codes) {
    return codes->at != NULL;
}

static bool next_codes(struct passage_codes *codes, struct multi_codes *out, struct error *err) {
    if (!multi_codes_next(&codes->at, codes->end, codes->dim, out, err))
        return error_wrap(err, "docid %u: ", codes->docid);
    if (codes->at == codes->end)
        codes->at = NULL;
    return true;
}

/* The best MaxSim of a docid's passages, and which it is; *any_out: it has vectors. Without: 0. */
static bool score_docid(struct snapshot *snapshot, struct multi_query *query, uint32_t docid,
                        float *score_out, uint32_t *passage_out, bool *any_out, struct error *err) {
    struct passage_codes codes = codes_of(snapshot, docid, query->dim);
    *score_out = 0;
    *passage_out = 0;
    *any_out = false;
    for (uint32_t passage = 0; has_next(&codes); passage++) {
        struct multi_codes one;
        if (!next_codes(&codes, &one, err))
            return false;
        if (one.n == 0)
            continue;
        float score = multi_maxsim(query, &one);
        if (!*any_out || score > *score_out) {
            *score_out = score;
            *passage_out = passage;
        }
        *any_out = true;
    }
    return true;
}

static bool query_of(struct snapshot *snapshot, const float *vectors, size_t n, struct arena *arena,
                     struct multi_query *out, struct error *err) {
    const struct index_settings *settings = index_settings_of(snapshot_index(snapshot));
    if (settings->multi_dim == 0)
        return error_set(err, ERROR_INVALID, "this index holds no multi-vectors");
    if (settings->multi_dim > MULTI_DIM_MAX)
        return error_set(err, ERROR_LIMIT, "multi-vectors of %u dimensions, at most %d",
                         settings->multi_dim, MULTI_DIM_MAX);
    return multi_query_init(out, vectors, n, settings->multi_dim, arena, err);
}

struct multi_scorer {
    struct snapshot *snapshot;
    struct multi_query *queries; /* one for each worker */
};

bool multi_scorer_make(struct snapshot *snapshot, const float *query, size_t query_n,
                       size_t workers_n, struct arena *arena, struct multi_scorer **out,
                       struct error *err) {
    struct multi_scorer *scorer = ARENA_NEW(arena, struct multi_scorer, 1);
    scorer->snapshot = snapshot;
    scorer->queries = ARENA_NEW(arena, struct multi_query, workers_n);
    if (!query_of(snapshot, query, query_n, arena, &scorer->queries[0], err))
        return false;
    for (size_t i = 1; i < workers_n; i++)
        scorer->queries[i] = multi_query_twin(&scorer->queries[0], arena);
    *out = scorer;
    return true;
}

bool multi_scorer_score(struct multi_scorer *scorer, size_t worker, const uint32_t *docids,
                        size_t n, float *scores_out, uint32_t *passages_out, struct error *err) {
    for (size_t i = 0; i < n; i++) {
        uint32_t passage;
        bool any;
        if (!score_docid(scorer->snapshot, &scorer->queries[worker], docids[i], &scores_out[i],
                         &passage, &any, err))
            return false;
        if (passages_out)
            passages_out[i] = passage;
    }
    return true;
}

bool multi_best_passages(struct snapshot *snapshot, const float *query, size_t query_n,
                         const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                         uint32_t *passages_out, struct error *err) {
    struct multi_scorer *scorer;
    float *scores = ARENA_NEW(arena, float, n); /* outputs stay untouched on failure */
    uint32_t *passages = ARENA_NEW(arena, uint32_t, n);
    if (!multi_scorer_make(snapshot, query, query_n, 1, arena, &scorer, err) ||
        !multi_scorer_score(scorer, 0, docids, n, scores, passages, err))
        return false;
    if (n > 0 && scores_out)
        memcpy(scores_out, scores, n * sizeof *scores);
    if (n > 0 && passages_out)
        memcpy(passages_out, passages, n * sizeof *passages);
    return true;
}

bool multi_score(struct snapshot *snapshot, const float *query, size_t query_n,
                 const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                 struct error *err) {
    return multi_best_passages(snapshot, query, query_n, docids, n, arena, scores_out, NULL, err);
}

bool multi_explain(struct snapshot *snapshot, const float *query, size_t query_n, uint32_t docid,
                   uint32_t passage, struct arena *arena, uint32_t *best_out, float *products_out,
                   struct error *err) {
    struct multi_query ready;
    if (!query_of(snapshot, query, query_n, arena, &ready, err))
        return false;
    struct passage_codes codes = codes_of(snapshot, docid, ready.dim);
    struct multi_codes one = {.dim = ready.dim};
    for (uint32_t i = 0; has_next(&codes) && i <= passage; i++)
        if (!next_codes(&codes, &one, err))
            return false;
    multi_best(&ready, &one, best_out, products_out);
    return true;
}

/* The first docid that is meant at `from` or beyond. */
static uint32_t next_docid(const struct docid_set *allowed, uint32_t from) {
    return allowed ? docid_set_next(allowed, from) : from;
}

bool multi_search(struct snapshot *snapshot, const float *query, size_t query_n, size_t k,
                  const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                  struct error *err) {
    struct multi_query ready;
    struct topk topk;
    if (!query_of(snapshot, query, query_n, arena, &ready, err))
        return false;
    uint32_t end = snapshot_docid_end(snapshot);
    uint64_t documents_n = snapshot_documents_n(snapshot);
    topk_init(&topk, k < documents_n ? k : (size_t)documents_n, arena);
    /* Looking a document up costs far less than scoring it. */
    for (uint32_t docid = next_docid(allowed, 0); docid < end && topk.k > 0;
         docid = next_docid(allowed, docid + 1)) {
        float score;
        uint32_t passage;
        bool any;
        if (!score_docid(snapshot, &ready, docid, &score, &passage, &any, err))
            return false;
        if (any)
            topk_push(&topk, score, docid);
    }
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n, false};
    return true;
}
