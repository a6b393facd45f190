/* multi_fuzz - codes of token vectors: whatever they hold, they are refused or compared in bounds.
 *
 * An input's bytes are the shape and the numbers of a document's vectors and of a query. What
 * multi_encode writes must open; then bytes of it become others or are cut off, and what still
 * opens is decoded, scored and explained: each product must be near that of the query with the
 * decoded vector, the score must be the products' mean, and a twin of the query must say the same
 * to the bit. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/multi/multivector.h"
#include "tests/fuzz/fuzz.h"

enum { VECTORS_MAX = 6, QUERY_VECTORS_MAX = 17, DIM_MAX = 700, PATCHES_MAX = 6 };

static float draw_number(struct fuzz_input *input, uint32_t kind) {
    uint32_t bits = fuzz_byte(input);
    if (kind % 4 != 3)
        return (float)(int8_t)bits / 64;
    bits = bits << 23 | fuzz_byte(input) << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return fabsf(number) <= 65504 ? number : 1;
}

static double length_of(const float *vector, size_t dim) {
    double square = 0;
    for (size_t i = 0; i < dim; i++)
        square += (double)vector[i] * (double)vector[i];
    return sqrt(square);
}

/* A query's numbers become int8: each is off by 1/254 of the largest, which is no larger than the
 * vector is long. The row and the mean are added up apart: their lengths count, not their sum's. */
static void check_products(const struct multi_codes *codes, const float *query, size_t query_n,
                           const uint32_t *best, const float *products) {
    static float row[DIM_MAX];
    size_t dim = codes->dim;
    for (size_t q = 0; q < query_n; q++) {
        const float *vector = query + q * dim;
        double product = 0;
        assert(codes->n == 0 || best[q] < codes->n);
        if (codes->n == 0)
            continue;
        multi_decode(codes, best[q], row);
        for (size_t i = 0; i < dim; i++)
            product += (double)vector[i] * (double)row[i];
        if (!isfinite(product))
            continue;
        double scale = (double)codes->mean_scale + length_of(row, dim);
        double slack = 0.06 * length_of(vector, dim) * scale * sqrt((double)dim) * 5 + 1e-6;
        assert(fabs(product - (double)products[q]) <= slack);
    }
}

static void use(const uint8_t *bytes, size_t len, uint32_t dim, const float *vectors,
                size_t query_n) {
    struct arena arena = {0};
    struct multi_codes codes;
    struct multi_query query;
    struct error err;
    uint32_t best[QUERY_VECTORS_MAX];
    float products[QUERY_VECTORS_MAX], sum = 0;
    if (!multi_codes_open(bytes, len, dim, &codes, &err)) {
        assert(err.code == ERROR_CORRUPT && err.message[0]);
        return;
    }
    bool ok = multi_query_init(&query, vectors, query_n, dim, &arena, &err);
    assert(ok);
    struct multi_query twin = multi_query_twin(&query, &arena);
    float score = multi_maxsim(&query, &codes), same = multi_maxsim(&twin, &codes);
    multi_best(&query, &codes, best, products);
    for (size_t q = 0; q < query_n; q++)
        sum += products[q];
    sum = query_n && codes.n ? sum / (float)query_n : 0;
    assert(memcmp(&score, &same, sizeof score) == 0);
    assert(score == sum || (isnan(score) && isnan(sum)));
    check_products(&codes, vectors, query_n, best, products);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static float vectors[VECTORS_MAX * DIM_MAX], query[QUERY_VECTORS_MAX * DIM_MAX];
    struct fuzz_input input = {data, data + size};
    uint32_t kind = fuzz_byte(&input), dim = 1 + fuzz_byte(&input);
    uint32_t n = fuzz_byte(&input) % (VECTORS_MAX + 1);
    uint32_t query_n = fuzz_byte(&input) % (QUERY_VECTORS_MAX + 1);
    uint32_t patches = fuzz_byte(&input) % PATCHES_MAX, drawn = 1 + fuzz_byte(&input) % 32;
    dim = kind & 8 ? dim % 16 + 1 : kind & 16 ? dim * 2 + 100 : dim;
    /* So many numbers are drawn and used again: inputs stay short. */
    float numbers[32];
    for (size_t i = 0; i < drawn; i++)
        numbers[i] = draw_number(&input, kind);
    for (size_t i = 0; i < (size_t)n * dim; i++)
        vectors[i] = numbers[i * 7 % drawn];
    for (size_t i = 0; i < (size_t)query_n * dim; i++)
        query[i] = numbers[(i * 5 + i / dim) % drawn];
    size_t len = multi_codes_bytes(dim, n);
    uint8_t *whole = malloc(len);
    multi_encode(vectors, n, dim, whole);
    struct multi_codes codes;
    struct error err;
    bool ok = multi_codes_open(whole, len, dim, &codes, &err);
    assert(ok && codes.n == n && codes.dim == dim);
    use(whole, len, dim, query, query_n);
    fuzz_damage(&input, patches, whole, len);
    size_t cut = kind & 32 ? fuzz_byte(&input) % (len + 1) : 0;
    uint8_t *damaged = fuzz_copy(whole, len - cut);
    use(damaged, len - cut, dim, query, query_n);
    free(damaged);
    free(whole);
    return 0;
}
