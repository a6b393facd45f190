#include "tools/eval/task_logistic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { MEMORY = 10, TRIES_MAX = 50 }; /* steps remembered; halvings or doublings of one step */
static const double gradient_small = 1e-6;
static const double decrease_least = 1e-4, slope_most = .9; /* Wolfe's two constants */

static size_t columns_of(const struct task_logistic_data *data) {
    return data->labels_n == 2 ? 1 : data->labels_n;
}

size_t task_logistic_size(const struct task_logistic_data *data) {
    return (data->dim + 1) * columns_of(data);
}

/* logits_out: [columns_n] = row . W + b */
static void logits_of(const double *weights, size_t dim, size_t columns_n, const float *row,
                      double *logits_out) {
    memcpy(logits_out, weights + dim * columns_n, columns_n * sizeof *logits_out);
    for (size_t d = 0; d < dim; d++) {
        const double x = row[d], *line = weights + d * columns_n;
        for (size_t c = 0; c < columns_n; c++)
            logits_out[c] += x * line[c];
    }
}

/* Logits of a row become the loss's slope by each: p - (1 for the label). Returns the loss. */
static double slopes_of(double *logits, size_t columns_n, uint32_t label) {
    if (columns_n == 1) {
        double toward = label ? logits[0] : -logits[0]; /* the logit of being right */
        double loss = toward > 0 ? log1p(exp(-toward)) : log1p(exp(toward)) - toward;
        logits[0] = 1 / (1 + exp(-logits[0])) - (double)label;
        return loss;
    }
    double largest = logits[0], sum = 0, right = logits[label];
    for (size_t c = 1; c < columns_n; c++)
        largest = fmax(largest, logits[c]);
    for (size_t c = 0; c < columns_n; c++)
        sum += logits[c] = exp(logits[c] - largest);
    for (size_t c = 0; c < columns_n; c++)
        logits[c] /= sum;
    logits[label] -= 1;
    return log(sum) + largest - right;
}

double task_logistic_loss(const struct task_logistic_data *data, const double *weights,
                          double *gradient_out) {
    size_t dim = data->dim, columns_n = columns_of(data);
    double loss = 0, *slopes = mem_alloc(columns_n, sizeof *slopes);
    for (size_t i = 0; i < dim * columns_n; i++) {
        loss += weights[i] * weights[i] / 2;
        gradient_out[i] = weights[i];
    }
    memset(gradient_out + dim * columns_n, 0, columns_n * sizeof *gradient_out);
    for (size_t i = 0; i < data->n; i++) {
        const float *row = data->rows + i * dim;
        logits_of(weights, dim, columns_n, row, slopes);
        loss += slopes_of(slopes, columns_n, data->labels[i]);
        for (size_t d = 0; d < dim; d++)
            for (size_t c = 0; c < columns_n; c++)
                gradient_out[d * columns_n + c] += row[d] * slopes[c];
        for (size_t c = 0; c < columns_n; c++)
            gradient_out[dim * columns_n + c] += slopes[c];
    }
    free(slopes);
    return loss;
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double largest_of(const double *x, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    return largest;
}

/* A point, and how the search goes on from it. */
struct descent {
    const struct task_logistic_data *data;
    size_t n;
    double loss, *weights, *gradient, *direction; /* [n] */
    double tried_loss, *tried, *tried_gradient;   /* [n] */
    double *moves, *turns, inverse[MEMORY]; /* [MEMORY, n]: differences of weights, gradients */
    size_t steps_n;
};

static void descent_init(struct descent *d, const struct task_logistic_data *data) {
    size_t n = task_logistic_size(data);
    *d = (struct descent){.data = data, .n = n};
    d->weights = mem_zalloc(n, sizeof(double));
    d->gradient = mem_alloc(n, sizeof(double));
    d->direction = mem_alloc(n, sizeof(double));
    d->tried = mem_alloc(n, sizeof(double));
    d->tried_gradient = mem_alloc(n, sizeof(double));
    d->moves = mem_alloc(n * MEMORY, sizeof(double));
    d->turns = mem_alloc(n * MEMORY, sizeof(double));
    d->loss = task_logistic_loss(data, d->weights, d->gradient);
}

static void descent_done(struct descent *d) {
    free(d->gradient);
    free(d->direction);
    free(d->tried);
    free(d->tried_gradient);
    free(d->moves);
    free(d->turns);
}

/* direction = - (inverse Hessian as the last steps tell it) . gradient, by the two loops. */
static void choose_direction(struct descent *d) {
    size_t n = d->n, remembered = d->steps_n < MEMORY ? d->steps_n : MEMORY;
    double parts[MEMORY], scale = 1 / fmax(1, sqrt(dot(d->gradient, d->gradient, n)));
    for (size_t i = 0; i < n; i++)
        d->direction[i] = -d->gradient[i];
    for (size_t back = 1; back <= remembered; back++) {
        size_t slot = (d->steps_n - back) % MEMORY;
        const double *move = d->moves + slot * n, *turn = d->turns + slot * n;
        parts[slot] = d->inverse[slot] * dot(move, d->direction, n);
        for (size_t i = 0; i < n; i++)
            d->direction[i] -= parts[slot] * turn[i];
        if (back == 1)
            scale = 1 / (d->inverse[slot] * dot(turn, turn, n));
    }
    for (size_t i = 0; i < n; i++)
        d->direction[i] *= scale;
    for (size_t back = remembered; back > 0; back--) {
        size_t slot = (d->steps_n - back) % MEMORY;
        const double *move = d->moves + slot * n, *turn = d->turns + slot * n;
        double part = parts[slot] - d->inverse[slot] * dot(turn, d->direction, n);
        for (size_t i = 0; i < n; i++)
            d->direction[i] += part * move[i];
    }
}

/* Tries steps along the direction until the loss has fallen enough and the slope is flat enough.
 * False where rounding leaves nothing to gain. */
static bool search_line(struct descent *d) {
    double slope = dot(d->direction, d->gradient, d->n), low = 0, high = INFINITY, step = 1;
    double rounding = 1e-15 * fmax(1, fabs(d->loss)); /* what a difference of losses can tell */
    if (!(slope < 0))
        return false;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        for (size_t i = 0; i < d->n; i++)
            d->tried[i] = d->weights[i] + step * d->direction[i];
        d->tried_loss = task_logistic_loss(d->data, d->tried, d->tried_gradient);
        if (d->tried_loss > d->loss + decrease_least * step * slope + rounding)
            high = step;
        else if (dot(d->direction, d->tried_gradient, d->n) < slope_most * slope)
            low = step;
        else
            return true;
        step = isinf(high) ? 2 * low : (low + high) / 2;
    }
    return false;
}

/* The tried point becomes the point; how the gradient turned on the way is remembered. */
static void take_step(struct descent *d) {
    size_t slot = d->steps_n % MEMORY;
    double *move = d->moves + slot * d->n, *turn = d->turns + slot * d->n;
    for (size_t i = 0; i < d->n; i++) {
        move[i] = d->tried[i] - d->weights[i];
        turn[i] = d->tried_gradient[i] - d->gradient[i];
    }
    d->inverse[slot] = 1 / dot(move, turn, d->n); /* above 0: the slope condition */
    double *left = d->weights, *left_gradient = d->gradient;
    d->weights = d->tried;
    d->gradient = d->tried_gradient;
    d->tried = left;
    d->tried_gradient = left_gradient;
    d->loss = d->tried_loss;
    d->steps_n++;
}

void task_logistic_fit(const struct task_logistic_data *data, struct task_logistic *out) {
    struct descent d;
    descent_init(&d, data);
    while (d.steps_n < TASK_LOGISTIC_STEPS_MAX && largest_of(d.gradient, d.n) > gradient_small) {
        choose_direction(&d);
        if (!search_line(&d))
            break;
        take_step(&d);
    }
    *out = (struct task_logistic){.dim = data->dim,
                                  .columns_n = columns_of(data),
                                  .weights = d.weights,
                                  .loss = d.loss,
                                  .gradient_max = largest_of(d.gradient, d.n),
                                  .steps_n = d.steps_n};
    descent_done(&d);
}

void task_logistic_done(struct task_logistic *model) {
    free(model->weights);
    *model = (struct task_logistic){0};
}

uint32_t task_logistic_label(const struct task_logistic *model, const float *row) {
    double *logits = mem_alloc(model->columns_n, sizeof *logits);
    uint32_t best = 0;
    logits_of(model->weights, model->dim, model->columns_n, row, logits);
    if (model->columns_n == 1)
        best = logits[0] > 0;
    for (uint32_t c = 1; c < model->columns_n; c++)
        if (logits[c] > logits[best])
            best = c;
    free(logits);
    return best;
}
