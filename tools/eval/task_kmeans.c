#include "tools/eval/task_kmeans.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "engine/base/vec.h"

struct cloud {
    float *points;  /* [n, dim] less their mean */
    double *square; /* [n] squared lengths */
    size_t n, dim, k;
};

static void cloud_init(struct cloud *cloud, const float *points, size_t n, size_t dim, size_t k) {
    double *mean = mem_zalloc(dim, sizeof *mean);
    *cloud =
        (struct cloud){mem_alloc(n * dim, sizeof(float)), mem_alloc(n, sizeof(double)), n, dim, k};
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++)
            mean[d] += points[i * dim + d];
    for (size_t i = 0; i < n; i++) {
        float *own = cloud->points + i * dim;
        for (size_t d = 0; d < dim; d++)
            own[d] = (float)(points[i * dim + d] - mean[d] / (double)n);
        cloud->square[i] = vec_dot_f32(own, own, dim);
    }
    free(mean);
}

static void cloud_done(struct cloud *cloud) {
    free(cloud->points);
    free(cloud->square);
}

/* Squared distance of a point from a vector of that squared length. */
static double distance_of(const struct cloud *cloud, size_t point, const float *vector,
                          double square) {
    double dot = vec_dot_f32(cloud->points + point * cloud->dim, vector, cloud->dim);
    return fmax(0, cloud->square[point] + square - 2 * dot);
}

/* A point drawn by the weights; any where all of them are 0. */
static size_t draw(const double *weights, size_t n, double sum, uint64_t *seed) {
    double left = random_uniform(seed) * sum;
    if (!(sum > 0))
        return random_below(seed, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        left -= weights[i];
        if (left < 0)
            return i;
    }
    return n - 1;
}

/* nearest_out: [n] squared distances once `candidate` is chosen, too. Returns their sum. */
static double sum_with(const struct cloud *cloud, const double *nearest, size_t candidate,
                       double *nearest_out) {
    const float *vector = cloud->points + candidate * cloud->dim;
    double sum = 0;
    for (size_t i = 0; i < cloud->n; i++) {
        double distance =
            i == candidate ? 0 : distance_of(cloud, i, vector, cloud->square[candidate]);
        nearest_out[i] = fmin(nearest[i], distance);
        sum += nearest_out[i];
    }
    return sum;
}

static void choose_start(const struct cloud *cloud, uint64_t seed, size_t *chosen) {
    size_t n = cloud->n, tries = 2 + (size_t)log((double)cloud->k);
    double *nearest = mem_alloc(n, sizeof *nearest), *tried = mem_alloc(n, sizeof *tried),
           *best = mem_alloc(n, sizeof *best), sum, best_sum;
    for (size_t i = 0; i < n; i++)
        nearest[i] = INFINITY;
    chosen[0] = random_below(&seed, (uint32_t)n);
    sum = sum_with(cloud, nearest, chosen[0], tried);
    memcpy(nearest, tried, n * sizeof *nearest);
    for (size_t c = 1; c < cloud->k; c++) {
        best_sum = INFINITY;
        for (size_t t = 0; t < tries; t++) {
            size_t candidate = draw(nearest, n, sum, &seed);
            double tried_sum = sum_with(cloud, nearest, candidate, tried);
            if (tried_sum < best_sum) {
                double *swap = best;
                best = tried;
                tried = swap;
                best_sum = tried_sum;
                chosen[c] = candidate;
            }
        }
        memcpy(nearest, best, n * sizeof *nearest);
        sum = best_sum;
    }
    free(nearest);
    free(tried);
    free(best);
}

/* Each point to its nearest center, the first of equally near ones. distances_out: [n] squared.
 * Returns whether one changed. */
static bool assign(const struct cloud *cloud, const float *centers, uint32_t *clusters,
                   double *distances_out) {
    bool changed = false;
    double *squares = mem_alloc(cloud->k, sizeof *squares);
    for (size_t c = 0; c < cloud->k; c++)
        squares[c] = vec_dot_f32(centers + c * cloud->dim, centers + c * cloud->dim, cloud->dim);
    for (size_t i = 0; i < cloud->n; i++) {
        uint32_t nearest = 0;
        distances_out[i] = INFINITY;
        for (size_t c = 0; c < cloud->k; c++) {
            double distance = distance_of(cloud, i, centers + c * cloud->dim, squares[c]);
            if (distance < distances_out[i]) {
                distances_out[i] = distance;
                nearest = (uint32_t)c;
            }
        }
        changed |= clusters[i] != nearest;
        clusters[i] = nearest;
    }
    free(squares);
    return changed;
}

/* A cluster without points gets the one that is farthest from its own center, of a cluster that
 * keeps another. */
static void fill_empty(const struct cloud *cloud, uint32_t *clusters, size_t *counts,
                       double *distances) {
    for (size_t c = 0; c < cloud->k; c++) {
        size_t farthest = cloud->n;
        for (size_t i = 0; i < cloud->n && counts[c] == 0; i++)
            if (counts[clusters[i]] > 1 &&
                (farthest == cloud->n || distances[i] > distances[farthest]))
                farthest = i;
        if (farthest == cloud->n)
            continue;
        counts[clusters[farthest]]--;
        clusters[farthest] = (uint32_t)c;
        counts[c] = 1;
        distances[farthest] = 0;
    }
}

/* Each center becomes the mean of its points. sums: [k, dim] */
static void move_centers(const struct cloud *cloud, uint32_t *clusters, double *distances,
                         double *sums, float *centers) {
    size_t dim = cloud->dim, *counts = mem_zalloc(cloud->k, sizeof *counts);
    for (size_t i = 0; i < cloud->n; i++)
        counts[clusters[i]]++;
    fill_empty(cloud, clusters, counts, distances);
    memset(sums, 0, cloud->k * dim * sizeof *sums);
    for (size_t i = 0; i < cloud->n; i++)
        for (size_t d = 0; d < dim; d++)
            sums[clusters[i] * dim + d] += cloud->points[i * dim + d];
    for (size_t c = 0; c < cloud->k; c++)
        for (size_t d = 0; d < dim; d++)
            centers[c * dim + d] = (float)(sums[c * dim + d] / (double)counts[c]);
    free(counts);
}

void task_kmeans_start(const float *points, size_t n, size_t dim, size_t k, uint64_t seed,
                       size_t *chosen_out) {
    struct cloud cloud;
    cloud_init(&cloud, points, n, dim, k);
    choose_start(&cloud, seed, chosen_out);
    cloud_done(&cloud);
}

double task_kmeans(const float *points, size_t n, size_t dim, size_t k, uint64_t seed,
                   uint32_t *clusters_out) {
    struct cloud cloud;
    size_t *chosen = mem_alloc(k, sizeof *chosen);
    float *centers = mem_alloc(k * dim, sizeof *centers);
    double *sums = mem_alloc(k * dim, sizeof *sums), *distances = mem_alloc(n, sizeof *distances);
    double sum = 0;
    cloud_init(&cloud, points, n, dim, k);
    choose_start(&cloud, seed, chosen);
    for (size_t c = 0; c < k; c++)
        memcpy(centers + c * dim, cloud.points + chosen[c] * dim, dim * sizeof *centers);
    for (size_t i = 0; i < n; i++)
        clusters_out[i] = UINT32_MAX;
    for (int round = 0; round < TASK_KMEANS_ROUNDS_MAX; round++) {
        if (!assign(&cloud, centers, clusters_out, distances))
            break;
        move_centers(&cloud, clusters_out, distances, sums, centers);
    }
    for (size_t i = 0; i < n; i++)
        sum += distances[i];
    cloud_done(&cloud);
    free(chosen);
    free(centers);
    free(sums);
    free(distances);
    return sum;
}
