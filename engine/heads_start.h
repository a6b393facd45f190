/* heads_start.h - where the heads of heads_fit.h begin: what statistics of the states alone tell.
 *
 * colbert_linear: an orthonormal basis of the leading directions of the states, each state scaled
 * to length 1, not centred (centring costs zero-shot quality). Only the space that they span
 * matters: scores do not change when it is turned. Found by orthogonal iteration (Golub & Van Loan,
 * Matrix Computations, 8.2), which parts directions of nearly the same size last, where it matters
 * least.
 * sparse_linear: ridge regression from a token's state to a number, such as its id's idf. */
#ifndef TERCET_HEADS_START_H
#define TERCET_HEADS_START_H

#include <stddef.h>

struct pool;

/* states: [n, width]. out: [dim, width], dim <= width, rows of length 1, the leading one first.
 * Returns the part of the states' squares that the directions keep. pool may be NULL; results do
 * not depend on it. */
double heads_start_directions(const float *states, size_t n, size_t width, size_t dim,
                              struct pool *pool, float *out);

/* targets: [n]. ridge: added to the diagonal of the covariance (mean over states). Returns R2 on
 * these states. */
double heads_start_ridge(const float *states, const float *targets, size_t n, size_t width,
                         double ridge, struct pool *pool, float *weight_out, float *bias_out);

#endif
