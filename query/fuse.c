#include "query/fuse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/topk.h"

static const char *const mode_names[FUSE_MODES_N] = {"dense", "sparse", "multi"};
static const char *const method_names[FUSE_METHODS_N] = {"zscore", "weighted", "minmax", "rrf",
                                                         "dbsf"};

const char *fuse_mode_name(enum fuse_mode mode) {
    return mode_names[mode];
}

const char *fuse_method_name(enum fuse_method method) {
    return method_names[method];
}

bool fuse_method_parse(const char *name, enum fuse_method *out, struct error *err) {
    for (int i = 0; i < FUSE_METHODS_N; i++)
        if (strcmp(name, method_names[i]) == 0) {
            *out = (enum fuse_method)i;
            return true;
        }
    return error_set(err, ERROR_INVALID,
                     "unknown fusion \"%s\": choose zscore, weighted, minmax, rrf or dbsf", name);
}

bool fuse_modes_parse(const char *names, unsigned *out, struct error *err) {
    unsigned modes = 0;
    for (const char *at = names; *at;) {
        size_t len = strcspn(at, ",");
        int mode = 0;
        while (mode < FUSE_MODES_N &&
               (strlen(mode_names[mode]) != len || memcmp(at, mode_names[mode], len) != 0))
            mode++;
        if (mode == FUSE_MODES_N)
            return error_set(err, ERROR_INVALID,
                             "unknown mode \"%.*s\": choose among dense, sparse and multi",
                             (int)len, at);
        modes |= 1u << mode;
        at += len;
        at += *at == ',';
    }
    if (!modes)
        return error_set(err, ERROR_INVALID, "no mode given: choose among dense, sparse and multi");
    *out = modes;
    return true;
}

void fuse_default_weights(enum fuse_method method, unsigned modes, bool passages,
                          float weights_out[FUSE_MODES_N]) {
    /* zscore's were swept on SciFact, XQuAD and QMSum, those for passages on QMSum
     * (docs/passages.md); minmax and dbsf live on the same scale. weighted's are BGE-M3's training
     * default. */
    static const float three[FUSE_MODES_N] = {.3f, .3f, .4f}, two[FUSE_MODES_N] = {.6f, .4f, 0},
                       m3[FUSE_MODES_N] = {1, .3f, 1}, parts[FUSE_MODES_N] = {.15f, .65f, .2f},
                       equal[FUSE_MODES_N] = {1, 1, 1};
    const float *chosen = method == FUSE_WEIGHTED      ? m3
                          : method == FUSE_RRF         ? equal
                          : passages                   ? parts
                          : modes & (1u << FUSE_MULTI) ? three
                                                       : two;
    float sum = 0;
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        weights_out[mode] = modes & (1u << mode) ? chosen[mode] : 0;
        sum += weights_out[mode];
    }
    if (method == FUSE_WEIGHTED || method == FUSE_RRF || sum == 0)
        return;
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        weights_out[mode] /= sum;
}

/* Ranks of one mode over all candidates. */
static void rank_mode(struct fuse_candidate *candidates, size_t n, int mode, struct arena *arena) {
    struct scored *order = ARENA_NEW(arena, struct scored, n);
    for (size_t i = 0; i < n; i++) /* docids ascend with i, so i breaks ties as docids would */
        order[i] = (struct scored){.score = candidates[i].raw[mode], .docid = (uint32_t)i};
    scored_sort(order, n);
    for (size_t rank = 0; rank < n; rank++)
        candidates[order[rank].docid].rank[mode] = (uint32_t)rank + 1;
}

struct spread {
    double mean, deviation, min, max;
};

static struct spread spread_of(const struct fuse_candidate *candidates, size_t n, int mode) {
    struct spread spread = {.min = INFINITY, .max = -INFINITY};
    for (size_t i = 0; i < n; i++) {
        double raw = (double)candidates[i].raw[mode];
        spread.mean += raw / (double)n;
        spread.min = fmin(spread.min, raw);
        spread.max = fmax(spread.max, raw);
    }
    double variance = 0;
    for (size_t i = 0; i < n; i++) {
        double off = (double)candidates[i].raw[mode] - spread.mean;
        variance += off * off / (double)n;
    }
    spread.deviation = sqrt(variance);
    return spread;
}

/* Where every candidate scored the same, the mode tells nothing and adds nothing. */
static double normalize(enum fuse_method method, const struct spread *spread, double raw,
                        uint32_t rank) {
    enum { RRF_K = 60 };    /* the paper's constant */
    const double reach = 3; /* deviations to each side that dbsf takes for the range */
    switch (method) {
    case FUSE_ZSCORE: return spread->deviation > 0 ? (raw - spread->mean) / spread->deviation : 0;
    case FUSE_MINMAX:
        return spread->max > spread->min ? (raw - spread->min) / (spread->max - spread->min) : 0;
    case FUSE_DBSF:
        if (!(spread->deviation > 0))
            return 0;
        raw = (raw - spread->mean) / (2 * reach * spread->deviation) + .5;
        return fmin(fmax(raw, 0), 1);
    case FUSE_RRF: return 1.0 / (RRF_K + rank);
    default: return raw;
    }
}

static int compare_docids(const void *a, const void *b) {
    const struct fuse_candidate *x = a, *y = b;
    return (x->docid > y->docid) - (x->docid < y->docid);
}

static int compare_candidates(const void *a, const void *b) {
    const struct fuse_candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return compare_docids(a, b);
}

void fuse(const struct fuse_plan *plan, struct fuse_candidate *candidates, size_t n,
          struct arena *arena) {
    if (n == 0)
        return;
    bool single = (plan->modes & (plan->modes - 1)) == 0;
    enum fuse_method method = single ? FUSE_WEIGHTED : plan->method;
    qsort(candidates, n, sizeof *candidates, compare_docids);
    for (size_t i = 0; i < n; i++)
        candidates[i].score = 0;
    for (int mode = 0; mode < FUSE_MODES_N; mode++) {
        if (!(plan->modes & (1u << mode)))
            continue;
        rank_mode(candidates, n, mode, arena);
        struct spread spread = spread_of(candidates, n, mode);
        double weight = single ? 1 : (double)plan->weights[mode];
        for (size_t i = 0; i < n; i++) {
            struct fuse_candidate *c = &candidates[i];
            double normalized = normalize(method, &spread, (double)c->raw[mode], c->rank[mode]);
            c->normalized[mode] = (float)normalized;
            c->contribution[mode] = (float)(weight * normalized);
            c->score += c->contribution[mode];
        }
    }
    qsort(candidates, n, sizeof *candidates, compare_candidates);
}
