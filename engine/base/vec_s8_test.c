/* Every kind of vec_s8.c against plain C, and plain C against arithmetic in f64. */
#include "engine/base/vec_s8.h"

#include "engine/base/mem.h"
#include "tests/check.h"

enum { ROWS = 23, LONG = 16384 };

struct fix {
    size_t dim;
    struct vec_s8_query query;
    float *in;      /* [dim] */
    uint8_t *bytes; /* [ROWS, dim] */
    uint8_t *signs; /* [ROWS, dim / 8] */
    uint32_t which[2 * ROWS];
};

static void fix_open(struct fix *fix, size_t dim, unsigned long long *seed) {
    *fix = (struct fix){.dim = dim, .query = vec_s8_query_new(dim)};
    fix->in = mem_alloc(dim, sizeof *fix->in);
    fix->bytes = mem_alloc(ROWS * dim, 1);
    fix->signs = mem_alloc(ROWS * dim / 8, 1);
    for (size_t i = 0; i < dim; i++)
        fix->in[i] = check_random_float(seed);
    for (size_t i = 0; i < ROWS * dim; i++)
        fix->bytes[i] = (uint8_t)(1 + check_random(seed) % 255);
    for (size_t i = 0; i < ROWS * dim / 8; i++)
        fix->signs[i] = (uint8_t)check_random(seed);
    for (size_t i = 0; i < 2 * ROWS; i++)
        fix->which[i] = (uint32_t)(check_random(seed) % ROWS);
    vec_s8_query_set(&fix->query, fix->in);
}

static void fix_close(struct fix *fix) {
    vec_s8_query_done(&fix->query);
    free(fix->in);
    free(fix->bytes);
    free(fix->signs);
}

static void kinds_agree(struct fix *fix, enum cpu_level level) {
    const struct vec_s8_kind *plain = vec_s8_kind_of(CPU_PLAIN), *kind = vec_s8_kind_of(level);
    for (size_t n = 0; n <= 2 * ROWS; n += n < 9 ? 1 : 7) {
        float expected[2 * ROWS], found[2 * ROWS + 1];
        found[n] = 5;
        plain->dots(&fix->query, fix->bytes, fix->which, n, expected);
        kind->dots(&fix->query, fix->bytes, fix->which, n, found);
        CHECK(memcmp(found, expected, n * sizeof *found) == 0);
        plain->signs(&fix->query, fix->signs, fix->which, n, expected);
        kind->signs(&fix->query, fix->signs, fix->which, n, found);
        CHECK(memcmp(found, expected, n * sizeof *found) == 0);
        CHECK(found[n] == 5);
    }
}

/* Nothing overflows when everything is as large as it can be. */
static void extremes_agree(enum cpu_level level) {
    struct fix fix;
    unsigned long long seed = 3;
    fix_open(&fix, LONG, &seed);
    for (size_t i = 0; i < LONG; i++)
        fix.in[i] = 1;
    memset(fix.bytes, 255, ROWS * LONG);
    memset(fix.bytes + LONG, 1, LONG);
    memset(fix.signs, 255, ROWS * LONG / 8);
    memset(fix.signs + LONG / 8, 0, LONG / 8);
    vec_s8_query_set(&fix.query, fix.in);
    kinds_agree(&fix, level);
    float sums[2];
    vec_s8_kind_of(level)->dots(&fix.query, fix.bytes, (uint32_t[]){0, 1}, 2, sums);
    CHECK(sums[0] == (float)(127.0 * VEC_S8_QUERY_MAX * LONG) && sums[1] == -sums[0]);
    vec_s8_kind_of(level)->signs(&fix.query, fix.signs, (uint32_t[]){0, 1}, 2, sums);
    CHECK(sums[0] == 127 * LONG && sums[1] == -127 * LONG);
    fix_close(&fix);
}

static double length_of(const float *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

/* What the rounded numbers say of a product is within what they say of themselves. */
static void errors_are_bounded(size_t dim, float size, unsigned long long *seed) {
    struct fix fix;
    float *row = mem_alloc(dim, sizeof *row), scale, error, sum;
    uint8_t *bytes = mem_alloc(dim, 1);
    double exact = 0, lost = 0;
    fix_open(&fix, dim, seed);
    for (size_t i = 0; i < dim; i++) {
        row[i] = size * check_random_float(seed);
        exact += (double)row[i] * (double)fix.in[i];
    }
    vec_s8_encode(row, dim, bytes, &scale, &error);
    for (size_t i = 0; i < dim; i++) {
        double rest = (double)row[i] - (double)scale * (bytes[i] - VEC_S8_BIAS);
        CHECK(bytes[i] >= 1);
        lost += rest * rest;
    }
    CHECK_NEAR(error, sqrt(lost), 1e-3 * sqrt(lost) + 1e-30);
    vec_s8_dots(&fix.query, bytes, (uint32_t[]){0}, 1, &sum);
    double bound = length_of(fix.in, dim) * (double)error +
                   (length_of(row, dim) + (double)error) * (double)fix.query.error;
    CHECK_NEAR((double)sum * (double)scale * (double)fix.query.scale, exact, bound * 1.001 + 1e-30);
    CHECK((double)error <= 0.01 * length_of(row, dim) + 1e-30);
    free(row);
    free(bytes);
    fix_close(&fix);
}

static void zeros_and_tiny_numbers(void) {
    float zeros[VEC_S8_STEP] = {0}, tiny[VEC_S8_STEP], scale = 1, error = 1, sum = 1;
    uint8_t bytes[VEC_S8_STEP];
    struct vec_s8_query query = vec_s8_query_new(VEC_S8_STEP);
    for (size_t i = 0; i < VEC_S8_STEP; i++)
        tiny[i] = 1e-42f;
    vec_s8_encode(zeros, VEC_S8_STEP, bytes, &scale, &error);
    CHECK(scale == 0 && error == 0 && bytes[7] == VEC_S8_BIAS);
    vec_s8_query_set(&query, zeros);
    vec_s8_dots(&query, bytes, (uint32_t[]){0}, 1, &sum);
    CHECK(sum == 0 && query.scale == 0 && query.error == 0);
    vec_s8_encode(tiny, VEC_S8_STEP, bytes, &scale, &error);
    CHECK(isfinite(scale) && isfinite(error));
    vec_s8_query_set(&query, tiny);
    CHECK(isfinite(query.error));
    vec_s8_query_done(&query);
}

int main(void) {
    unsigned long long seed = 5;
    for (enum cpu_level level = CPU_PLAIN; level <= cpu_level(); level++) {
        for (size_t dim = VEC_S8_STEP; dim <= 1024; dim += dim < 448 ? 64 : 192) {
            struct fix fix;
            fix_open(&fix, dim, &seed);
            kinds_agree(&fix, level);
            fix_close(&fix);
        }
        extremes_agree(level);
    }
    for (size_t i = 0; i < 40; i++)
        errors_are_bounded(VEC_S8_STEP * (1 + i % 17), i % 3 == 0 ? 60000 : 0.05f, &seed);
    zeros_and_tiny_numbers();
    return check_result();
}
