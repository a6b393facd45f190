/* task_logistic.h - logistic regression, as scikit-learn's LogisticRegression defines it with its
 * defaults, which are what MTEB classifies by.
 *
 *   loss(W, b) = sum over rows of -log p(label | row) + (1 / 2) * sum of W's squares      (C = 1)
 * p: the softmax of row . W + b; of two labels the logistic function of one column, label 1's.
 * Intercepts are not drawn to 0. The loss is convex and W's minimum the only one; it is found by
 * L-BFGS (Nocedal & Wright 2006, 7.2) with a line search that halves and doubles to the weak Wolfe
 * conditions (Lewis & Overton 2013). All in f64. */
#ifndef TERCET_EVAL_TASK_LOGISTIC_H
#define TERCET_EVAL_TASK_LOGISTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TASK_LOGISTIC_STEPS_MAX = 100 }; /* scikit-learn's max_iter, and MTEB's */

struct task_logistic_data {
    const float *rows;      /* [n, dim] */
    const uint32_t *labels; /* [n], below labels_n */
    size_t n, dim, labels_n;
};

struct task_logistic {
    size_t dim, columns_n;     /* columns_n: labels_n, or 1 where that is 2 */
    double *weights;           /* [dim + 1, columns_n], the intercepts last */
    double loss, gradient_max; /* the largest part of the gradient at the end */
    size_t steps_n;
};

/* Steps until no part of the gradient is above 1e-6, or TASK_LOGISTIC_STEPS_MAX. labels_n is at
 * least 2. out: task_logistic_done releases it. */
void task_logistic_fit(const struct task_logistic_data *data, struct task_logistic *out);
void task_logistic_done(struct task_logistic *model);

/* The likeliest label of a row, the first of equally likely ones. */
uint32_t task_logistic_label(const struct task_logistic *model, const float *row);

/* ---- for the test ---- */

size_t task_logistic_size(const struct task_logistic_data *data); /* of weights and gradient */
double task_logistic_loss(const struct task_logistic_data *data, const double *weights,
                          double *gradient_out);

#endif
