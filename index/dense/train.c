#include "index/dense/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/vec.h"
#include "engine/base/vec_s8.h"

enum {
    /* Rounds of k-means, and rows a list to run them on: 8 rounds found no more neighbours than 4
     * for the same rows (docs/search-dense.md). */
    ROUNDS = 6,
    SAMPLE_A_LIST = 40,
    SAMPLE_MAX = 160 * 1000, /* 320 MB at 1,024 dimensions */
    /* Lists are 1.6 sqrt(rows): at 100,000 rows of 1,024 dimensions the centres are half a
     * megabyte, which the second cache keeps, and twice as many cost more than they saved. */
    LISTS_MIN = 16,
    LISTS_MAX = 4096,
    /* Dimensions that the rounds see. */
    PROJECTED = 256,
    CHUNK = 256, /* rows that a worker takes at a time */
};
static const double lists_a_root = 1.6;

uint32_t dense_train_lists_n(size_t rows_n) {
    double n = lists_a_root * sqrt((double)rows_n);
    return n < LISTS_MIN ? LISTS_MIN : n > LISTS_MAX ? LISTS_MAX : (uint32_t)n;
}

size_t dense_train_sample_n(size_t rows_n) {
    size_t n = (size_t)dense_train_lists_n(rows_n) * SAMPLE_A_LIST;
    n = n < SAMPLE_MAX ? n : SAMPLE_MAX;
    return n < rows_n ? n : rows_n;
}

void dense_centres_done(struct dense_centres *centres) {
    free(centres->bytes);
    free(centres->scales);
    *centres = (struct dense_centres){0};
}

/* ---- the nearest centre ---- */

static uint32_t nearest_of(const uint8_t *bytes, const struct dense_centre *scales,
                           uint32_t lists_n, const float *row, struct vec_s8_query *query,
                           const uint32_t *which, float *products) {
    uint32_t best = 0;
    float most = -INFINITY;
    vec_s8_query_set(query, row);
    vec_s8_dots(query, bytes, which, lists_n, products);
    for (uint32_t i = 0; i < lists_n; i++) {
        float nearness = products[i] * query->scale * scales[i].scale - scales[i].square / 2;
        if (nearness > most) {
            most = nearness;
            best = i;
        }
    }
    return best;
}

uint32_t dense_nearest(const struct dense_centres *centres, const float *row,
                       struct vec_s8_query *query, const uint32_t *which, float *products) {
    return nearest_of(centres->bytes, centres->scales, centres->lists_n, row, query, which,
                      products);
}

/* ---- k-means ---- */

struct training {
    const uint16_t *sample;   /* [rows_n, dim] */
    size_t rows_n, dim, seen; /* seen: dimensions of this round */
    uint32_t lists_n;
    float *centres;              /* [lists_n, seen] */
    uint8_t *bytes;              /* [lists_n, seen] */
    struct dense_centre *scales; /* [lists_n] */
    uint32_t *lists;             /* [rows_n] the nearest */
    uint32_t *which;             /* [lists_n] */
    const atomic_bool *stop;
    struct worker {
        struct vec_s8_query query;
        float *row, *products;
    } * workers;
};

static void row_get(const struct training *training, size_t row, float *out) {
    vec_from_f16(training->sample + row * training->dim, training->seen, out);
}

static void round_centres(struct training *training) {
    size_t seen = training->seen;
    for (uint32_t l = 0; l < training->lists_n; l++) {
        struct dense_centre *centre = &training->scales[l];
        uint8_t *bytes = training->bytes + l * seen;
        float error;
        double square = 0;
        vec_s8_encode(training->centres + l * seen, seen, bytes, &centre->scale, &error);
        for (size_t i = 0; i < seen; i++) {
            double value = (double)centre->scale * (bytes[i] - VEC_S8_BIAS);
            square += value * value;
        }
        centre->square = (float)square;
    }
}

static void assign_chunk(void *context, size_t item, size_t number) {
    struct training *training = context;
    struct worker *worker = &training->workers[number];
    size_t end = (item + 1) * CHUNK < training->rows_n ? (item + 1) * CHUNK : training->rows_n;
    for (size_t row = item * CHUNK; row < end && !atomic_load(training->stop); row++) {
        row_get(training, row, worker->row);
        training->lists[row] =
            nearest_of(training->bytes, training->scales, training->lists_n, worker->row,
                       &worker->query, training->which, worker->products);
    }
}

/* Each list's centre becomes the mean of its rows; an empty one goes to a row of its own. */
static void move_centres(struct training *training, float *row) {
    size_t seen = training->seen;
    uint32_t *counts = mem_zalloc(training->lists_n, sizeof *counts);
    memset(training->centres, 0, training->lists_n * seen * sizeof *training->centres);
    for (size_t i = 0; i < training->rows_n; i++) {
        float *centre = training->centres + training->lists[i] * seen;
        row_get(training, i, row);
        counts[training->lists[i]]++;
        for (size_t j = 0; j < seen; j++)
            centre[j] += row[j];
    }
    for (uint32_t l = 0; l < training->lists_n; l++) {
        float *centre = training->centres + l * seen;
        if (counts[l] == 0)
            row_get(training, (size_t)l * 7919 % training->rows_n, centre);
        for (size_t j = 0; counts[l] > 0 && j < seen; j++)
            centre[j] /= (float)counts[l];
    }
    free(counts);
}

static void training_open(struct training *training, size_t workers_n) {
    size_t lists_n = training->lists_n, dim = training->dim;
    training->centres = mem_alloc(lists_n * dim, sizeof *training->centres);
    training->bytes = mem_alloc_aligned(lists_n, dim);
    training->scales = mem_alloc(lists_n, sizeof *training->scales);
    training->lists = mem_zalloc(training->rows_n, sizeof *training->lists);
    training->which = mem_alloc(lists_n, sizeof *training->which);
    for (uint32_t l = 0; l < lists_n; l++)
        training->which[l] = l;
    training->workers = mem_zalloc(workers_n, sizeof *training->workers);
    for (size_t w = 0; w < workers_n; w++) {
        struct worker *worker = &training->workers[w];
        worker->row = mem_alloc(dim, sizeof *worker->row);
        worker->products = mem_alloc(lists_n, sizeof *worker->products);
        worker->query = vec_s8_query_new(training->seen);
    }
}

static void training_close(struct training *training, size_t workers_n) {
    for (size_t w = 0; w < workers_n; w++) {
        free(training->workers[w].row);
        free(training->workers[w].products);
        vec_s8_query_done(&training->workers[w].query);
    }
    free(training->workers);
    free(training->which);
    free(training->lists);
    free(training->centres);
}

bool dense_train(const uint16_t *sample, size_t rows_n, size_t dim, uint32_t lists_n,
                 struct pool *pool, const atomic_bool *stop, struct dense_centres *out) {
    struct training training = {
        .sample = sample,
        .rows_n = rows_n,
        .dim = dim,
        .seen = dim < PROJECTED ? dim : PROJECTED,
        .lists_n = lists_n,
        .stop = stop,
    };
    size_t workers_n = pool_workers_n(pool);
    training_open(&training, workers_n);
    for (uint32_t l = 0; l < lists_n; l++)
        row_get(&training, l * rows_n / lists_n, training.centres + l * training.seen);
    for (size_t round = 0; round < ROUNDS && !atomic_load(stop); round++) {
        round_centres(&training);
        pool_run(pool, (rows_n + CHUNK - 1) / CHUNK, assign_chunk, &training);
        training.seen = round + 1 < ROUNDS ? training.seen : dim; /* at last all dimensions */
        move_centres(&training, training.workers[0].row);
    }
    bool done = !atomic_load(stop);
    if (done)
        round_centres(&training);
    training_close(&training, workers_n);
    *out = (struct dense_centres){training.bytes, training.scales, lists_n};
    if (!done)
        dense_centres_done(out);
    return done;
}
