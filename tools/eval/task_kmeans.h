/* task_kmeans.h - vectors into k clusters, the same at every run of one seed.
 *
 * Lloyd's algorithm (1957) until no vector changes its cluster, from a start by greedy k-means++
 * (Arthur & Vassilvitskii 2007): of some candidates, drawn by the square of their distance to what
 * is chosen, the one that lowers the sum of squares most. Distances are f32 products of vectors
 * whose mean was taken off; sums are f64. */
#ifndef TERCET_EVAL_TASK_KMEANS_H
#define TERCET_EVAL_TASK_KMEANS_H

#include <stddef.h>
#include <stdint.h>

enum { TASK_KMEANS_ROUNDS_MAX = 300 }; /* scikit-learn's, too; some dozen are the rule */

/* points: [n, dim]; k at most n. clusters_out: [n], below k. Returns the sum of the squared
 * distances to the clusters' means. */
double task_kmeans(const float *points, size_t n, size_t dim, size_t k, uint64_t seed,
                   uint32_t *clusters_out);

/* The start alone: which k points. Equal points may be chosen twice where fewer than k differ. */
void task_kmeans_start(const float *points, size_t n, size_t dim, size_t k, uint64_t seed,
                       size_t *chosen_out);

#endif
