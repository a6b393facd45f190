/* The measures against their definitions in the plainest form, on random values full of ties.
 * tests/tasks_agree.py compares them with scipy's and scikit-learn's code. */
#include "tools/eval/task_measures.h"

#include "engine/base/random.h"
#include "tests/check.h"

enum { ROUNDS = 200, N_MAX = 40 };

/* 1 + how many are below + half of the others that are equal. */
static double rank_of(const double *x, size_t n, size_t i) {
    double rank = 1;
    for (size_t j = 0; j < n; j++)
        rank += x[j] < x[i] ? 1 : j != i && !(x[j] > x[i]) ? .5 : 0;
    return rank;
}

/* Covariance and variances as means over all pairs of rows: no mean of a column is needed. */
static double pearson_of_pairs(const double *x, const double *y, size_t n) {
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            xx += (x[i] - x[j]) * (x[i] - x[j]);
            yy += (y[i] - y[j]) * (y[i] - y[j]);
            xy += (x[i] - x[j]) * (y[i] - y[j]);
        }
    return xy / sqrt(xx * yy);
}

/* Sum over the distinct scores of the gain in recall times precision, each counted anew. */
static double ap_by_definition(const double *scores, const bool *relevant, size_t n) {
    double sum = 0, all = 0;
    for (size_t i = 0; i < n; i++)
        all += relevant[i];
    for (size_t i = 0; i < n; i++) {
        double at = 0, above = 0, right = 0, first = 1;
        for (size_t j = 0; j < n; j++) {
            bool equal = !(scores[j] < scores[i]) && !(scores[j] > scores[i]);
            first = equal && j < i ? 0 : first;
            at += equal && relevant[j];
            above += !(scores[j] < scores[i]);
            right += !(scores[j] < scores[i]) && relevant[j];
        }
        sum += first * at / all * right / above;
    }
    return sum;
}

static void correlations(uint64_t *seed) {
    for (int round = 0; round < ROUNDS; round++) {
        double x[N_MAX], y[N_MAX], ranks_x[N_MAX], ranks_y[N_MAX], ours[N_MAX];
        size_t n = 3 + random_below(seed, N_MAX - 3);
        uint32_t steps = round % 2 ? 4 : 1000000;
        for (size_t i = 0; i < n; i++) {
            x[i] = random_below(seed, steps);
            y[i] = .5 * x[i] + random_below(seed, steps);
        }
        x[0] = y[0] = -1; /* neither is all the same */
        task_ranks(x, n, ours);
        for (size_t i = 0; i < n; i++) {
            ranks_x[i] = rank_of(x, n, i);
            ranks_y[i] = rank_of(y, n, i);
            CHECK_NEAR(ours[i], ranks_x[i], 0);
        }
        CHECK_NEAR(task_pearson(x, y, n), pearson_of_pairs(x, y, n), 1e-10);
        CHECK_NEAR(task_spearman(x, y, n), pearson_of_pairs(ranks_x, ranks_y, n), 1e-10);
    }
    CHECK(isnan(task_pearson((double[]){.1, .1, .1}, (double[]){1, 2, 3}, 3)));
    CHECK(isnan(task_spearman((double[]){1, 2, 3}, (double[]){.7, .7, .7}, 3)));
    CHECK_NEAR(task_spearman((double[]){1, 2, 3}, (double[]){9, 4, 1}, 3), -1, 1e-15);
}

static void precision(uint64_t *seed) {
    for (int round = 0; round < ROUNDS; round++) {
        double scores[N_MAX];
        bool relevant[N_MAX];
        size_t n = 1 + random_below(seed, N_MAX);
        for (size_t i = 0; i < n; i++) {
            scores[i] = random_below(seed, round % 2 ? 5 : 1000000);
            relevant[i] = random_below(seed, 3) == 0;
        }
        relevant[random_below(seed, (uint32_t)n)] = true;
        CHECK_NEAR(task_average_precision(scores, relevant, n),
                   ap_by_definition(scores, relevant, n), 1e-12);
    }
    CHECK_NEAR(task_average_precision((double[]){1, 2}, (bool[]){false, false}, 2), 0, 0);
}

static void first_hits(void) {
    const double scores[] = {.5, .9, .5, .1};
    CHECK_NEAR(task_reciprocal_rank(scores, (bool[]){0, 0, 1, 0}, 4, 10), 1.0 / 3, 0);
    CHECK_NEAR(task_reciprocal_rank(scores, (bool[]){1, 0, 1, 0}, 4, 10), .5, 0);
    CHECK_NEAR(task_reciprocal_rank(scores, (bool[]){0, 0, 0, 1}, 4, 3), 0, 0);
    CHECK_NEAR(task_reciprocal_rank(scores, (bool[]){0, 0, 0, 1}, 4, 4), .25, 0);
}

/* Each cut counted on its own, distinct scores only. */
static void cuts(uint64_t *seed) {
    for (int round = 0; round < ROUNDS; round++) {
        double scores[N_MAX], best_accuracy = 0, best_f1 = 0;
        bool labels[N_MAX];
        size_t n = 3 + random_below(seed, N_MAX - 3);
        for (size_t i = 0; i < n; i++) {
            scores[i] = random_uniform(seed);
            labels[i] = random_below(seed, 2);
        }
        labels[0] = true;
        for (size_t c = 0; c < n; c++) {
            double right = 0, both = 0, taken = 0, ones = 0;
            for (size_t i = 0; i < n; i++) {
                bool above = scores[i] >= scores[c];
                right += above == labels[i];
                both += above && labels[i];
                taken += above;
                ones += labels[i];
            }
            if (taken < (double)n) {
                best_accuracy = fmax(best_accuracy, right / (double)n);
                best_f1 = fmax(best_f1, 2 * both / (taken + ones));
            }
        }
        struct task_cut accuracy = task_best_accuracy(scores, labels, n);
        struct task_cut f1 = task_best_f1(scores, labels, n);
        CHECK_NEAR(accuracy.value, best_accuracy, 1e-12);
        CHECK_NEAR(f1.value, best_f1, 1e-12);
        /* The thresholds give back what was said. */
        double right = 0, both = 0, taken = 0, ones = 0;
        for (size_t i = 0; i < n; i++) {
            right += (scores[i] >= accuracy.threshold) == labels[i];
            both += scores[i] >= f1.threshold && labels[i];
            taken += scores[i] >= f1.threshold;
            ones += labels[i];
        }
        CHECK_NEAR(right / (double)n, accuracy.value, 1e-12);
        if (best_f1 <= 0)
            continue; /* the one pair stands last, behind every cut */
        CHECK_NEAR(both / taken, f1.precision, 1e-12);
        CHECK_NEAR(both / ones, f1.recall, 1e-12);
    }
}

enum { KINDS = 5 };

/* Rosenberg & Hirschberg's formulas: 1 - H(C|K) / H(C) and 1 - H(K|C) / H(K). */
static double v_by_definition(const uint32_t *classes, const uint32_t *clusters, size_t n) {
    double counts[KINDS][KINDS] = {{0}}, rows[KINDS] = {0}, columns[KINDS] = {0};
    double of_c = 0, of_k = 0, c_given_k = 0, k_given_c = 0, all = (double)n;
    for (size_t i = 0; i < n; i++) {
        counts[classes[i]][clusters[i]]++;
        rows[classes[i]]++;
        columns[clusters[i]]++;
    }
    for (size_t c = 0; c < KINDS; c++) {
        of_c -= rows[c] > 0 ? rows[c] / all * log(rows[c] / all) : 0;
        of_k -= columns[c] > 0 ? columns[c] / all * log(columns[c] / all) : 0;
        for (size_t k = 0; k < KINDS; k++)
            if (counts[c][k] > 0) {
                c_given_k -= counts[c][k] / all * log(counts[c][k] / columns[k]);
                k_given_c -= counts[c][k] / all * log(counts[c][k] / rows[c]);
            }
    }
    double homogeneity = of_c > 0 ? 1 - c_given_k / of_c : 1;
    double completeness = of_k > 0 ? 1 - k_given_c / of_k : 1;
    return homogeneity + completeness > 1e-12
               ? 2 * homogeneity * completeness / (homogeneity + completeness)
               : 0;
}

static void clusterings(uint64_t *seed) {
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t classes[N_MAX], clusters[N_MAX];
        size_t n = 1 + random_below(seed, N_MAX);
        uint32_t kinds = 1 + random_below(seed, KINDS);
        for (size_t i = 0; i < n; i++) {
            classes[i] = random_below(seed, kinds);
            clusters[i] = random_below(seed, 2) ? classes[i] : random_below(seed, KINDS);
        }
        struct task_v v = task_v_measure(classes, clusters, n);
        CHECK_NEAR(v.v_measure, v_by_definition(classes, clusters, n), 1e-9);
    }
    struct task_v same = task_v_measure((uint32_t[]){0, 0, 1}, (uint32_t[]){4, 4, 2}, 3);
    CHECK_NEAR(same.v_measure, 1, 1e-12);
    struct task_v one = task_v_measure((uint32_t[]){0, 0, 1, 1}, (uint32_t[]){0, 0, 0, 0}, 4);
    CHECK_NEAR(one.homogeneity, 0, 1e-12);
    CHECK_NEAR(one.completeness, 1, 0);
    CHECK_NEAR(one.v_measure, 0, 1e-12);
}

static void labels(void) {
    const uint32_t truth[] = {0, 0, 1, 2, 2}, found[] = {0, 1, 1, 2, 3};
    CHECK_NEAR(task_accuracy(truth, found, 5), .6, 1e-15);
    /* F1: 2/3, 2/3, 2/3, and 0 of label 3, which stands in found only; label 4 in neither */
    CHECK_NEAR(task_macro_f1(truth, found, 5, 5), .5, 1e-15);
}

int main(void) {
    uint64_t seed = 7;
    correlations(&seed);
    precision(&seed);
    first_hits();
    cuts(&seed);
    clusterings(&seed);
    labels();
    return check_result();
}
