/* Candidates: what each retrieving mode proposes, and their exact scores in every mode. */
#include <stdlib.h>

#include "query/run.h"

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The docids of the lists, each once, ascending: kind to the pages they are scored from. */
static void unite(struct search_run *run, const struct scored_list *lists, size_t lists_n) {
    size_t all = 0, n = 0, kept = 0;
    for (size_t l = 0; l < lists_n; l++)
        all += lists[l].n;
    uint32_t *docids = ARENA_NEW(run->arena, uint32_t, all);
    for (size_t l = 0; l < lists_n; l++)
        for (size_t i = 0; i < lists[l].n; i++)
            if (!run->is_like || lists[l].entries[i].docid != run->like_docid)
                docids[n++] = lists[l].entries[i].docid;
    if (n)
        qsort(docids, n, sizeof *docids, compare_u32);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || docids[i] != docids[kept - 1])
            docids[kept++] = docids[i];
    run->docids = docids;
    run->n = kept;
}

/* Every document is compared: where that would take seconds, it is refused. */
static bool scan(struct search_run *run, size_t k, struct scored_list *out, struct error *err) {
    uint64_t documents_n = snapshot_documents_n(run->snapshot);
    uint64_t n = run->allowed ? docid_set_count(run->allowed) : documents_n;
    if (documents_n > 0) /* passages, about */
        n = n * snapshot_passages_n(run->snapshot) / documents_n;
    if (n > SEARCH_SCAN_MAX)
        return error_set(err, ERROR_LIMIT,
                         "\"multi\" alone compares all of %llu documents or passages, at most %d: "
                         "give \"dense\" "
                         "or \"sparse\" as well, or a filter",
                         (unsigned long long)n, SEARCH_SCAN_MAX);
    return multi_search(run->snapshot, run->query.multi, run->query.multi_n, k, run->allowed,
                        run->arena, out, err);
}

bool run_retrieve(struct search_run *run, struct error *err) {
    const struct search_request *request = run->request;
    struct search_retrieval *retrieval = &run->result->retrieval;
    struct scored_list lists[FUSE_MODES_N] = {{0}};
    size_t k = retrieval->candidates + run->is_like; /* itself is surely among the best */
    float mass = request->sparse_mass > 0 && !request->exact ? request->sparse_mass : 1;
    if (retrieval->modes & 1u << FUSE_DENSE &&
        !dense_search(run->snapshot, run->query.dense, k, request->exact, run->allowed, run->arena,
                      &lists[FUSE_DENSE], err))
        return false;
    if (retrieval->modes & 1u << FUSE_SPARSE &&
        !sparse_search_approximate(run->snapshot, &run->query.sparse, k, run->allowed, mass,
                                   run->arena, &lists[FUSE_SPARSE], err))
        return false;
    if (retrieval->modes & 1u << FUSE_MULTI && !scan(run, k, &lists[FUSE_MULTI], err))
        return false;
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        retrieval->approximate |= lists[mode].approximate ? 1u << mode : 0u;
    unite(run, lists, FUSE_MODES_N);
    return true;
}

static bool score_mode(struct search_run *run, enum fuse_mode mode, float *scores,
                       struct error *err) {
    const struct query *query = &run->query;
    switch (mode) {
    case FUSE_DENSE:
        return dense_best_passages(run->snapshot, query->dense, run->docids, run->n, scores,
                                   run->passages, err);
    case FUSE_SPARSE:
        return sparse_score(run->snapshot, &query->sparse, run->docids, run->n, run->arena, scores,
                            err);
    default:
        return multi_best_passages(run->snapshot, query->multi, query->multi_n, run->docids, run->n,
                                   run->arena, scores, run->passages, err);
    }
}

bool run_score(struct search_run *run, struct error *err) {
    struct fuse_candidate *candidates = ARENA_ZERO(run->arena, struct fuse_candidate, run->n);
    float *scores = ARENA_ZERO(run->arena, float, run->n);
    run->passages = run_knows_passages(run) ? ARENA_ZERO(run->arena, uint32_t, run->n) : NULL;
    for (size_t i = 0; i < run->n; i++)
        candidates[i].docid = run->docids[i];
    for (int mode = 0; mode < FUSE_MODES_N; mode++) { /* multi last: it has the word on passages */
        if (!(run->plan.fuse.modes & (1u << mode)))
            continue;
        if (!score_mode(run, (enum fuse_mode)mode, scores, err))
            return false;
        for (size_t i = 0; i < run->n; i++)
            candidates[i].raw[mode] = scores[i];
    }
    run->candidates = candidates;
    return true;
}
