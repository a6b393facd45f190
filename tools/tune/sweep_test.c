/* Tuning on scores whose best order is known: it is found, it is told from chance, and what nDCG
 * it promises is what the measures say of the fused order. */
#include "tools/tune/sweep.h"

#include <stdlib.h>

#include "engine/base/arena.h"
#include "tests/check.h"
#include "tools/eval/measures.h"
#include "tools/eval/significance.h"

enum { QUERIES = 60, CANDIDATES = 40, ALL = FUSE_ALL_MODES };

static uint32_t state = 1;

static float chance(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (1 << 24);
}

/* Mode `good` knows the relevant candidate (that it is one of five), the others know nothing. */
static struct sweep make(struct arena *arena, int good) {
    struct sweep_query *queries = ARENA_ZERO(arena, struct sweep_query, QUERIES);
    for (size_t q = 0; q < QUERIES; q++) {
        int *gains = ARENA_ZERO(arena, int, CANDIDATES);
        queries[q] = (struct sweep_query){ARENA_ZERO(arena, struct fuse_candidate, CANDIDATES),
                                          gains, CANDIDATES, 1};
        for (size_t i = 0; i < CANDIDATES; i++) {
            queries[q].candidates[i].docid = (uint32_t)i;
            for (int mode = 0; mode < FUSE_MODES_N; mode++)
                queries[q].candidates[i].raw[mode] = chance();
        }
        size_t relevant = (size_t)(chance() * CANDIDATES) % CANDIDATES;
        gains[relevant] = 1;
        if (good >= 0)
            queries[q].candidates[relevant].raw[good] += .8f;
    }
    return (struct sweep){queries, QUERIES, ALL};
}

static double mean(const double *values) {
    double sum = 0;
    for (size_t i = 0; i < QUERIES; i++)
        sum += values[i];
    return sum / QUERIES;
}

static const struct fuse_plan usual = {ALL, FUSE_ZSCORE, {.3f, .3f, .4f}};

static void the_good_mode_is_found(struct arena *arena) {
    for (int good = 0; good < FUSE_MODES_N; good++) {
        struct sweep sweep = make(arena, good);
        double before[QUERIES], held_out[QUERIES];
        bool take[QUERIES];
        memset(take, true, sizeof take);
        struct fuse_plan plan = sweep_best(&sweep, take, &usual);
        CHECK(plan.modes == ALL);
        for (int mode = 0; mode < FUSE_MODES_N; mode++)
            CHECK(mode == good ? plan.weights[mode] > .6f : plan.weights[mode] < .3f);
        sweep_values(&sweep, &usual, before);
        sweep_cross_validate(&sweep, &usual, 5, 3, held_out);
        struct significance gain = significance_of(before, held_out, QUERIES, 1);
        CHECK(gain.difference > .05 && gain.low > 0);
        CHECK(mean(held_out) > mean(before));
    }
}

static void chance_is_no_gain(struct arena *arena) {
    int promised = 0;
    for (int trial = 0; trial < 10; trial++) {
        struct sweep sweep = make(arena, -1);
        double before[QUERIES], held_out[QUERIES];
        sweep_values(&sweep, &usual, before);
        sweep_cross_validate(&sweep, &usual, 5, (uint64_t)trial, held_out);
        promised += significance_of(before, held_out, QUERIES, 1).low > 0;
    }
    CHECK(promised <= 1);
}

static void values_are_the_measures(struct arena *arena) {
    struct sweep sweep = make(arena, 1);
    double values[QUERIES];
    for (int method = 0; method < FUSE_METHODS_N; method++) {
        struct fuse_plan plan = {ALL, (enum fuse_method)method, {.2f, .5f, .3f}};
        sweep_values(&sweep, &plan, values);
        for (size_t q = 0; q < QUERIES; q++) {
            char keys[CANDIDATES][8];
            struct run_hit hits[CANDIDATES];
            struct fuse_candidate copy[CANDIDATES];
            struct judgment judgment = {keys[0], 1};
            memcpy(copy, sweep.queries[q].candidates, sizeof copy);
            fuse(&plan, copy, CANDIDATES, arena);
            for (size_t i = 0; i < CANDIDATES; i++) {
                snprintf(keys[i], sizeof keys[i], "%u", copy[i].docid);
                hits[i] = (struct run_hit){keys[i], copy[i].score};
                if (sweep.queries[q].gains[copy[i].docid])
                    judgment.doc_key = keys[i];
            }
            struct judged_query judged = {.judgments = &judgment, .judgments_n = 1};
            struct ranking ranking = ranking_make(&judged, hits, CANDIDATES, arena);
            CHECK_NEAR(values[q], measure_of((struct measure){MEASURE_NDCG, 10}, &ranking), 1e-9);
        }
    }
}

int main(void) {
    struct arena arena = {0};
    the_good_mode_is_found(&arena);
    chance_is_no_gain(&arena);
    values_are_the_measures(&arena);
    arena_done(&arena);
    return check_result();
}
