/* task_measures.h - what MTEB's tasks beyond retrieval are measured by.
 *
 * Written from the definitions that scipy 1.x and scikit-learn 1.x document (spearmanr,
 * average_precision_score, v_measure_score, f1_score) and MTEB's PairClassificationEvaluator;
 * tests/tasks_agree.py compares each with their code. n is at least 1 everywhere. */
#ifndef TERCET_EVAL_TASK_MEASURES_H
#define TERCET_EVAL_TASK_MEASURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NAN where all of x, or all of y, are the same. */
double task_pearson(const double *x, const double *y, size_t n);
/* Pearson's of the ranks; equal values share the mean of their ranks. NAN likewise. */
double task_spearman(const double *x, const double *y, size_t n);
/* out: [n], from 1. */
void task_ranks(const double *x, size_t n, double *out);

/* The sum of precision * gain in recall over the distinct scores, descending: equal scores count
 * together, so their order is of no weight. 0 where nothing is relevant. */
double task_average_precision(const double *scores, const bool *relevant, size_t n);

/* 1 / rank of the first relevant one among the first `depth`; equal scores stay in their order. */
double task_reciprocal_rank(const double *scores, const bool *relevant, size_t n, size_t depth);

/* The best of a measure over all cuts between two scores that follow each other. */
struct task_cut {
    double value, threshold;
    double precision, recall; /* of the best F1 */
};

/* As MTEB does it: pairs by score, descending, equal ones in their order; a cut stands behind each
 * pair but the last, also between equal scores, and the first of equally good cuts is kept. */
struct task_cut task_best_accuracy(const double *scores, const bool *labels, size_t n);
struct task_cut task_best_f1(const double *scores, const bool *labels, size_t n);

/* Rosenberg & Hirschberg 2007, beta 1. A labelling of one class has homogeneity 1. */
struct task_v {
    double homogeneity, completeness, v_measure;
};
struct task_v task_v_measure(const uint32_t *classes, const uint32_t *clusters, size_t n);

double task_accuracy(const uint32_t *truth, const uint32_t *found, size_t n);
/* Mean of F1 over the labels (below labels_n) that stand in truth or found. */
double task_macro_f1(const uint32_t *truth, const uint32_t *found, size_t n, size_t labels_n);

#endif
