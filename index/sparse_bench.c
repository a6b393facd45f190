/* Insert rate and sparse search time on invented documents with the statistics of BGE-M3's lexical
 * weights: Zipf-Mandelbrot terms over 250,002 ids, some 120 a document, topics, lognormal weights,
 * queries out of a document's heavier terms. One thread; a JSON line a case.
 *
 *     sparse_bench [documents] [batch] [learned|bm25] [documents rewritten at the end] */
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "index/fixture.h"

enum {
    VOCABULARY = 250002,
    TOPIC_TERMS = 200,
    OWN = 70,    /* draws from the document's topic */
    COMMON = 80, /* draws from the whole vocabulary */
    QUERIES = 500,
};

struct corpus {
    double *cdf;          /* [VOCABULARY] of ranks */
    uint32_t *id_of_rank; /* [VOCABULARY] a permutation */
    uint32_t *topics;     /* [topics_n, TOPIC_TERMS] ranks */
    uint32_t topics_n;
    enum index_lexical lexical;
};

struct vector {
    uint32_t ids[OWN + COMMON];
    float weights[OWN + COMMON];
    size_t n;
    float length;
};

static double uniform(unsigned long long *seed) {
    return (double)(check_random(seed) >> 11) / 9007199254740992.0;
}

static double lognormal(unsigned long long *seed, double mean, double sigma) {
    double u = 1 - uniform(seed), v = uniform(seed);
    return exp(mean + sigma * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static uint32_t draw_rank(const struct corpus *corpus, unsigned long long *seed) {
    double u = uniform(seed);
    uint32_t low = 0, high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (corpus->cdf[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void corpus_init(struct corpus *corpus, uint32_t documents_n, enum index_lexical lexical) {
    unsigned long long seed = 9;
    double sum = 0;
    corpus->lexical = lexical;
    corpus->cdf = mem_alloc(VOCABULARY, sizeof *corpus->cdf);
    corpus->id_of_rank = mem_alloc(VOCABULARY, sizeof *corpus->id_of_rank);
    for (uint32_t r = 0; r < VOCABULARY; r++) {
        corpus->cdf[r] = sum += 1.0 / (r + 51.0);
        uint32_t other = (uint32_t)(check_random(&seed) % (r + 1));
        corpus->id_of_rank[r] = corpus->id_of_rank[other];
        corpus->id_of_rank[other] = r;
    }
    for (uint32_t r = 0; r < VOCABULARY; r++)
        corpus->cdf[r] /= sum;
    corpus->topics_n = documents_n / 500 > 16 ? documents_n / 500 : 16;
    corpus->topics = mem_alloc((size_t)corpus->topics_n * TOPIC_TERMS, sizeof *corpus->topics);
    for (size_t i = 0; i < (size_t)corpus->topics_n * TOPIC_TERMS; i++)
        corpus->topics[i] = draw_rank(corpus, &seed);
}

static void corpus_done(struct corpus *corpus) {
    free(corpus->cdf);
    free(corpus->id_of_rank);
    free(corpus->topics);
}

static int by_id(const void *a, const void *b) {
    return fixture_by_id(a, b);
}

/* Document number d, the same at every call. */
static void make_document(const struct corpus *corpus, uint32_t d, struct vector *out) {
    unsigned long long seed = 0x9e3779b97f4a7c15ULL * (d + 1);
    struct {
        uint32_t id, rank;
    } draws[OWN + COMMON];
    const uint32_t *topic = corpus->topics + check_random(&seed) % corpus->topics_n * TOPIC_TERMS;
    for (size_t i = 0; i < OWN + COMMON; i++) {
        double u = uniform(&seed);
        uint32_t rank = i < OWN ? topic[(size_t)(TOPIC_TERMS * u * u)] : draw_rank(corpus, &seed);
        draws[i].rank = rank;
        draws[i].id = corpus->id_of_rank[rank];
    }
    qsort(draws, OWN + COMMON, sizeof *draws, by_id);
    out->n = 0;
    out->length = OWN + COMMON;
    for (size_t i = 0; i < OWN + COMMON; i++) {
        double strength = log(draws[i].rank + 1.0) / log(5000);
        if (out->n > 0 && out->ids[out->n - 1] == draws[i].id) {
            out->weights[out->n - 1] += corpus->lexical == INDEX_LEXICAL_BM25;
            continue;
        }
        out->ids[out->n] = draws[i].id;
        out->weights[out->n++] =
            corpus->lexical == INDEX_LEXICAL_BM25
                ? 1
                : (float)(lognormal(&seed, -0.6, 0.7) * (0.4 + 0.6 * fmin(1, strength)));
    }
}

/* 6 to 18 of a document's terms, the heavier the likelier, and two strangers. */
static void make_query(const struct corpus *corpus, uint32_t documents_n, unsigned long long *seed,
                       struct vector *out) {
    struct vector from;
    make_document(corpus, (uint32_t)(check_random(seed) % documents_n), &from);
    size_t size = 6 + check_random(seed) % 13;
    double sum = 0;
    for (size_t i = 0; i < from.n; i++)
        sum += (double)from.weights[i] * (double)from.weights[i];
    uint32_t ids[32];
    size_t n = 0;
    while (n < size) {
        double at = uniform(seed) * sum;
        size_t i = 0;
        while (i + 1 < from.n && (at -= (double)from.weights[i] * (double)from.weights[i]) > 0)
            i++;
        ids[n++] = from.ids[i]; /* now and then one twice: dropped below */
    }
    ids[n++] = corpus->id_of_rank[draw_rank(corpus, seed)];
    ids[n++] = corpus->id_of_rank[draw_rank(corpus, seed)];
    qsort(ids, n, sizeof *ids, fixture_by_id);
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (out->n > 0 && out->ids[out->n - 1] == ids[i])
            continue;
        out->ids[out->n] = ids[i];
        out->weights[out->n++] =
            corpus->lexical == INDEX_LEXICAL_BM25 ? 1 : (float)lognormal(seed, -0.3, 0.5);
    }
}

static void insert(struct index *index, const struct corpus *corpus, uint32_t begin, uint32_t end,
                   uint32_t batch) {
    struct error err;
    struct writer *writer;
    double put_s = 0, commit_s = 0, commit_s_max = 0;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t d = begin; d < end; d++) {
        struct vector vector;
        char key[16];
        make_document(corpus, d, &vector);
        snprintf(key, sizeof key, "%u", d);
        struct record record = {.key = key,
                                .key_len = strlen(key),
                                .sparse = {vector.ids, vector.weights, vector.n},
                                .sparse_length = vector.length};
        double began = clock_now_s();
        CHECK_OK(writer_put(writer, &record, &err), err);
        put_s += clock_now_s() - began;
        if ((d + 1) % batch == 0 || d + 1 == end) {
            began = clock_now_s();
            CHECK_OK(writer_commit(writer, &err), err);
            double took = clock_now_s() - began;
            commit_s += took;
            commit_s_max = took > commit_s_max ? took : commit_s_max;
        }
    }
    writer_close(writer);
    printf("{\"bench\":\"sparse\",\"case\":\"insert\",\"batch\":%u,\"documents_per_s\":%.0f,"
           "\"put_s\":%.2f,\"commit_s\":%.2f,\"commit_ms_max\":%.0f}\n",
           batch, (end - begin) / (put_s + commit_s), put_s, commit_s, 1e3 * commit_s_max);
}

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void search(struct index *index, const struct corpus *corpus, uint32_t documents_n,
                   size_t k) {
    struct error err;
    struct arena arena = {0};
    struct snapshot *snapshot;
    static double times[QUERIES];
    for (int warm = 0; warm < 2; warm++) {
        unsigned long long seed = 5;
        for (size_t q = 0; q < QUERIES; q++) {
            struct vector query;
            struct scored_list list;
            make_query(corpus, documents_n, &seed, &query);
            struct sparse_vector view = {query.ids, query.weights, query.n};
            double began = clock_now_ms();
            CHECK_OK(snapshot_open(index, &snapshot, &err), err);
            CHECK_OK(sparse_search(snapshot, &view, k, NULL, &arena, &list, &err), err);
            snapshot_close(snapshot);
            times[q] = clock_now_ms() - began;
            CHECK(list.n > 0);
            arena_reset(&arena);
        }
    }
    qsort(times, QUERIES, sizeof *times, by_time);
    printf("{\"bench\":\"sparse\",\"case\":\"top%zu\",\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"exact\":true}\n",
           k, times[QUERIES / 2], times[QUERIES * 99 / 100]);
    arena_done(&arena);
}

int main(int argc, char **argv) {
    uint32_t documents_n = argc > 1 ? (uint32_t)atoi(argv[1]) : 20000;
    uint32_t batch = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000;
    enum index_lexical lexical =
        argc > 3 && strcmp(argv[3], "bm25") == 0 ? INDEX_LEXICAL_BM25 : INDEX_LEXICAL_LEARNED;
    uint32_t rewritten_n = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;
    struct error err;
    struct corpus corpus;
    char folder[64];
    struct index *index;
    struct index_counts counts;
    struct index_settings settings = fixture_settings(lexical);
    fixture_folder(folder);
    corpus_init(&corpus, documents_n, lexical);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    insert(index, &corpus, 0, documents_n, batch);
    if (rewritten_n > 0)
        insert(index, &corpus, documents_n / 2, documents_n / 2 + rewritten_n, batch);
    CHECK_OK(index_count(index, &counts, &err), err);
    printf("{\"bench\":\"sparse\",\"case\":\"index\",\"documents\":%llu,\"dead\":%llu,"
           "\"segments\":%llu,\"bytes_per_document\":%.0f}\n",
           (unsigned long long)counts.documents_n, (unsigned long long)counts.dead_n,
           (unsigned long long)counts.segments_n,
           (double)counts.bytes_on_disk / (double)counts.documents_n);
    search(index, &corpus, documents_n, 10);
    search(index, &corpus, documents_n, 1000);
    index_close(index);
    corpus_done(&corpus);
    fixture_remove(folder);
    return check_failed != 0;
}
