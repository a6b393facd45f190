/* Gradients of the heads against central differences of the same loss, written once more in plain
 * f64; the same bits for any number of threads; AdamW and its one cycle against their formulas. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adamw.h"
#include "engine/base/pool.h"
#include "engine/base/vec.h"
#include "engine/heads_fit.h"
#include "tests/check.h"

enum { WIDTH = 12, DIM = 5, VOCABULARY = 9, QUERIES = 3, DOCS = 7, TOKENS = 6, TEXTS = 10 };
enum { PARAMETERS = (DIM + 1) * (WIDTH + 1), STORED = TOKENS + 3 };

struct example {
    float states[TEXTS][STORED][WIDTH]; /* as f16 holds them */
    uint16_t halves[TEXTS][STORED * WIDTH];
    uint32_t ids[TEXTS][STORED], rows[TEXTS][TOKENS];
    struct heads_fit_text texts[TEXTS];
    size_t groups[QUERIES + 1];
    uint8_t own[QUERIES * DOCS];
    float teacher[DOCS];
    struct heads_fit_batch batch;
    struct heads_fit_options options;
    float parameters[PARAMETERS];
};

static void make_text(struct example *e, size_t text, unsigned long long *state) {
    for (size_t i = 0; i < STORED; i++) {
        for (size_t c = 0; c < WIDTH; c++)
            e->states[text][i][c] = check_random_float(state);
        e->ids[text][i] = (uint32_t)(check_random(state) % (VOCABULARY + 1));
        if (e->ids[text][i] == VOCABULARY)
            e->ids[text][i] = HEADS_FIT_NO_TERM;
    }
    vec_to_f16(e->states[text][0], (size_t)STORED * WIDTH, e->halves[text]);
    vec_from_f16(e->halves[text], (size_t)STORED * WIDTH, e->states[text][0]);
    size_t n = 1 + check_random(state) % TOKENS;
    for (size_t i = 0; i < n; i++)
        e->rows[text][i] = (uint32_t)(i + (i > 1) + (i > 3)); /* some are passed over */
    e->texts[text] = (struct heads_fit_text){e->halves[text], e->ids[text], e->rows[text], n};
}

static void make_example(struct example *e, unsigned long long seed, double distil) {
    unsigned long long state = seed;
    memset(e, 0, sizeof *e);
    for (size_t text = 0; text < TEXTS; text++)
        make_text(e, text, &state);
    const size_t groups[] = {0, 3, 5, DOCS};
    memcpy(e->groups, groups, sizeof groups);
    for (size_t q = 0; q < QUERIES; q++) {
        double sum = 0;
        e->own[q * DOCS + groups[q]] = 1;
        for (size_t d = groups[q]; d < groups[q + 1]; d++)
            sum += e->teacher[d] = 1.5f + check_random_float(&state);
        for (size_t d = groups[q]; d < groups[q + 1]; d++)
            e->teacher[d] /= (float)sum;
    }
    e->own[0 * DOCS + 4] = 1; /* another query's document is an answer, too */
    for (size_t i = 0; i < PARAMETERS; i++)
        e->parameters[i] = check_random_float(&state);
    e->batch = (struct heads_fit_batch){.queries = e->texts,
                                        .docs = e->texts + QUERIES,
                                        .queries_n = QUERIES,
                                        .docs_n = DOCS,
                                        .groups = e->groups,
                                        .own = e->own,
                                        .teacher = e->teacher};
    e->options = (struct heads_fit_options){.width = WIDTH,
                                            .dim = DIM,
                                            .vocabulary_n = VOCABULARY,
                                            .colbert_temperature = .3,
                                            .sparse_temperature = .7,
                                            .distil = distil};
}

/* ---- the loss in plain f64 ---- */

static double apply(const struct example *e, const double *p, size_t text, size_t token,
                    size_t out) {
    double sum = p[(DIM + 1) * WIDTH + out];
    for (size_t c = 0; c < WIDTH; c++)
        sum += p[out * WIDTH + c] * (double)e->states[text][e->rows[text][token]][c];
    return sum;
}

static double cosine(const struct example *e, const double *p, size_t a, size_t i, size_t b,
                     size_t j) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t o = 0; o < DIM; o++) {
        double x = apply(e, p, a, i, o), y = apply(e, p, b, j, o);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

static double maxsim(const struct example *e, const double *p, size_t query, size_t doc) {
    double mean = 0;
    for (size_t i = 0; i < e->texts[query].n; i++) {
        double best = -2;
        for (size_t j = 0; j < e->texts[doc].n; j++)
            best = fmax(best, cosine(e, p, query, i, doc, j));
        mean += best / (double)e->texts[query].n;
    }
    return mean;
}

static double weight_of(const struct example *e, const double *p, size_t text, uint32_t id) {
    double most = 0;
    for (size_t i = 0; i < e->texts[text].n; i++)
        if (e->ids[text][e->rows[text][i]] == id)
            most = fmax(most, apply(e, p, text, i, DIM));
    return most;
}

static double lexical(const struct example *e, const double *p, size_t query, size_t doc) {
    double sum = 0;
    for (uint32_t id = 0; id < VOCABULARY; id++)
        sum += weight_of(e, p, query, id) * weight_of(e, p, doc, id);
    return sum;
}

static void head_loss(const struct example *e, double scores[QUERIES][DOCS], double temperature,
                      double *contrast, double *distil) {
    *contrast = *distil = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        double all = 0, right = 0, group = 0;
        for (size_t d = 0; d < DOCS; d++) {
            double raised = exp(scores[q][d] / temperature);
            all += raised;
            right += e->own[q * DOCS + d] ? raised : 0;
            group += d >= e->groups[q] && d < e->groups[q + 1] ? raised : 0;
        }
        *contrast -= log(right / all) / QUERIES;
        for (size_t d = e->groups[q]; d < e->groups[q + 1]; d++)
            *distil -=
                (double)e->teacher[d] * log(exp(scores[q][d] / temperature) / group) / QUERIES;
    }
}

static double plain_loss(const struct example *e, const double *p, struct heads_fit_losses *out) {
    double multi[QUERIES][DOCS], sparse[QUERIES][DOCS];
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t d = 0; d < DOCS; d++) {
            multi[q][d] = maxsim(e, p, q, QUERIES + d);
            sparse[q][d] = lexical(e, p, q, QUERIES + d);
        }
    head_loss(e, multi, e->options.colbert_temperature, &out->colbert_contrast,
              &out->colbert_distil);
    head_loss(e, sparse, e->options.sparse_temperature, &out->sparse_contrast, &out->sparse_distil);
    return out->colbert_contrast + out->sparse_contrast +
           e->options.distil * (out->colbert_distil + out->sparse_distil);
}

static void gradients_are_right(unsigned long long seed, double distil) {
    struct example e;
    struct heads_fit_losses found, plain, other;
    float gradient[PARAMETERS];
    double p[PARAMETERS], step = 1e-6, largest = 0, worst = 0;
    make_example(&e, seed, distil);
    for (size_t i = 0; i < PARAMETERS; i++)
        p[i] = (double)e.parameters[i];
    struct heads_fit *fit = heads_fit_open(&e.options, NULL);
    heads_fit_gradient(fit, e.parameters, &e.batch, gradient, &found);
    plain_loss(&e, p, &plain);
    CHECK_NEAR(found.colbert_contrast, plain.colbert_contrast, 1e-5);
    CHECK_NEAR(found.colbert_distil, plain.colbert_distil, 1e-5);
    CHECK_NEAR(found.sparse_contrast, plain.sparse_contrast, 1e-5);
    CHECK_NEAR(found.sparse_distil, plain.sparse_distil, 1e-5);
    for (size_t i = 0; i < PARAMETERS; i++) {
        double at = p[i];
        p[i] = at + step;
        double above = plain_loss(&e, p, &other);
        p[i] = at - step;
        double slope = (above - plain_loss(&e, p, &other)) / (2 * step);
        p[i] = at;
        largest = fmax(largest, fabs(slope));
        worst = fmax(worst, fabs(slope - (double)gradient[i]));
    }
    CHECK(largest > .01);
    CHECK_NEAR(worst, 0, 2e-5 * (1 + largest));
    heads_fit_close(fit);
}

/* Threads must not show, nor must an earlier batch. */
static void bits_are_the_same(void) {
    struct example e, before;
    struct heads_fit_losses losses[2];
    float gradients[2][PARAMETERS];
    struct pool *pool = pool_open(3);
    make_example(&e, 77, 1);
    make_example(&before, 78, 1);
    for (size_t i = 0; i < 2; i++) {
        struct heads_fit *fit = heads_fit_open(&e.options, i ? pool : NULL);
        if (i)
            heads_fit_gradient(fit, before.parameters, &before.batch, gradients[i], &losses[i]);
        heads_fit_gradient(fit, e.parameters, &e.batch, gradients[i], &losses[i]);
        heads_fit_close(fit);
    }
    CHECK(memcmp(gradients[0], gradients[1], sizeof gradients[0]) == 0);
    CHECK(memcmp(&losses[0], &losses[1], sizeof losses[0]) == 0);
    pool_close(pool);
}

/* ---- AdamW ---- */

/* Algorithm 2 of the paper, line by line, in f64. */
static void adamw_is_right(void) {
    enum { N = 5, STEPS = 60 };
    const struct adamw settings = {
        .rate = .01, .beta1 = .9, .beta2 = .999, .epsilon = 1e-8, .weight_decay = .1};
    float p[N], g[N], m[N] = {0}, v[N] = {0};
    double plain[N], pm[N] = {0}, pv[N] = {0};
    unsigned long long state = 5;
    for (size_t i = 0; i < N; i++)
        plain[i] = (double)(p[i] = check_random_float(&state));
    for (size_t t = 1; t <= STEPS; t++) {
        for (size_t i = 0; i < N; i++) {
            g[i] = check_random_float(&state) + (float)plain[i];
            pm[i] = .9 * pm[i] + .1 * (double)g[i];
            pv[i] = .999 * pv[i] + .001 * (double)g[i] * (double)g[i];
            double mean = pm[i] / (1 - pow(.9, (double)t));
            double square = pv[i] / (1 - pow(.999, (double)t));
            plain[i] -= .01 * (mean / (sqrt(square) + 1e-8) + .1 * plain[i]);
        }
        adamw_step(&settings, t, p, g, m, v, N);
    }
    for (size_t i = 0; i < N; i++)
        CHECK_NEAR(p[i], plain[i], 1e-5);
}

/* The points that OneCycleLR(max_lr=1, total_steps=500, pct_start=.1) is defined by. */
static void one_cycle_is_right(void) {
    CHECK_NEAR(adamw_one_cycle(1, .1, 0, 500), .04, 1e-12);
    CHECK_NEAR(adamw_one_cycle(1, .1, 49, 500), 1, 1e-12);
    CHECK_NEAR(adamw_one_cycle(1, .1, 499, 500), 4e-6, 1e-12);
    CHECK_NEAR(adamw_one_cycle(2, .1, 274, 500), 2 * (1 + 4e-6) / 2, 1e-12);
    CHECK_NEAR(adamw_one_cycle(1, .1, 24, 500),
               .04 + .96 * (1 - cos(3.141592653589793 * 24 / 49)) / 2, 1e-12);
    CHECK(isfinite(adamw_one_cycle(1, .1, 0, 1)));
    for (size_t i = 1; i < 500; i++)
        CHECK((adamw_one_cycle(1, .1, i, 500) > adamw_one_cycle(1, .1, i - 1, 500)) == (i < 50));
}

int main(void) {
    for (unsigned long long seed = 1; seed <= 12; seed++) {
        gradients_are_right(seed, 1);
        gradients_are_right(100 + seed, 0);
    }
    bits_are_the_same();
    adamw_is_right();
    one_cycle_is_right();
    return check_result();
}
