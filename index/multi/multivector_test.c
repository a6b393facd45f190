/* Codes and MaxSim against f32 oracles, and against bytes that nobody wrote. */
#include "index/multi/multivector.h"

#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/fixture.h"

/* About normal: a sum of uniform draws. */
static float draw(unsigned long long *seed) {
    float sum = 0;
    for (size_t i = 0; i < 6; i++)
        sum += check_random_float(seed);
    return sum;
}

static float *draw_vectors(unsigned long long *seed, size_t n, size_t dim) {
    float *vectors = mem_alloc(n * dim, sizeof *vectors);
    for (size_t i = 0; i < n * dim; i++)
        vectors[i] = draw(seed);
    for (size_t i = 0; i < n; i++)
        vec_normalize(vectors + i * dim, dim);
    return vectors;
}

/* Exact f32 MaxSim. */
static double oracle(const float *query, size_t query_n, const float *vectors, size_t n,
                     size_t dim) {
    double sum = 0;
    for (size_t q = 0; q < query_n; q++) {
        double best = -INFINITY;
        for (size_t v = 0; v < n; v++)
            best = fmax(best, (double)vec_dot_f32(query + q * dim, vectors + v * dim, dim));
        sum += best;
    }
    return sum / (double)query_n;
}

struct encoded {
    uint8_t *bytes;
    size_t len;
    struct multi_codes codes;
};

static struct encoded encode(const float *vectors, uint32_t n, uint32_t dim) {
    struct error err;
    struct encoded encoded = {.len = multi_codes_bytes(dim, n)};
    encoded.bytes = mem_alloc(encoded.len, 1);
    multi_encode(vectors, n, dim, encoded.bytes);
    CHECK_OK(multi_codes_open(encoded.bytes, encoded.len, dim, &encoded.codes, &err), err);
    CHECK_EQUAL(encoded.codes.n, n);
    return encoded;
}

static float *decode(const struct multi_codes *codes) {
    float *vectors = mem_alloc((size_t)codes->n * codes->dim, sizeof *vectors);
    for (uint32_t v = 0; v < codes->n; v++)
        multi_decode(codes, v, vectors + (size_t)v * codes->dim);
    return vectors;
}

/* Random directions are the hardest case: nothing in common, so all of it goes through the points,
 * whose distortion (codebook.c) is what the squared cosine lacks. */
static void codes_keep_the_direction(void) {
    const struct {
        uint32_t dim;
        double mean, worst;
    } cases[] = {{40, 0.993, 0.965},
                 {41, 0.993, 0.965},
                 {128, 0.940, 0.900},
                 {384, 0.870, 0.840},
                 {1024, 0.805, 0.780}};
    unsigned long long seed = 23;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum { N = 200 };
        uint32_t dim = cases[i].dim;
        float *vectors = draw_vectors(&seed, N, dim);
        struct encoded encoded = encode(vectors, N, dim);
        float *back = decode(&encoded.codes);
        double sum = 0, worst = 1;
        for (size_t v = 0; v < N; v++) {
            vec_normalize(back + v * dim, dim);
            double cosine = (double)vec_dot_f32(vectors + v * dim, back + v * dim, dim);
            sum += cosine;
            worst = fmin(worst, cosine);
        }
        printf("%u dimensions: mean cosine %.5f, worst %.5f\n", dim, sum / N, worst);
        CHECK(sum / N > cases[i].mean && worst > cases[i].worst);
        free(vectors);
        free(back);
        free(encoded.bytes);
    }
}

/* What vectors share costs nothing: the same scatter around a common direction is held better. */
static void the_mean_is_held_once(void) {
    enum { N = 200, DIM = 384 };
    unsigned long long seed = 25;
    float *vectors = draw_vectors(&seed, N, DIM);
    for (size_t v = 1; v < N; v++)
        for (size_t i = 0; i < DIM; i++)
            vectors[v * DIM + i] = vectors[i] + 0.5f * vectors[v * DIM + i];
    struct encoded encoded = encode(vectors, N, DIM);
    float *back = decode(&encoded.codes);
    double worst = 1;
    for (size_t v = 0; v < N; v++) {
        vec_normalize(vectors + v * DIM, DIM);
        vec_normalize(back + v * DIM, DIM);
        worst = fmin(worst, (double)vec_dot_f32(vectors + v * DIM, back + v * DIM, DIM));
    }
    printf("around a common direction: worst cosine %.5f\n", worst);
    CHECK(worst > 0.95); /* 1/5 of the energy at a squared cosine of 0.765 */
    free(vectors);
    free(back);
    free(encoded.bytes);
}

static void maxsim_is_near_the_oracle(void) {
    const uint32_t dims[] = {1, 3, 40, 77, 128, 384};
    unsigned long long seed = 29;
    struct arena arena = {0};
    struct error err;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (uint32_t n = 1; n < 150; n += 37) {
            uint32_t dim = dims[i];
            size_t query_n = 1 + n % 40;
            float *query = draw_vectors(&seed, query_n, dim);
            float *vectors = draw_vectors(&seed, n, dim);
            struct encoded encoded = encode(vectors, n, dim);
            float *back = decode(&encoded.codes);
            struct multi_query ready;
            CHECK_OK(multi_query_init(&ready, query, query_n, dim, &arena, &err), err);
            float score = multi_maxsim(&ready, &encoded.codes);
            /* The query's int8 costs little beside the codes' 4 bits. */
            CHECK_NEAR(score, oracle(query, query_n, back, n, dim), 0.005);
            CHECK_NEAR(score, oracle(query, query_n, vectors, n, dim), dim < 40 ? 0.15 : 0.06);
            CHECK(score == multi_maxsim(&ready, &encoded.codes)); /* scratch holds nothing over */
            free(query);
            free(vectors);
            free(back);
            free(encoded.bytes);
            arena_reset(&arena);
        }
    arena_done(&arena);
}

static void explanation_adds_up(void) {
    enum { DIM = 48, N = 70, QUERY_N = 21 };
    unsigned long long seed = 31;
    struct arena arena = {0};
    struct error err;
    struct multi_query ready;
    float *query = draw_vectors(&seed, QUERY_N, DIM), *vectors = draw_vectors(&seed, N, DIM);
    memcpy(vectors + 9 * DIM, query + 4 * DIM, DIM * sizeof *query); /* a sure best */
    memcpy(vectors + 8 * DIM, query + 4 * DIM, DIM * sizeof *query); /* and its equal before it */
    struct encoded encoded = encode(vectors, N, DIM);
    float *back = decode(&encoded.codes);
    uint32_t best[QUERY_N];
    float products[QUERY_N], sum = 0;
    CHECK_OK(multi_query_init(&ready, query, QUERY_N, DIM, &arena, &err), err);
    multi_best(&ready, &encoded.codes, best, products);
    for (size_t q = 0; q < QUERY_N; q++) {
        CHECK(best[q] < N);
        CHECK_NEAR(products[q], vec_dot_f32(query + q * DIM, back + best[q] * DIM, DIM), 0.01);
        sum += products[q];
    }
    CHECK_EQUAL(best[4], 8);
    CHECK(sum / QUERY_N == multi_maxsim(&ready, &encoded.codes));
    free(query);
    free(vectors);
    free(back);
    free(encoded.bytes);
    arena_done(&arena);
}

static void odd_vectors_are_taken(void) {
    float vectors[4][5] = {{0}, {1e-30f, -1e-30f}, {6e4f, -6e4f, 1, 0, 0}, {0, 0, 1}};
    float query[5] = {0, 0, 1};
    struct arena arena = {0};
    struct error err;
    struct multi_query ready;
    struct encoded encoded = encode(&vectors[0][0], 4, 5);
    float back[5];
    multi_decode(&encoded.codes, 2, back); /* at the end of f16's reach, beside nothing at all */
    CHECK_NEAR(back[0], 6e4f, 8e3);
    CHECK_NEAR(back[1], -6e4f, 8e3);
    struct encoded zeros = encode(&vectors[0][0], 1, 5);
    multi_decode(&zeros.codes, 0, back);
    CHECK(back[0] == 0 && back[4] == 0);
    CHECK_OK(multi_query_init(&ready, query, 1, 5, &arena, &err), err);
    CHECK(isfinite(multi_maxsim(&ready, &encoded.codes)));
    struct encoded none = encode(&vectors[0][0], 0, 5);
    CHECK(multi_maxsim(&ready, &none.codes) == 0);
    uint32_t best = 7;
    float product = 7;
    multi_best(&ready, &none.codes, &best, &product);
    CHECK(best == 0 && product == 0);
    CHECK_OK(multi_query_init(&ready, NULL, 0, 5, &arena, &err), err);
    CHECK(multi_maxsim(&ready, &encoded.codes) == 0);
    query[1] = NAN;
    CHECK(!multi_query_init(&ready, query, 1, 5, &arena, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(!multi_query_init(&ready, query, MULTI_QUERY_MAX + 1, 5, &arena, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    free(encoded.bytes);
    free(none.bytes);
    free(zeros.bytes);
    arena_done(&arena);
}

/* Whatever the bytes are: an error or a number, and not a byte read beyond them (the copies end
 * where their memory ends, for the sanitizers to see). */
static void hostile_bytes_are_refused(void) {
    enum { DIM = 41, N = 6 };
    unsigned long long seed = 37;
    struct arena arena = {0};
    struct error err;
    struct multi_query ready;
    struct multi_codes codes;
    size_t refused = 0;
    float *vectors = draw_vectors(&seed, N, DIM);
    struct encoded encoded = encode(vectors, N, DIM);
    CHECK_OK(multi_query_init(&ready, vectors, N, DIM, &arena, &err), err);
    for (size_t len = 0; len < encoded.len; len++) {
        uint8_t *part = mem_alloc(len, 1);
        memcpy(part, encoded.bytes, len);
        CHECK(!multi_codes_open(part, len, DIM, &codes, &err) && err.code == ERROR_CORRUPT);
        free(part);
    }
    CHECK(!multi_codes_open(encoded.bytes, encoded.len, DIM + 1, &codes, &err));
    for (size_t round = 0; round < 5000; round++) {
        uint8_t *damaged = mem_alloc(encoded.len, 1);
        memcpy(damaged, encoded.bytes, encoded.len);
        for (size_t i = check_random(&seed) % 8; i < 8; i++)
            damaged[check_random(&seed) % (round % 2 ? 20 : encoded.len)] ^=
                (uint8_t)(1u << check_random(&seed) % 8);
        if (!multi_codes_open(damaged, encoded.len, DIM, &codes, &err))
            refused++;
        else
            CHECK(isfinite(multi_maxsim(&ready, &codes)));
        free(damaged);
    }
    CHECK(refused > 1000);
    free(vectors);
    free(encoded.bytes);
    arena_done(&arena);
}

/* ---- through a folder ---- */

enum { DOCUMENTS = 60, QUERY_VECTORS = 3 };

struct stored {
    struct index *index;
    struct writer *writer;
    struct snapshot *snapshot;
    struct fixture_record records[DOCUMENTS];
    float *query;
    char folder[64];
};

/* Every seventh document is deleted again. */
static void stored_open(struct stored *stored) {
    struct index_settings settings = {.dense_dim = FIXTURE_DIM, .multi_dim = FIXTURE_DIM};
    struct error err;
    unsigned long long seed = 41;
    bool found;
    fixture_folder(stored->folder);
    CHECK_OK(index_create(stored->folder, &settings, &stored->index, &err), err);
    CHECK_OK(writer_open(stored->index, &stored->writer, &err), err);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        fixture_record(&seed, INDEX_LEXICAL_NONE, 1, i, &stored->records[i]);
        struct record record = fixture_view(&stored->records[i]);
        CHECK_OK(writer_put(stored->writer, &record, &err), err);
    }
    CHECK_OK(writer_commit(stored->writer, &err), err);
    for (uint32_t i = 0; i < DOCUMENTS; i += 7) {
        const char *key = stored->records[i].key;
        CHECK_OK(writer_delete(stored->writer, key, strlen(key), &found, &err), err);
    }
    CHECK_OK(writer_commit(stored->writer, &err), err);
    CHECK_OK(snapshot_open(stored->index, &stored->snapshot, &err), err);
    stored->query = draw_vectors(&seed, QUERY_VECTORS, FIXTURE_DIM);
}

static void stored_close(struct stored *stored) {
    snapshot_close(stored->snapshot);
    writer_close(stored->writer);
    index_close(stored->index);
    fixture_remove(stored->folder);
    free(stored->query);
}

/* multi_score and multi_explain against the vectors that went in. */
static void snapshots_score_and_explain(struct stored *stored) {
    struct arena arena = {0};
    struct error err;
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        const struct fixture_record *record = &stored->records[i];
        float score, products[QUERY_VECTORS];
        uint32_t best[QUERY_VECTORS];
        if (i % 7 == 0)
            continue;
        CHECK_OK(multi_score(stored->snapshot, stored->query, QUERY_VECTORS, &i, 1, &arena, &score,
                             &err),
                 err);
        double expected = record->multi_n ? oracle(stored->query, QUERY_VECTORS, record->multi,
                                                   record->multi_n, FIXTURE_DIM)
                                          : 0;
        CHECK_NEAR(score, expected, 0.15); /* long rows, few dimensions */
        CHECK_OK(multi_explain(stored->snapshot, stored->query, QUERY_VECTORS, i, 0, &arena, best,
                               products, &err),
                 err);
        CHECK_NEAR((products[0] + products[1] + products[2]) / 3, score, 1e-6);
    }
    arena_done(&arena);
}

/* The k best by multi_score of one document after the other. */
static struct topk search_oracle(const struct stored *stored, size_t k,
                                 const struct docid_set *allowed, struct arena *arena) {
    struct topk topk;
    struct error err;
    topk_init(&topk, k, arena);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        float score;
        if (i % 7 == 0 || stored->records[i].multi_n == 0 ||
            (allowed && !docid_set_has(allowed, i)))
            continue;
        CHECK_OK(
            multi_score(stored->snapshot, stored->query, QUERY_VECTORS, &i, 1, arena, &score, &err),
            err);
        topk_push(&topk, score, i);
    }
    topk_sort(&topk);
    return topk;
}

static void searches_find_the_best(struct stored *stored) {
    const size_t ks[] = {0, 1, 10, DOCUMENTS, 100000};
    struct arena arena = {0};
    struct error err;
    unsigned long long seed = 43;
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (size_t percent = 0; percent <= 100; percent += 25) {
            struct docid_set set = docid_set_new(DOCUMENTS, &arena);
            const struct docid_set *allowed = percent == 100 ? NULL : &set;
            struct scored_list found;
            for (uint32_t d = 0; d < DOCUMENTS; d++) /* a filter allows live ones only */
                if (d % 7 != 0 && check_random(&seed) % 100 < percent)
                    docid_set_add(&set, d);
            CHECK_OK(multi_search(stored->snapshot, stored->query, QUERY_VECTORS, ks[i], allowed,
                                  &arena, &found, &err),
                     err);
            struct topk wanted = search_oracle(stored, ks[i], allowed, &arena);
            CHECK_EQUAL(found.n, wanted.n);
            for (size_t j = 0; j < found.n && j < wanted.n; j++)
                CHECK(found.entries[j].docid == wanted.heap[j].docid &&
                      found.entries[j].score == wanted.heap[j].score);
            arena_reset(&arena);
        }
    stored->query[1] = NAN;
    struct scored_list untouched = {.n = 7};
    CHECK(!multi_search(stored->snapshot, stored->query, QUERY_VECTORS, 3, NULL, &arena, &untouched,
                        &err));
    CHECK(err.code == ERROR_INVALID && untouched.n == 7);
    arena_done(&arena);
}

int main(void) {
    codes_keep_the_direction();
    the_mean_is_held_once();
    maxsim_is_near_the_oracle();
    explanation_adds_up();
    odd_vectors_are_taken();
    hostile_bytes_are_refused();
    struct stored stored;
    stored_open(&stored);
    snapshots_score_and_explain(&stored);
    searches_find_the_best(&stored);
    stored_close(&stored);
    return check_result();
}
