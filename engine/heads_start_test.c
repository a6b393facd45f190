/* Planted directions and a planted line are found again; threads do not show. */
#include <math.h>
#include <string.h>

#include "engine/base/pool.h"
#include "engine/base/random.h"
#include "engine/heads_start.h"
#include "tests/check.h"

enum { WIDTH = 40, DIM = 6, STATES = 3000 };

static float states[STATES][WIDTH], targets[STATES];
static double planted[DIM][WIDTH]; /* orthonormal, the largest first */

static void plant(void) {
    uint64_t chance = 9;
    for (size_t i = 0; i < DIM; i++) {
        double length = 0;
        for (size_t c = 0; c < WIDTH; c++)
            planted[i][c] = random_normal(&chance);
        for (size_t j = 0; j < i; j++) {
            double along = 0;
            for (size_t c = 0; c < WIDTH; c++)
                along += planted[i][c] * planted[j][c];
            for (size_t c = 0; c < WIDTH; c++)
                planted[i][c] -= along * planted[j][c];
        }
        for (size_t c = 0; c < WIDTH; c++)
            length += planted[i][c] * planted[i][c];
        for (size_t c = 0; c < WIDTH; c++)
            planted[i][c] /= sqrt(length);
    }
}

/* Sums of the planted directions, each half as large as the one before, and a little noise; of
 * very different lengths, which must not matter. */
static void make_states(double noise) {
    uint64_t chance = 10;
    for (size_t s = 0; s < STATES; s++) {
        double sum[WIDTH], size = 8, length = exp(2 * random_normal(&chance));
        for (size_t c = 0; c < WIDTH; c++)
            sum[c] = noise * random_normal(&chance);
        for (size_t i = 0; i < DIM; i++, size /= 2) {
            double part = size * random_normal(&chance);
            for (size_t c = 0; c < WIDTH; c++)
                sum[c] += part * planted[i][c];
        }
        for (size_t c = 0; c < WIDTH; c++)
            states[s][c] = (float)(length * sum[c]);
    }
}

static double along(const float *found, size_t i) {
    double sum = 0;
    for (size_t c = 0; c < WIDTH; c++)
        sum += (double)found[c] * planted[i][c];
    return sum;
}

static void directions_are_found(struct pool *pool) {
    float found[DIM][WIDTH], alone[DIM][WIDTH];
    make_states(.001);
    double kept = heads_start_directions(states[0], STATES, WIDTH, DIM, pool, found[0]);
    CHECK(kept > .999 && kept <= 1 + 1e-9);
    for (size_t i = 0; i < DIM; i++) {
        double length = 0, inside = 0;
        for (size_t c = 0; c < WIDTH; c++)
            length += (double)found[i][c] * (double)found[i][c];
        for (size_t j = 0; j < DIM; j++)
            inside += along(found[i], j) * along(found[i], j);
        CHECK_NEAR(length, 1, 1e-6);
        CHECK_NEAR(inside, 1, 1e-4); /* the planted space holds it */
    }
    CHECK(fabs(along(found[0], 0)) > .99 && fabs(along(found[1], 1)) > .99);
    heads_start_directions(states[0], STATES, WIDTH, DIM, NULL, alone[0]);
    CHECK(memcmp(found, alone, sizeof found) == 0);
}

/* All directions there are, of states that do not fill them. */
static void empty_directions_are_harmless(void) {
    float found[WIDTH][WIDTH];
    make_states(0);
    double kept = heads_start_directions(states[0], STATES, WIDTH, WIDTH, NULL, found[0]);
    CHECK_NEAR(kept, 1, 1e-6);
    for (size_t i = 0; i < WIDTH; i++)
        for (size_t j = 0; j <= i; j++) {
            double product = 0;
            for (size_t c = 0; c < WIDTH; c++)
                product += (double)found[i][c] * (double)found[j][c];
            CHECK_NEAR(product, i == j, 1e-5);
        }
}

static void line_is_found(struct pool *pool) {
    float weight[WIDTH], bias, alone[WIDTH], alone_bias;
    double line[WIDTH];
    uint64_t chance = 11;
    for (size_t c = 0; c < WIDTH; c++)
        line[c] = random_normal(&chance);
    for (size_t s = 0; s < STATES; s++) {
        double target = 2.5;
        for (size_t c = 0; c < WIDTH; c++) {
            states[s][c] = (float)(3 + random_normal(&chance)); /* far from the origin */
            target += line[c] * (double)states[s][c];
        }
        targets[s] = (float)target;
    }
    double r2 = heads_start_ridge(states[0], targets, STATES, WIDTH, 1e-9, pool, weight, &bias);
    CHECK_NEAR(r2, 1, 1e-6);
    CHECK_NEAR(bias, 2.5, 1e-3);
    for (size_t c = 0; c < WIDTH; c++)
        CHECK_NEAR(weight[c], line[c], 1e-4);
    /* With a ridge as large as the variance, half of the slope is left, within what chance makes of
     * the covariance. */
    heads_start_ridge(states[0], targets, STATES, WIDTH, 1, NULL, alone, &alone_bias);
    double scaled = 0, square = 0;
    for (size_t c = 0; c < WIDTH; c++) {
        scaled += (double)alone[c] * line[c];
        square += line[c] * line[c];
    }
    CHECK_NEAR(scaled / square, .5, .03);
    heads_start_ridge(states[0], targets, STATES, WIDTH, 1e-9, NULL, alone, &alone_bias);
    CHECK(memcmp(alone, weight, sizeof weight) == 0 && alone_bias == bias);
}

int main(void) {
    struct pool *pool = pool_open(3);
    plant();
    directions_are_found(pool);
    empty_directions_are_harmless();
    line_is_found(pool);
    pool_close(pool);
    return check_result();
}
