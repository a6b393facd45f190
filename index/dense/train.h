/* dense/train.h - inside dense search: where lists have their centres, and how much of them a
 * search must look at.
 *
 * Centres are found by k-means (Lloyd) over a sample of the rows. Its rounds see the first
 * dimensions only: after dense/rotate.h those are a random projection, which keeps distances to a
 * few per cent (Johnson & Lindenstrauss). The same rows give the same centres. */
#ifndef TERCET_INDEX_DENSE_TRAIN_H
#define TERCET_INDEX_DENSE_TRAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/dense/lists.h"

struct pool;

/* How many lists are best for so many rows, and how many rows to train them with. */
uint32_t dense_train_lists_n(size_t rows_n);
size_t dense_train_sample_n(size_t rows_n);

struct dense_centres {
    uint8_t *bytes;              /* [lists_n, dim] */
    struct dense_centre *scales; /* [lists_n] */
    uint32_t lists_n;
};
void dense_centres_done(struct dense_centres *centres); /* a zeroed one is fine */

/* sample: [rows_n, dim] IEEE half, rotated, of any order; rows_n >= lists_n. False when *stop was
 * set meanwhile. */
bool dense_train(const uint16_t *sample, size_t rows_n, size_t dim, uint32_t lists_n,
                 struct pool *pool, const atomic_bool *stop, struct dense_centres *out);

/* The nearest centre. row: [dim], rotated; query: scratch with room for dim; products: [lists_n];
 * which: 0, 1, .. lists_n - 1. */
uint32_t dense_nearest(const struct dense_centres *centres, const float *row,
                       struct vec_s8_query *query, const uint32_t *which, float *products);

/* What part of the rows must be looked at for DENSE_BREADTH_K_FIRST and _LAST neighbours: some rows
 * are taken for queries, and it is seen in which lists their neighbours stand. breadths_out:
 * [DENSE_BREADTHS_N]. False when *stop was set meanwhile. */
bool dense_measure_breadths(const struct dense_lists *lists, struct pool *pool,
                            const atomic_bool *stop, float *breadths_out);

#endif
