/* The rotation, the points, and what a coded vector keeps, against arithmetic in f64. */
#include "index/multi/codebook.h"

#include "engine/base/mem.h"
#include "tests/check.h"

/* About normal, deviation 1: a sum of twelve uniform draws. */
static float draw_normal(unsigned long long *seed) {
    float sum = 0;
    for (size_t i = 0; i < 12; i++)
        sum += (check_random_float(seed)); /* -1 .. 1: variance 1/3 each */
    return sum / 2;
}

static double product(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void rotation_keeps_products(void) {
    const size_t dims[] = {1, 2, 3, 5, 40, 77, 128, 384, 1000, 1024, CODEBOOK_DIM_MAX};
    unsigned long long seed = 3;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        size_t dim = dims[i];
        float *a = mem_alloc(dim, sizeof *a), *b = mem_alloc(dim, sizeof *b);
        float *was = mem_alloc(dim, sizeof *was);
        for (size_t d = 0; d < dim; d++) {
            was[d] = a[d] = draw_normal(&seed);
            b[d] = draw_normal(&seed);
        }
        double before = product(a, b, dim), square = product(a, a, dim);
        codebook_rotate(a, dim);
        codebook_rotate(b, dim);
        CHECK_NEAR(product(a, a, dim), square, 1e-5 * square);
        CHECK_NEAR(product(a, b, dim), before, 1e-5 * square);
        codebook_unrotate(a, dim);
        for (size_t d = 0; d < dim; d++)
            CHECK_NEAR(a[d], was[d], 1e-5);
        free(a);
        free(b);
        free(was);
    }
}

/* One number alone becomes many small ones. */
static void rotation_spreads(void) {
    const size_t dims[] = {128, 384, 1000, 1024};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (size_t at = 0; at < dims[i]; at += 37) {
            float vector[1024] = {0}, largest = 0;
            vector[at] = 1;
            codebook_rotate(vector, dims[i]);
            for (size_t d = 0; d < dims[i]; d++)
                largest = fmaxf(largest, fabsf(vector[d]));
            CHECK(largest < 8 / sqrtf((float)dims[i]));
        }
}

/* Each code is the nearest point, by trying all, and normal numbers lose what codebook.c says. */
static void codes_are_the_nearest(void) {
    const double distortions[] = {0.0115, 0.1082, 0.2349, 0.3419};
    enum { DIM = 1200 * 4, VECTORS = 20 };
    unsigned long long seed = 5;
    static float vector[CODEBOOK_ROOM], coded[DIM];
    static uint8_t row[DIM];
    for (size_t pack = 1; pack <= MAXSIM_PACK_MAX; pack++) {
        const uint8_t(*points)[MAXSIM_POINTS] = codebook_points(pack);
        size_t row_bytes = codebook_row_bytes(DIM, pack), worse_n = 0;
        double lost = 0;
        for (size_t v = 0; v < VECTORS; v++) {
            for (size_t d = 0; d < DIM; d++)
                vector[d] = draw_normal(&seed);
            float scale = codebook_encode(vector, DIM, pack, CODEBOOK_NEAREST, row);
            codebook_decode(row, DIM, pack, scale, coded);
            lost += (1 - product(coded, vector, DIM) / product(vector, vector, DIM)) / VECTORS;
            /* The scale that codes are found at is another than the one that is kept: compare at
             * that of decoding, where ties may fall otherwise now and then. */
            for (size_t c = 0; c < 2 * row_bytes; c++) {
                double own = 0, best = INFINITY;
                for (size_t p = 0; p < pack; p++)
                    own += pow(
                        (double)(coded[p * 2 * row_bytes + c] - vector[p * 2 * row_bytes + c]), 2);
                for (size_t i = 0; i < MAXSIM_POINTS; i++) {
                    double distance = 0;
                    for (size_t p = 0; p < pack; p++)
                        distance += pow((double)(scale * (float)(points[p][i] - MAXSIM_LEVEL_MAX) -
                                                 vector[p * 2 * row_bytes + c]),
                                        2);
                    best = fmin(best, distance);
                }
                worse_n += own > best * 1.1 + 1e-3;
            }
        }
        printf("pack %zu: %.4f of the energy lost, %zu of %zu codes not the nearest\n", pack, lost,
               worse_n, (size_t)VECTORS * 2 * row_bytes);
        CHECK_NEAR(lost, distortions[pack - 1], 0.03 * distortions[pack - 1] + 0.001);
        CHECK(worse_n < (size_t)VECTORS * 2 * row_bytes / 50);
        for (size_t p = 0; p < pack; p++)
            for (size_t i = 0; i < MAXSIM_POINTS; i++)
                CHECK(points[p][i] <= 2 * MAXSIM_LEVEL_MAX);
    }
}

/* An unbiased scale gives the vector's product with itself back. */
static void unbiased_products(void) {
    unsigned long long seed = 7;
    static float vector[CODEBOOK_ROOM];
    float coded[384];
    uint8_t row[384];
    for (size_t pack = 1; pack <= MAXSIM_PACK_MAX; pack++)
        for (size_t round = 0; round < 50; round++) {
            for (size_t d = 0; d < 384; d++)
                vector[d] = draw_normal(&seed);
            float scale = codebook_encode(vector, 384, pack, CODEBOOK_UNBIASED, row);
            codebook_decode(row, 384, pack, scale, coded);
            double square = product(vector, vector, 384);
            CHECK_NEAR(product(vector, coded, 384), square, 1e-3 * square); /* f16's rounding */
        }
    memset(vector, 0, sizeof vector);
    for (size_t pack = 1; pack <= MAXSIM_PACK_MAX; pack++)
        for (size_t dim = 1; dim <= 9; dim++) {
            memset(row, 0xff, sizeof row);
            CHECK(codebook_encode(vector, dim, pack, CODEBOOK_UNBIASED, row) == 0);
            CHECK(row[codebook_row_bytes(dim, pack)] == 0xff); /* and not a byte too much */
            vector[0] = 1e-30f;
            CHECK(isfinite(codebook_encode(vector, dim, pack, CODEBOOK_UNBIASED, row)));
            vector[0] = 0;
        }
}

int main(void) {
    rotation_keeps_products();
    rotation_spreads();
    codes_are_the_nearest();
    unbiased_products();
    return check_result();
}
