#include "tools/eval/fuse_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RRF_K = 60 };

static int compare_hits(const void *a, const void *b) {
    const struct run_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(y->doc_key, x->doc_key);
}

struct spread {
    double mean, deviation, low, high;
};

static struct spread spread_of(const struct run_query *list) {
    struct spread spread = {.low = INFINITY, .high = -INFINITY};
    double n = (double)list->hits_n, squares = 0;
    for (size_t i = 0; i < list->hits_n; i++) {
        double score = (double)list->hits[i].score;
        spread.mean += score / n;
        spread.low = fmin(spread.low, score);
        spread.high = fmax(spread.high, score);
    }
    for (size_t i = 0; i < list->hits_n; i++)
        squares += pow((double)list->hits[i].score - spread.mean, 2);
    spread.deviation = sqrt(squares / n);
    return spread;
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* What a score at that rank (from 0) is worth; of the list's lowest when score is NULL. */
static double worth(enum fuse_method method, const struct spread *spread, const float *score,
                    size_t rank) {
    double value = score ? (double)*score : spread->low;
    switch (method) {
    case FUSE_RRF: return score ? 1.0 / (double)(RRF_K + rank + 1) : 0;
    case FUSE_WEIGHTED: return score ? value : 0;
    case FUSE_MINMAX: return score ? ratio(value - spread->low, spread->high - spread->low) : 0;
    case FUSE_ZSCORE: return ratio(value - spread->mean, spread->deviation);
    case FUSE_DBSF: {
        double scaled =
            ratio(value - (spread->mean - 3 * spread->deviation), 6 * spread->deviation);
        return score ? fmin(fmax(scaled, 0), 1) : 0;
    }
    case FUSE_METHODS_N: break;
    }
    return 0;
}

struct fused {
    struct map by_key;
    const char **keys;
    double *scores;
    size_t n;
};

/* Every document starts with what leaving it out is worth; lists that have it add the rest. */
static void add_list(struct fused *fused, const struct run_query *list, double weight,
                     enum fuse_method method) {
    struct spread spread = spread_of(list);
    double absent = worth(method, &spread, NULL, 0);
    qsort(list->hits, list->hits_n, sizeof *list->hits, compare_hits);
    for (size_t i = 0; i < fused->n; i++)
        fused->scores[i] += weight * absent;
    for (size_t i = 0; i < list->hits_n; i++) {
        const struct run_hit *hit = &list->hits[i];
        const uint32_t *at = map_find(&fused->by_key, hit->doc_key, strlen(hit->doc_key));
        fused->scores[*at] += weight * (worth(method, &spread, &hit->score, i) - absent);
    }
}

static struct run_query fuse_lists(const struct run_query *lists, const float *weights,
                                   size_t lists_n, enum fuse_method method, size_t depth,
                                   struct arena *arena) {
    struct run_query out = {.id = lists[0].id};
    struct fused fused = {0};
    size_t all = 0;
    for (size_t i = 0; i < lists_n; i++)
        all += lists[i].hits_n;
    fused.keys = ARENA_NEW(arena, const char *, all + 1);
    for (size_t i = 0; i < lists_n; i++)
        for (size_t j = 0; j < lists[i].hits_n; j++) {
            const char *key = lists[i].hits[j].doc_key;
            bool fresh;
            map_put(&fused.by_key, key, strlen(key), (uint32_t)fused.n, &fresh);
            if (fresh)
                fused.keys[fused.n++] = key;
        }
    fused.scores = ARENA_ZERO(arena, double, fused.n + 1);
    for (size_t i = 0; i < lists_n; i++)
        if (lists[i].hits_n)
            add_list(&fused, &lists[i], (double)weights[i], method);
    out.hits = ARENA_NEW(arena, struct run_hit, fused.n + 1);
    for (size_t i = 0; i < fused.n; i++)
        out.hits[i] = (struct run_hit){fused.keys[i], (float)fused.scores[i]};
    if (fused.n)
        qsort(out.hits, fused.n, sizeof *out.hits, compare_hits);
    out.hits_n = fused.n < depth ? fused.n : depth;
    map_done(&fused.by_key);
    return out;
}

struct run fuse_runs(const struct run *runs, const float *weights, size_t runs_n,
                     enum fuse_method method, size_t depth, struct arena *arena) {
    struct map seen = {0};
    struct run out = {0};
    size_t all = 0;
    for (size_t i = 0; i < runs_n; i++)
        all += runs[i].n;
    struct judged_query *named = ARENA_ZERO(arena, struct judged_query, all + 1);
    struct judged_queries queries = {.queries = named};
    for (size_t i = 0; i < runs_n; i++)
        for (size_t j = 0; j < runs[i].n; j++) {
            const char *id = runs[i].queries[j].id;
            bool fresh;
            map_put(&seen, id, strlen(id), 0, &fresh);
            if (fresh)
                named[queries.n++].id = id;
        }
    map_done(&seen);
    struct run_query *aligned[FUSE_RUNS_MAX];
    for (size_t i = 0; i < runs_n; i++)
        aligned[i] = run_aligned(&runs[i], &queries, arena);
    out.queries = ARENA_NEW(arena, struct run_query, queries.n + 1);
    for (size_t q = 0; q < queries.n; q++) {
        struct run_query lists[FUSE_RUNS_MAX] = {0};
        for (size_t i = 0; i < runs_n; i++)
            lists[i] = aligned[i][q];
        out.queries[out.n++] = fuse_lists(lists, weights, runs_n, method, depth, arena);
    }
    return out;
}
