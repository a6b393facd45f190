#include "tools/tune/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"

enum { DEPTH = 10 }; /* of the measure: nDCG@10 */

/* Shares that move at a time; below the last one nDCG does not notice. */
static const float steps[] = {.2f, .1f, .05f, .025f};

/* A gain smaller than this is a tie broken by rounding. */
static const double least_gain = 1e-6;

/* What one method makes of every candidate's scores: [queries][n][FUSE_MODES_N]. */
struct normalized {
    float (**values)[FUSE_MODES_N]; /* [queries] */
};

static void normalize(const struct sweep *sweep, enum fuse_method method, struct arena *arena,
                      struct normalized *out) {
    struct fuse_plan plan = {.modes = sweep->modes, .method = method, .weights = {1, 1, 1}};
    out->values = arena_alloc(arena, sweep->n, sizeof *out->values);
    for (size_t q = 0; q < sweep->n; q++) {
        const struct sweep_query *query = &sweep->queries[q];
        struct fuse_candidate *copy = ARENA_NEW(arena, struct fuse_candidate, query->n);
        out->values[q] = arena_alloc(arena, query->n, sizeof *out->values[q]);
        memcpy(copy, query->candidates, query->n * sizeof *copy);
        for (size_t i = 0; i < query->n; i++)
            copy[i].docid = (uint32_t)i; /* fuse changes the order: this finds them again */
        fuse(&plan, copy, query->n, arena);
        for (size_t i = 0; i < query->n; i++)
            memcpy(out->values[q][copy[i].docid], copy[i].normalized, sizeof copy->normalized);
    }
}

static double ndcg(const struct sweep_query *query, float (*values)[FUSE_MODES_N],
                   const float weights[FUSE_MODES_N]) {
    struct place {
        float score;
        size_t i;
    } top[DEPTH];
    size_t n = 0;
    double dcg = 0;
    for (size_t i = 0; i < query->n; i++) {
        float score = 0;
        for (int mode = 0; mode < FUSE_MODES_N; mode++)
            score += weights[mode] * values[i][mode];
        if (n == DEPTH && score <= top[n - 1].score)
            continue;
        size_t at = n < DEPTH ? n++ : n - 1;
        while (at > 0 && top[at - 1].score < score) {
            top[at] = top[at - 1];
            at--;
        }
        top[at] = (struct place){score, i};
    }
    for (size_t i = 0; i < n; i++)
        if (query->gains[top[i].i] > 0)
            dcg += query->gains[top[i].i] / log2((double)i + 2);
    return dcg / query->best;
}

static double mean_of(const struct sweep *sweep, const bool *take,
                      const struct normalized *normalized, const float weights[FUSE_MODES_N]) {
    double sum = 0;
    size_t n = 0;
    for (size_t q = 0; q < sweep->n; q++)
        if (take[q]) {
            sum += ndcg(&sweep->queries[q], normalized->values[q], weights);
            n++;
        }
    return n ? sum / (double)n : 0;
}

/* A share from one mode to another; false when there is none to give. */
static bool move(float weights[FUSE_MODES_N], unsigned modes, int from, int to, float step) {
    if (from == to || !(modes & 1u << from) || !(modes & 1u << to) || weights[from] <= 0)
        return false;
    float share = weights[from] < step ? weights[from] : step;
    weights[from] -= share;
    weights[to] += share;
    return true;
}

/* Climbs from `weights`; returns the mean there. */
static double climb(const struct sweep *sweep, const bool *take,
                    const struct normalized *normalized, float weights[FUSE_MODES_N]) {
    double best = mean_of(sweep, take, normalized, weights);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (bool better = true; better;) {
            better = false;
            for (int from = 0; from < FUSE_MODES_N; from++)
                for (int to = 0; to < FUSE_MODES_N; to++) {
                    float tried[FUSE_MODES_N];
                    memcpy(tried, weights, sizeof tried);
                    if (!move(tried, sweep->modes, from, to, steps[s]))
                        continue;
                    double mean = mean_of(sweep, take, normalized, tried);
                    if (mean <= best + least_gain)
                        continue;
                    best = mean;
                    memcpy(weights, tried, sizeof tried);
                    better = true;
                }
        }
    return best;
}

/* Shares that add up to 1. */
static void to_shares(float weights[FUSE_MODES_N], unsigned modes) {
    float sum = 0;
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        sum += weights[mode] = modes & 1u << mode ? weights[mode] : 0;
    for (int mode = 0; sum > 0 && mode < FUSE_MODES_N; mode++)
        weights[mode] /= sum;
}

struct fuse_plan sweep_best(const struct sweep *sweep, const bool *take,
                            const struct fuse_plan *start) {
    struct arena arena = {0};
    struct normalized normalized;
    struct fuse_plan best = *start;
    to_shares(best.weights, sweep->modes);
    normalize(sweep, start->method, &arena, &normalized);
    double best_mean = mean_of(sweep, take, &normalized, best.weights);
    for (int method = 0; method < FUSE_METHODS_N; method++) {
        struct fuse_plan plan = {.modes = sweep->modes, .method = (enum fuse_method)method};
        memcpy(plan.weights, start->weights, sizeof plan.weights);
        to_shares(plan.weights, sweep->modes);
        arena_reset(&arena);
        normalize(sweep, plan.method, &arena, &normalized);
        double mean = climb(sweep, take, &normalized, plan.weights);
        if (mean > best_mean + least_gain) {
            best_mean = mean;
            best = plan;
        }
    }
    arena_done(&arena);
    return best;
}

void sweep_values(const struct sweep *sweep, const struct fuse_plan *plan, double *out) {
    struct arena arena = {0};
    struct normalized normalized;
    float weights[FUSE_MODES_N];
    memcpy(weights, plan->weights, sizeof weights);
    to_shares(weights, sweep->modes);
    normalize(sweep, plan->method, &arena, &normalized);
    for (size_t q = 0; q < sweep->n; q++)
        out[q] = ndcg(&sweep->queries[q], normalized.values[q], weights);
    arena_done(&arena);
}

void sweep_cross_validate(const struct sweep *sweep, const struct fuse_plan *start, size_t folds_n,
                          uint64_t seed, double *out) {
    bool *take = mem_alloc(sweep->n, sizeof *take);
    size_t *order = mem_alloc(sweep->n, sizeof *order);
    double *values = mem_alloc(sweep->n, sizeof *values);
    for (size_t i = 0; i < sweep->n; i++)
        order[i] = i;
    for (size_t i = sweep->n; i > 1; i--) {
        size_t j = random_below(&seed, (uint32_t)i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
    for (size_t fold = 0; fold < folds_n; fold++) {
        for (size_t i = 0; i < sweep->n; i++)
            take[order[i]] = i % folds_n != fold;
        struct fuse_plan plan = sweep_best(sweep, take, start);
        sweep_values(sweep, &plan, values);
        for (size_t i = fold; i < sweep->n; i += folds_n)
            out[order[i]] = values[order[i]];
    }
    free(take);
    free(order);
    free(values);
}
