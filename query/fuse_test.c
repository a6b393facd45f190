/* Fusion against numbers worked out by hand and against properties that must hold. */
#include "query/fuse.h"

#include "tests/check.h"

static const unsigned dense_and_sparse = 1u << FUSE_DENSE | 1u << FUSE_SPARSE;

static void fill(struct fuse_candidate candidates[4]) {
    static const float dense[4] = {.9f, .5f, .7f, .3f}, sparse[4] = {0, 8, 4, 0};
    for (uint32_t i = 0; i < 4; i++)
        candidates[i] = (struct fuse_candidate){.docid = 40 - i, .raw = {dense[i], sparse[i]}};
}

/* The candidate of one docid after fusion by one method, weights .6 and .4. */
static struct fuse_candidate fused(enum fuse_method method, uint32_t docid, struct arena *arena) {
    struct fuse_plan plan = {.modes = dense_and_sparse, .method = method, .weights = {.6f, .4f}};
    struct fuse_candidate all[4], found = {0};
    fill(all);
    fuse(&plan, all, 4, arena);
    for (int i = 0; i < 4; i++)
        if (all[i].docid == docid)
            found = all[i];
    return found;
}

static void methods_give_what_the_formulas_say(struct arena *arena) {
    /* dense: mean .6, deviation sqrt(.05); sparse: mean 3, deviation sqrt(11) */
    struct fuse_candidate c = fused(FUSE_ZSCORE, 39, arena);
    CHECK_NEAR(c.normalized[FUSE_DENSE], -.1 / sqrt(.05), 1e-6);
    CHECK_NEAR(c.normalized[FUSE_SPARSE], 5 / sqrt(11), 1e-6);
    CHECK_NEAR(c.score, .6 * -.1 / sqrt(.05) + .4 * 5 / sqrt(11), 1e-6);
    CHECK_EQUAL(c.rank[FUSE_DENSE], 3);
    CHECK_EQUAL(c.rank[FUSE_SPARSE], 1);
    CHECK_EQUAL(c.rank[FUSE_MULTI], 0);

    CHECK_NEAR(fused(FUSE_MINMAX, 38, arena).score, .6 * (.4 / .6) + .4 * .5, 1e-6);
    CHECK_NEAR(fused(FUSE_MINMAX, 37, arena).score, 0, 1e-6);
    CHECK_NEAR(fused(FUSE_WEIGHTED, 39, arena).score, .6 * .5 + .4 * 8, 1e-6);
    CHECK_NEAR(fused(FUSE_RRF, 39, arena).score, .6 / 63 + .4 / 61, 1e-7);
    /* docids 37 and 40 have equal sparse scores: the smaller docid ranks first */
    CHECK_NEAR(fused(FUSE_RRF, 37, arena).score, .6 / 64 + .4 / 63, 1e-7);
    CHECK_NEAR(fused(FUSE_RRF, 40, arena).score, .6 / 61 + .4 / 64, 1e-7);
    CHECK_NEAR(fused(FUSE_DBSF, 39, arena).normalized[FUSE_SPARSE], .5 + 5 / (6 * sqrt(11)), 1e-6);
}

static void contributions_add_up_and_order_is_total(struct arena *arena) {
    unsigned long long seed = 11;
    for (int round = 0; round < 200; round++) {
        struct fuse_candidate c[50];
        struct fuse_plan plan = {.modes = (unsigned)(check_random(&seed) % 7 + 1),
                                 .method =
                                     (enum fuse_method)(check_random(&seed) % FUSE_METHODS_N)};
        fuse_default_weights(plan.method, plan.modes, false, plan.weights);
        for (uint32_t i = 0; i < 50; i++) {
            c[i] = (struct fuse_candidate){.docid = i * 3 % 50};
            for (int mode = 0; mode < FUSE_MODES_N; mode++)
                if (plan.modes & (1u << mode))
                    c[i].raw[mode] = (float)(check_random(&seed) % 5);
        }
        fuse(&plan, c, 50, arena);
        for (int i = 0; i < 50; i++) {
            CHECK_NEAR(c[i].contribution[0] + c[i].contribution[1] + c[i].contribution[2],
                       c[i].score, 1e-5);
            CHECK(i == 0 || c[i - 1].score > c[i].score ||
                  (c[i - 1].score == c[i].score && c[i - 1].docid < c[i].docid));
        }
        arena_reset(arena);
    }
}

static void single_mode_keeps_raw_scores(struct arena *arena) {
    struct fuse_candidate c[4];
    struct fuse_plan plan = {.modes = 1u << FUSE_DENSE, .method = FUSE_ZSCORE, .weights = {.3f}};
    fill(c);
    fuse(&plan, c, 4, arena);
    CHECK_NEAR(c[0].score, .9, 1e-6);
    CHECK_NEAR(c[3].score, .3, 1e-6);
    fuse(&plan, c, 0, arena);
}

static void equal_scores_add_nothing(struct arena *arena) {
    struct fuse_candidate c[2] = {{.docid = 2, .raw = {1, 5}}, {.docid = 1, .raw = {2, 5}}};
    for (int method = 0; method < FUSE_METHODS_N; method++) {
        struct fuse_plan plan = {
            .modes = dense_and_sparse, .method = (enum fuse_method)method, .weights = {1, 1}};
        fuse(&plan, c, 2, arena);
        CHECK_EQUAL(c[0].docid, 1);
        CHECK(isfinite(c[0].score) && isfinite(c[1].score));
    }
}

static void names_are_read(void) {
    struct error err;
    unsigned modes;
    enum fuse_method method;
    CHECK_OK(fuse_modes_parse("multi,dense", &modes, &err), err);
    CHECK_EQUAL(modes, 5);
    CHECK(!fuse_modes_parse("", &modes, &err));
    CHECK(!fuse_modes_parse("dense,colbert", &modes, &err));
    CHECK_TEXT(err.message, "unknown mode \"colbert\": choose among dense, sparse and multi");
    CHECK_OK(fuse_method_parse("rrf", &method, &err), err);
    CHECK(!fuse_method_parse("rff", &method, &err));
    float weights[FUSE_MODES_N];
    fuse_default_weights(FUSE_ZSCORE, 3, false, weights);
    CHECK_NEAR(weights[0], .6, 1e-6);
    fuse_default_weights(FUSE_ZSCORE, 7, false, weights);
    CHECK_NEAR(weights[2], .4, 1e-6);
    fuse_default_weights(FUSE_ZSCORE, 7, true, weights);
    CHECK_NEAR(weights[0], .15, 1e-6);
    CHECK_NEAR(weights[1], .65, 1e-6);
    fuse_default_weights(FUSE_MINMAX, 3, true, weights); /* the same, to each other */
    CHECK_NEAR(weights[0], .15 / .8, 1e-6);
    CHECK_NEAR(weights[1], .65 / .8, 1e-6);
    fuse_default_weights(FUSE_WEIGHTED, 7, true, weights); /* M3's own */
    CHECK(weights[0] == 1 && weights[1] == .3f);
}

int main(void) {
    struct arena arena = {0};
    methods_give_what_the_formulas_say(&arena);
    contributions_add_up_and_order_is_total(&arena);
    single_mode_keeps_raw_scores(&arena);
    equal_scores_add_nothing(&arena);
    names_are_read();
    arena_done(&arena);
    return check_result();
}
