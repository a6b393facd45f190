/* k-means against its own definition: what it ends with is a fixed point, found again from the
 * same start by the plainest loop in f64. */
#include "tools/eval/task_kmeans.h"

#include "engine/base/random.h"
#include "tests/check.h"

enum { N_MAX = 300, DIM = 19, K_MAX = 12 };

static double distance(const float *x, const double *y) {
    double sum = 0;
    for (size_t d = 0; d < DIM; d++)
        sum += (x[d] - y[d]) * (x[d] - y[d]);
    return sum;
}

static void plain_assign(const float *points, size_t n, double (*centers)[DIM], size_t k,
                         uint32_t *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = 0;
        for (uint32_t c = 1; c < k; c++)
            if (distance(points + i * DIM, centers[c]) <
                distance(points + i * DIM, centers[out[i]]))
                out[i] = c;
    }
}

/* False where a cluster is empty. */
static bool plain_means(const float *points, size_t n, const uint32_t *clusters, size_t k,
                        double (*out)[DIM]) {
    for (size_t c = 0; c < k; c++) {
        size_t count = 0;
        memset(out[c], 0, sizeof out[c]);
        for (size_t i = 0; i < n; i++)
            count += clusters[i] == c;
        if (count == 0)
            return false;
        for (size_t i = 0; i < n; i++)
            for (size_t d = 0; clusters[i] == c && d < DIM; d++)
                out[c][d] += points[i * DIM + d] / (double)count;
    }
    return true;
}

/* Clouds around `kinds` places, some of them close. */
static void make_points(float *points, size_t n, size_t kinds, double spread, uint64_t *seed) {
    float places[K_MAX][DIM];
    for (size_t k = 0; k < kinds; k++)
        for (size_t d = 0; d < DIM; d++)
            places[k][d] = (float)(5 + random_normal(seed));
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < DIM; d++)
            points[i * DIM + d] = places[i % kinds][d] + (float)(spread * random_normal(seed));
}

static void same_as_the_plain_loop(uint64_t *seed) {
    static float points[N_MAX * DIM];
    uint32_t ours[N_MAX], plain[N_MAX], before[N_MAX];
    double centers[K_MAX][DIM];
    size_t chosen[K_MAX];
    for (uint64_t round = 0; round < 60; round++) {
        size_t n = 30 + random_below(seed, N_MAX - 30), k = 1 + random_below(seed, K_MAX);
        make_points(points, n, 1 + random_below(seed, K_MAX), .1 + random_uniform(seed), seed);
        double sum = task_kmeans(points, n, DIM, k, round, ours);
        task_kmeans_start(points, n, DIM, k, round, chosen);
        for (size_t c = 0; c < k; c++)
            for (size_t d = 0; d < DIM; d++)
                centers[c][d] = points[chosen[c] * DIM + d];
        memset(before, 0xff, sizeof before);
        bool whole = true;
        for (int step = 0; step < TASK_KMEANS_ROUNDS_MAX && whole; step++) {
            plain_assign(points, n, centers, k, plain);
            if (memcmp(plain, before, n * sizeof *plain) == 0)
                break;
            memcpy(before, plain, sizeof before);
            whole = plain_means(points, n, plain, k, centers);
        }
        CHECK(whole && memcmp(plain, ours, n * sizeof *ours) == 0);
        double plain_sum = 0;
        for (size_t i = 0; i < n; i++)
            plain_sum += distance(points + i * DIM, centers[plain[i]]);
        CHECK_NEAR(sum, plain_sum, 1e-4 * (1 + plain_sum));
    }
}

static void places_far_apart_are_found(uint64_t *seed) {
    static float points[N_MAX * DIM];
    uint32_t clusters[N_MAX], again[N_MAX];
    make_points(points, N_MAX, 10, .05, seed);
    double sum = task_kmeans(points, N_MAX, DIM, 10, 1, clusters);
    for (size_t i = 0; i < N_MAX; i++)
        for (size_t j = 0; j < i; j++)
            CHECK((clusters[i] == clusters[j]) == (i % 10 == j % 10));
    CHECK_NEAR(task_kmeans(points, N_MAX, DIM, 10, 1, again), sum, 0);
    CHECK(memcmp(clusters, again, sizeof again) == 0);
}

static void start_is_made_of_points_far_apart(uint64_t *seed) {
    static float points[N_MAX * DIM];
    size_t chosen[K_MAX], other[K_MAX], places[10] = {0}, differ = 0;
    make_points(points, N_MAX, 10, .01, seed);
    task_kmeans_start(points, N_MAX, DIM, 10, 3, chosen);
    task_kmeans_start(points, N_MAX, DIM, 10, 4, other);
    for (size_t c = 0; c < 10; c++) {
        places[chosen[c] % 10]++;
        differ += chosen[c] != other[c];
    }
    for (size_t p = 0; p < 10; p++)
        CHECK_EQUAL(places[p], 1);
    CHECK(differ > 0);
}

static void fewer_places_than_clusters(void) {
    float points[6 * DIM];
    uint32_t clusters[6], counts[4] = {0};
    for (size_t i = 0; i < 6 * DIM; i++)
        points[i] = i < 3 * DIM ? 1 : 2; /* two places, three points each */
    CHECK_NEAR(task_kmeans(points, 6, DIM, 4, 9, clusters), 0, 1e-9);
    for (size_t i = 0; i < 6; i++)
        counts[clusters[i]]++;
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 3; j < 6; j++)
            CHECK(clusters[i] != clusters[j]);
    CHECK_NEAR(task_kmeans(points, 1, DIM, 1, 9, clusters), 0, 0);
    CHECK_EQUAL(clusters[0], 0);
}

int main(void) {
    uint64_t seed = 11;
    same_as_the_plain_loop(&seed);
    places_far_apart_are_found(&seed);
    start_is_made_of_points_far_apart(&seed);
    fewer_places_than_clusters();
    return check_result();
}
