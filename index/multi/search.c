/* MaxSim over a snapshot (index.h): of given documents, of all, and explained. */
#include <string.h>

#include "index/rows.h"
#include "index/index.h"
#include "index/multi/multivector.h"

/* The codes of a docid; n 0 when it has none. */
static bool codes_of(struct snapshot *snapshot, uint32_t docid, uint32_t dim,
                     struct multi_codes *out, struct error *err) {
    size_t bytes_len;
    const void *bytes = forward_multi_codes(snapshot, docid, &bytes_len);
    if (!bytes) {
        *out = (struct multi_codes){.dim = dim};
        return true;
    }
    return multi_codes_open(bytes, bytes_len, dim, out, err) ||
           error_wrap(err, "docid %u: ", docid);
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

bool multi_score(struct snapshot *snapshot, const float *query, size_t query_n,
                 const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                 struct error *err) {
    struct multi_query ready;
    struct multi_codes codes;
    if (!query_of(snapshot, query, query_n, arena, &ready, err))
        return false;
    float *scores = ARENA_NEW(arena, float, n); /* scores_out stays untouched on failure */
    for (size_t i = 0; i < n; i++) {
        if (!codes_of(snapshot, docids[i], ready.dim, &codes, err))
            return false;
        scores[i] = multi_maxsim(&ready, &codes);
    }
    if (n > 0)
        memcpy(scores_out, scores, n * sizeof *scores);
    return true;
}

bool multi_explain(struct snapshot *snapshot, const float *query, size_t query_n, uint32_t docid,
                   struct arena *arena, uint32_t *best_out, float *products_out,
                   struct error *err) {
    struct multi_query ready;
    struct multi_codes codes;
    if (!query_of(snapshot, query, query_n, arena, &ready, err) ||
        !codes_of(snapshot, docid, ready.dim, &codes, err))
        return false;
    multi_best(&ready, &codes, best_out, products_out);
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
    struct multi_codes codes;
    struct topk topk;
    if (!query_of(snapshot, query, query_n, arena, &ready, err))
        return false;
    uint32_t end = snapshot_docid_end(snapshot);
    uint64_t documents_n = snapshot_documents_n(snapshot);
    topk_init(&topk, k < documents_n ? k : (size_t)documents_n, arena);
    /* Looking a document up costs far less than scoring it. */
    for (uint32_t docid = next_docid(allowed, 0); docid < end && topk.k > 0;
         docid = next_docid(allowed, docid + 1)) {
        if (!codes_of(snapshot, docid, ready.dim, &codes, err))
            return false;
        if (codes.n > 0)
            topk_push(&topk, multi_maxsim(&ready, &codes), docid);
    }
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n, false};
    return true;
}
