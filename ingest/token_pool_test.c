/* Pooled vectors are the means of their runs at length 1; so are a rest, one token and none. */
#include "ingest/token_pool.h"

#include <math.h>

#include "engine/base/vec.h"
#include "tests/check.h"

enum { DIM = 37, TOKENS = 23, FACTOR_MAX = 8 };

static void random_vectors(unsigned long long *seed, float *out) {
    for (size_t v = 0; v < TOKENS; v++) {
        for (size_t i = 0; i < DIM; i++)
            out[v * DIM + i] = check_random_float(seed);
        vec_normalize(out + v * DIM, DIM);
    }
}

static void is_mean(const float *vectors, uint32_t n, const float *pooled) {
    double mean[DIM] = {0}, square = 0;
    for (size_t v = 0; v < n; v++)
        for (size_t i = 0; i < DIM; i++)
            mean[i] += (double)vectors[v * DIM + i] / n;
    for (size_t i = 0; i < DIM; i++)
        square += mean[i] * mean[i];
    for (size_t i = 0; i < DIM; i++)
        CHECK_NEAR(pooled[i], mean[i] / sqrt(square), 1e-5);
}

static void means_of_runs(void) {
    float vectors[TOKENS * DIM], pooled[TOKENS * DIM + 1];
    unsigned long long seed = 5;
    random_vectors(&seed, vectors);
    for (uint32_t factor = 1; factor <= FACTOR_MAX; factor++)
        for (uint32_t n = 0; n <= TOKENS; n++) {
            uint32_t expected = (n + factor - 1) / factor;
            pooled[expected * DIM] = 7;
            CHECK_EQUAL(token_pool(vectors, n, DIM, factor, pooled), expected);
            CHECK(pooled[expected * DIM] == 7);
            for (uint32_t p = 0; p < expected; p++) {
                uint32_t run = n - p * factor < factor ? n - p * factor : factor;
                is_mean(vectors + p * factor * DIM, run, pooled + p * DIM);
            }
        }
}

static void opposites_keep_the_first(void) {
    const float vectors[] = {0.6f, 0.8f, -0.6f, -0.8f};
    float pooled[2];
    CHECK_EQUAL(token_pool(vectors, 2, 2, 2, pooled), 1);
    CHECK_NEAR(pooled[0], 0.6, 1e-6);
    CHECK_NEAR(pooled[1], 0.8, 1e-6);
}

int main(void) {
    means_of_runs();
    opposites_keep_the_first();
    return check_result();
}
