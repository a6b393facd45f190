/* The best candidates in a cross-encoder's order. */
#include <math.h>
#include <stdlib.h>

#include "query/rerank.h"
#include "query/run.h"

static bool rerank_passage(void *context, size_t i, struct arena *arena, struct passage *out,
                           struct error *err) {
    const struct search_run *run = context;
    uint32_t docid = run->candidates[i].docid;
    bool in_parts = run_knows_passages(run);
    struct document document;
    struct document_passage part;
    size_t title_len;
    return document_get(run->snapshot, docid, arena, &document, err) &&
           (!in_parts ||
            document_passage(run->snapshot, docid, run_passage_of(run, docid), &part, err)) &&
           run_passage_text(run, &document, in_parts ? &part : NULL, arena, out, &title_len, err);
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

bool run_rerank(struct search_run *run, double until_ms, struct error *err) {
    const struct search_request *request = run->request;
    const struct rerank_task task = {
        .scorer = request->reranker,
        .query = request->query,
        .query_len = request->query_len,
        .until_ms = until_ms,
        .cancelled = request->cancelled,
        .pair_ms = &run->searcher->rerank_pair_ms,
        .passage = rerank_passage,
        .context = run,
    };
    size_t top = plan_rerank_top(request), asked = run->n < top ? run->n : top, scored;
    float *raw = ARENA_NEW(run->arena, float, asked);
    run->reranked = ARENA_NEW(run->arena, struct rerank_score, asked);
    if (!rerank(&task, asked, raw, &scored, err))
        return false;
    reorder(run->candidates, raw, scored, run->arena, run->reranked);
    run->result->reranking =
        (struct search_reranking){request->reranker->name, asked, scored, scored < asked};
    return true;
}
