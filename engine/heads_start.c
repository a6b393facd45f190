#include "engine/heads_start.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/random.h"

enum {
    BLOCK = 16, /* rows of a matrix that are one item for the pool */
    TURNS = 60, /* of the iteration; directions that it has not parted yet are alike in size */
};

static void spread(struct pool *pool, size_t n, pool_work *item, void *context) {
    if (pool)
        pool_run(pool, n, item, context);
    else
        for (size_t i = 0; i < n; i++)
            item(context, i, 0);
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *to, const double *from, double scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += scale * from[i];
}

/* ---- second moments ---- */

struct moments {
    const float *states;
    const double *scales; /* [n] of each state's square */
    size_t n, width;
    double *out; /* [width, width] */
};

static void sum_block(void *context, size_t block, size_t worker) {
    struct moments *moments = context;
    size_t width = moments->width, begin = block * BLOCK;
    size_t end = begin + BLOCK < width ? begin + BLOCK : width;
    (void)worker;
    for (size_t s = 0; s < moments->n; s++) {
        const float *state = moments->states + s * width;
        for (size_t i = begin; i < end; i++) {
            double scaled = moments->scales[s] * (double)state[i];
            double *row = moments->out + i * width;
            for (size_t j = i; j < width; j++)
                row[j] += scaled * (double)state[j];
        }
    }
}

/* The mean of scale x state x state^T, [width, width]. */
static double *second_moments(const float *states, const double *scales, size_t n, size_t width,
                              struct pool *pool) {
    struct moments moments = {states, scales, n, width,
                              mem_zalloc(width * width, sizeof *moments.out)};
    spread(pool, (width + BLOCK - 1) / BLOCK, sum_block, &moments);
    for (size_t i = 0; i < width; i++)
        for (size_t j = i; j < width; j++)
            moments.out[j * width + i] = moments.out[i * width + j] /= (double)n;
    return moments.out;
}

/* ---- leading directions ---- */

struct turning {
    const double *matrix; /* [width, width], symmetric */
    const double *from;   /* [dim, width] */
    double *to;
    size_t width;
};

static void turn_row(void *context, size_t row, size_t worker) {
    const struct turning *turning = context;
    size_t width = turning->width;
    (void)worker;
    memset(turning->to + row * width, 0, width * sizeof *turning->to);
    for (size_t i = 0; i < width; i++)
        add_scaled(turning->to + row * width, turning->matrix + i * width,
                   turning->from[row * width + i], width);
}

/* Modified Gram & Schmidt, each row twice: once is not enough where rows are nearly parallel. A row
 * that nothing is left of is drawn anew. */
static void make_orthonormal(double *rows, size_t dim, size_t width, uint64_t *chance) {
    for (size_t i = 0; i < dim; i++) {
        double *row = rows + i * width;
        double length = 0, before = sqrt(dot(row, row, width));
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++)
                add_scaled(row, rows + j * width, -dot(row, rows + j * width, width), width);
        length = sqrt(dot(row, row, width));
        if (!(length > 1e-12 * before)) {
            for (size_t c = 0; c < width; c++)
                row[c] = random_normal(chance);
            i--;
            continue;
        }
        for (size_t c = 0; c < width; c++)
            row[c] /= length;
    }
}

double heads_start_directions(const float *states, size_t n, size_t width, size_t dim,
                              struct pool *pool, float *out) {
    double *scales = mem_alloc(n, sizeof *scales), kept = 0, all = 0;
    double *rows = mem_alloc(dim * width, sizeof *rows),
           *next = mem_alloc(dim * width, sizeof *next);
    uint64_t chance = 1; /* any start will do: the directions do not depend on it */
    for (size_t s = 0; s < n; s++) {
        double square = 0;
        for (size_t c = 0; c < width; c++)
            square += (double)states[s * width + c] * (double)states[s * width + c];
        scales[s] = square > 0 ? 1 / square : 0;
    }
    double *matrix = second_moments(states, scales, n, width, pool);
    for (size_t i = 0; i < dim * width; i++)
        rows[i] = random_normal(&chance);
    make_orthonormal(rows, dim, width, &chance);
    for (size_t turn = 0; turn < TURNS; turn++) {
        struct turning turning = {matrix, rows, next, width};
        spread(pool, dim, turn_row, &turning);
        memcpy(rows, next, dim * width * sizeof *rows);
        make_orthonormal(rows, dim, width, &chance);
    }
    for (size_t i = 0; i < width; i++)
        all += matrix[i * width + i];
    struct turning turning = {matrix, rows, next, width};
    spread(pool, dim, turn_row, &turning);
    for (size_t i = 0; i < dim; i++)
        kept += dot(rows + i * width, next + i * width, width);
    for (size_t i = 0; i < dim * width; i++)
        out[i] = (float)rows[i];
    free(matrix);
    free(scales);
    free(rows);
    free(next);
    return all > 0 ? kept / all : 0;
}

/* ---- ridge regression ---- */

/* x of matrix . x = right, by Cholesky's factors, which take the matrix's place. The diagonal has
 * been raised: it is positive definite. */
static void solve(double *matrix, size_t n, double *x) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double rest = matrix[i * n + j] - dot(matrix + i * n, matrix + j * n, j);
            matrix[i * n + j] = i == j ? sqrt(rest) : rest / matrix[j * n + j];
        }
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - dot(matrix + i * n, x, i)) / matrix[i * n + i];
    for (size_t i = n; i-- > 0;) {
        x[i] /= matrix[i * n + i];
        for (size_t j = 0; j < i; j++)
            x[j] -= matrix[i * n + j] * x[i];
    }
}

static double mean_target(const float *targets, size_t n) {
    double sum = 0;
    for (size_t s = 0; s < n; s++)
        sum += (double)targets[s];
    return sum / (double)n;
}

/* 1 - what the fit leaves of the targets' variance. */
static double explained(const float *states, const float *targets, size_t n, size_t width,
                        const double *weight, double bias) {
    double mean = mean_target(targets, n), all = 0, left = 0;
    for (size_t s = 0; s < n; s++) {
        double fit = bias, target = (double)targets[s];
        for (size_t c = 0; c < width; c++)
            fit += weight[c] * (double)states[s * width + c];
        all += (target - mean) * (target - mean);
        left += (target - fit) * (target - fit);
    }
    return all > 0 ? 1 - left / all : 0;
}

double heads_start_ridge(const float *states, const float *targets, size_t n, size_t width,
                         double ridge, struct pool *pool, float *weight_out, float *bias_out) {
    double *ones = mem_alloc(n, sizeof *ones), *mean = mem_zalloc(width, sizeof *mean);
    double *x = mem_zalloc(width, sizeof *x), target = mean_target(targets, n), bias = target;
    for (size_t s = 0; s < n; s++) {
        ones[s] = 1;
        for (size_t c = 0; c < width; c++) {
            mean[c] += (double)states[s * width + c] / (double)n;
            x[c] += (double)states[s * width + c] * ((double)targets[s] - target) / (double)n;
        }
    }
    double *matrix = second_moments(states, ones, n, width, pool);
    for (size_t i = 0; i < width; i++) {
        add_scaled(matrix + i * width, mean, -mean[i], width);
        matrix[i * width + i] += ridge;
    }
    solve(matrix, width, x);
    bias -= dot(x, mean, width);
    for (size_t c = 0; c < width; c++)
        weight_out[c] = (float)x[c];
    *bias_out = (float)bias;
    double r2 = explained(states, targets, n, width, x, bias);
    free(matrix);
    free(ones);
    free(mean);
    free(x);
    return r2;
}
