/* The parts of dense search alone: rotation, guesses and their doubt, checksums piece by piece. */
#include "index/dense/lists.h"

#include "engine/base/mem.h"
#include "engine/base/vec_s8.h"
#include "index/dense/checked_map.h"
#include "index/dense/rotate.h"
#include "tests/check.h"

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Products stay, and one dimension alone is spread over all. */
static void rotation_keeps_products(void) {
    static const size_t dims[] = {64, 128, 192, 320, 384, 768, 1024, 1536};
    unsigned long long seed = 2;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        size_t n = dims[d];
        float *a = mem_alloc(n, sizeof *a), *b = mem_alloc(n, sizeof *b);
        for (size_t i = 0; i < n; i++) {
            a[i] = check_random_float(&seed);
            b[i] = check_random_float(&seed);
        }
        double before = dot(a, b, n), size = sqrt(dot(a, a, n) * dot(b, b, n));
        dense_rotate(a, n);
        dense_rotate(b, n);
        CHECK_NEAR(dot(a, b, n), before, 2e-6 * size);
        memset(a, 0, n * sizeof *a);
        a[n / 3] = 1;
        dense_rotate(a, n);
        float most = 0;
        for (size_t i = 0; i < n; i++)
            most = fabsf(a[i]) > most ? fabsf(a[i]) : most;
        CHECK(most <= (n < 300 ? 0.6f : 0.35f));
        free(a);
        free(b);
    }
    CHECK_EQUAL(dense_rotated_dim(1), 64);
    CHECK_EQUAL(dense_rotated_dim(384), 384);
    CHECK_EQUAL(dense_rotated_dim(1000), 1024);
}

/* Over many rows, what is guessed is right in the mean and as far off as it says. */
static void guesses_know_their_doubt(size_t dim, float residue) {
    enum { ROWS = 2000 };
    unsigned long long seed = 4;
    float *query = mem_alloc(dim, sizeof *query), *centre = mem_alloc(dim, sizeof *centre);
    float *row = mem_alloc(dim, sizeof *row);
    uint8_t *signs = mem_alloc(dim / 8, 1), *bytes = mem_alloc(dim, 1);
    struct vec_s8_query whole = vec_s8_query_new(dim);
    double bias = 0, square = 0;
    size_t far = 0;
    for (size_t i = 0; i < dim; i++)
        centre[i] = check_random_float(&seed);
    for (size_t r = 0; r < ROWS; r++) {
        struct dense_guess guess;
        struct dense_bytes scale;
        float sum;
        for (size_t i = 0; i < dim; i++) {
            row[i] = centre[i] + residue * check_random_float(&seed);
            query[i] = centre[i] + check_random_float(&seed);
        }
        vec_s8_query_set(&whole, query);
        dense_encode(row, centre, dim, &guess, &scale, signs, bytes);
        vec_s8_signs(&whole, signs, (uint32_t[]){0}, 1, &sum);
        double guessed = dot(query, centre, dim) + (double)guess.constant +
                         (double)guess.slope * (double)whole.byte_scale * (double)sum;
        double square_distance =
            dot(query, query, dim) - 2 * dot(query, centre, dim) + dot(centre, centre, dim);
        double off =
            (guessed - dot(query, row, dim)) / ((double)guess.doubt * sqrt(square_distance));
        bias += off;
        square += off * off;
        far += fabs(off) > 3;
    }
    CHECK_NEAR(bias / ROWS, 0, 0.1);
    CHECK_NEAR(sqrt(square / ROWS), 1, 0.1);
    CHECK(far < ROWS / 100);
    vec_s8_query_done(&whole);
    free(query);
    free(centre);
    free(row);
    free(signs);
    free(bytes);
}

/* A row at its centre has no residue: the guess is the product with the centre. */
static void a_row_at_its_centre(void) {
    float row[64], signs_sum;
    uint8_t signs[8], bytes[64];
    struct dense_guess guess;
    struct dense_bytes scale;
    unsigned long long seed = 5;
    for (size_t i = 0; i < 64; i++)
        row[i] = check_random_float(&seed);
    dense_encode(row, row, 64, &guess, &scale, signs, bytes);
    CHECK(guess.constant == 0 && guess.slope == 0 && guess.doubt == 0);
    struct vec_s8_query query = vec_s8_query_new(64);
    vec_s8_query_set(&query, row);
    vec_s8_signs(&query, signs, (uint32_t[]){0}, 1, &signs_sum);
    CHECK(isfinite(signs_sum));
    vec_s8_query_done(&query);
}

static void pieces_are_checked_when_touched(void) {
    size_t len = 3 * CHECKED_PIECE + 100;
    uint8_t *body = mem_alloc(len, 1), *sums = mem_alloc(checked_pieces_n(len), 8);
    unsigned long long seed = 6;
    struct checked_map map;
    for (size_t i = 0; i < len; i++)
        body[i] = (uint8_t)check_random(&seed);
    CHECK_EQUAL(checked_pieces_n(len), 4);
    checked_map_sum(body, len, sums);
    checked_map_init(&map, body, len, sums);
    CHECK(checked_map_touch_all(&map));
    checked_map_done(&map);
    body[CHECKED_PIECE + 7] ^= 16;
    body[len - 1] ^= 1;
    checked_map_init(&map, body, len, sums);
    CHECK(checked_map_touch(&map, body, CHECKED_PIECE));
    CHECK(checked_map_touch(&map, body + 2 * CHECKED_PIECE, CHECKED_PIECE));
    CHECK(checked_map_touch(&map, body + CHECKED_PIECE, 0));
    CHECK(!checked_map_touch(&map, body + CHECKED_PIECE - 1, 2));
    CHECK(!checked_map_touch(&map, body + CHECKED_PIECE, 1)); /* known by now */
    CHECK(!checked_map_touch(&map, body + len - 2, 1));
    CHECK(!checked_map_touch_all(&map));
    checked_map_done(&map);
    checked_map_done(&map);
    free(body);
    free(sums);
}

int main(void) {
    rotation_keeps_products();
    guesses_know_their_doubt(384, 0.5f);
    guesses_know_their_doubt(1024, 1);
    guesses_know_their_doubt(64, 0.1f);
    a_row_at_its_centre();
    pieces_are_checked_when_touched();
    return check_result();
}
