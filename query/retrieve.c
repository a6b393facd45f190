/* Candidates: what each retrieving mode proposes, and their exact scores in every mode. */
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/pool.h"
#include "query/run.h"

/* ---- sharing the work ---- */

/* One part of a stage, by one thread. */
typedef bool run_part(void *stage, size_t part, size_t worker, struct error *err);

struct sharing {
    run_part *part;
    void *stage;
    atomic_bool failed;
    struct error *err; /* of the first that failed */
};

static void share_one(void *context, size_t part, size_t worker) {
    struct sharing *sharing = context;
    struct error err;
    if (!atomic_load_explicit(&sharing->failed, memory_order_relaxed) &&
        !sharing->part(sharing->stage, part, worker, &err) &&
        !atomic_exchange(&sharing->failed, true))
        *sharing->err = err;
}

static bool share(struct pool *pool, size_t parts_n, run_part *part, void *stage,
                  struct error *err) {
    struct sharing sharing = {.part = part, .stage = stage, .err = err};
    if (pool) {
        pool_run(pool, parts_n, share_one, &sharing);
        return !sharing.failed;
    }
    for (size_t i = 0; i < parts_n; i++)
        if (!part(stage, i, 0, err))
            return false;
    return true;
}

static struct arena *arena_of(const struct search_run *run, size_t worker) {
    return worker == 0 ? run->arena : &run->beside[worker - 1];
}

/* ---- candidates ---- */

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

struct retrieving {
    struct search_run *run;
    size_t k;
    struct scored_list lists[FUSE_MODES_N];
};

static bool retrieve_mode(void *stage, size_t mode, size_t worker, struct error *err) {
    struct retrieving *retrieving = stage;
    struct search_run *run = retrieving->run;
    const struct search_request *request = run->request;
    struct arena *arena = arena_of(run, worker);
    struct scored_list *out = &retrieving->lists[mode];
    float mass = request->sparse_mass > 0 && !request->exact ? request->sparse_mass : 1;
    if (!(run->result->retrieval.modes & 1u << mode))
        return true;
    if (mode == FUSE_DENSE)
        return dense_search(run->snapshot, run->query.dense, retrieving->k, request->exact,
                            run->allowed, arena, out, err);
    return sparse_search_approximate(run->snapshot, &run->query.sparse, retrieving->k, run->allowed,
                                     mass, arena, out, err);
}

bool run_retrieve(struct search_run *run, struct error *err) {
    enum { ASIDE_N = FUSE_MULTI }; /* dense and sparse; to compare all is asked for alone */
    struct search_retrieval *retrieval = &run->result->retrieval;
    struct retrieving retrieving = {
        .run = run, .k = retrieval->candidates + run->is_like, /* itself is surely among the best */
    };
    if (!share(run->request->pool, ASIDE_N, retrieve_mode, &retrieving, err))
        return false;
    if (retrieval->modes & 1u << FUSE_MULTI &&
        !scan(run, retrieving.k, &retrieving.lists[FUSE_MULTI], err))
        return false;
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        retrieval->approximate |= retrieving.lists[mode].approximate ? 1u << mode : 0u;
    unite(run, retrieving.lists, FUSE_MODES_N);
    return true;
}

/* ---- scores ---- */

/* Parts: a mode by itself, but MaxSim, which takes ten times as long, by so many candidates. */
enum { SCORE_MULTI_PART = 8, SCORE_MULTI_FIRST = FUSE_MULTI };

struct scoring {
    struct search_run *run;
    struct multi_scorer *multi;
    float *scores[FUSE_MODES_N];
    uint32_t *passages[FUSE_MODES_N]; /* NULL: run_knows_passages says no */
};

static bool score_part(void *stage, size_t part, size_t worker, struct error *err) {
    struct scoring *scoring = stage;
    struct search_run *run = scoring->run;
    const struct query *query = &run->query;
    if (part < SCORE_MULTI_FIRST && !(run->plan.fuse.modes & 1u << part))
        return true;
    if (part == FUSE_DENSE)
        return dense_best_passages(run->snapshot, query->dense, run->docids, run->n,
                                   scoring->scores[FUSE_DENSE], scoring->passages[FUSE_DENSE], err);
    if (part == FUSE_SPARSE)
        return sparse_score(run->snapshot, &query->sparse, run->docids, run->n,
                            arena_of(run, worker), scoring->scores[FUSE_SPARSE], err);
    size_t begin = (part - SCORE_MULTI_FIRST) * SCORE_MULTI_PART, left = run->n - begin;
    uint32_t *passages = scoring->passages[FUSE_MULTI];
    return multi_scorer_score(scoring->multi, worker, run->docids + begin,
                              left < SCORE_MULTI_PART ? left : SCORE_MULTI_PART,
                              scoring->scores[FUSE_MULTI] + begin,
                              passages ? passages + begin : NULL, err);
}

bool run_score(struct search_run *run, struct error *err) {
    struct scoring scoring = {.run = run};
    struct pool *pool = run->request->pool;
    unsigned modes = run->plan.fuse.modes;
    size_t parts_n = SCORE_MULTI_FIRST;
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        scoring.scores[mode] = ARENA_ZERO(run->arena, float, run->n);
        if (run_knows_passages(run) && modes & 1u << mode && mode != FUSE_SPARSE)
            run->passages = scoring.passages[mode] = ARENA_ZERO(run->arena, uint32_t, run->n);
    }
    if (modes & 1u << FUSE_MULTI) {
        if (!multi_scorer_make(run->snapshot, run->query.multi, run->query.multi_n,
                               pool ? pool_workers_n(pool) : 1, run->arena, &scoring.multi, err))
            return false;
        parts_n += (run->n + SCORE_MULTI_PART - 1) / SCORE_MULTI_PART;
    }
    if (!share(pool, parts_n, score_part, &scoring, err))
        return false;
    run->candidates = ARENA_ZERO(run->arena, struct fuse_candidate, run->n);
    for (size_t i = 0; i < run->n; i++) {
        run->candidates[i].docid = run->docids[i];
        for (int mode = 0; mode < FUSE_MODES_N; mode++)
            if (modes & 1u << mode)
                run->candidates[i].raw[mode] = scoring.scores[mode][i];
    }
    return true;
}
