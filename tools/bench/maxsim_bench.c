/* tercet bench maxsim - late interaction: a query's 32 vectors against a reranker's documents, as
 * a search does it: query vectors in f32, document codes as they lie in the index. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/topk.h"
#include "engine/base/vec.h"
#include "index/multi/multivector.h"
#include "tools/bench/benches.h"
#include "tools/bench/latency.h"
#include "tools/bench/npy.h"
#include "engine/base/random.h"

enum {
    QUERY_VECTORS = 32,
    DOCUMENT_VECTORS = 128,
    CALLS_MIN = 20,
    TOP = 10,
    /* Made-up vectors scatter around so many kinds of token, as ../shared/peers makes them. */
    KINDS = 2000,
};
static const double SCATTER = 0.5;

struct bench_settings {
    const char *inputs;
    uint32_t dim, docs_n;
    bool quick, json;
};

/* Vectors of length 1. */
struct input {
    const float *query, *docs; /* [query_n, dim], [docs_n, doc_n, dim] */
    const double *scores;      /* [docs_n]: exact, summed over the query */
    size_t query_n, docs_n, doc_n, dim;
};

/* ---- made up ---- */

/* out = base + scatter times a normal vector, at length 1. */
static void make_near(uint64_t *random, const float *base, double scatter, size_t dim, float *out) {
    for (size_t i = 0; i < dim; i++)
        out[i] = base[i] + (float)(scatter * random_normal(random));
    vec_normalize(out, dim);
}

static double exact_score(const struct input *input, size_t document) {
    const float *vectors = input->docs + document * input->doc_n * input->dim;
    double sum = 0;
    for (size_t q = 0; q < input->query_n; q++) {
        double best = -INFINITY;
        for (size_t v = 0; v < input->doc_n; v++)
            best = fmax(best, (double)vec_dot_f32(input->query + q * input->dim,
                                                  vectors + v * input->dim, input->dim));
        sum += best;
    }
    return sum;
}

/* The query repeats vectors of document 0, with noise. */
static struct input make_input(size_t docs_n, size_t dim, struct arena *arena) {
    uint64_t random = 2;
    float *kinds = ARENA_NEW(arena, float, KINDS *dim);
    float *query = ARENA_NEW(arena, float, QUERY_VECTORS *dim);
    float *docs = ARENA_NEW(arena, float, docs_n *DOCUMENT_VECTORS *dim);
    double *scores = ARENA_NEW(arena, double, docs_n);
    struct input input = {query, docs, scores, QUERY_VECTORS, docs_n, DOCUMENT_VECTORS, dim};
    for (size_t i = 0; i < KINDS * dim; i++)
        kinds[i] = (float)random_normal(&random);
    for (size_t i = 0; i < docs_n * DOCUMENT_VECTORS; i++)
        make_near(&random, kinds + random_below(&random, KINDS) * dim, SCATTER, dim,
                  docs + i * dim);
    for (size_t q = 0; q < QUERY_VECTORS; q++)
        make_near(&random, docs + random_below(&random, DOCUMENT_VECTORS) * dim,
                  SCATTER / sqrt((double)dim), dim, query + q * dim);
    for (size_t d = 0; d < docs_n; d++)
        scores[d] = exact_score(&input, d);
    return input;
}

/* ---- read ---- */

struct files {
    struct npy query, docs, scores;
};

static bool read_input(const char *folder, struct files *files, struct input *out,
                       struct error *err) {
    if (!npy_open(folder, "query", "f4", &files->query, err) ||
        !npy_open(folder, "docs", "f4", &files->docs, err) ||
        !npy_open(folder, "scores", "f8", &files->scores, err))
        return false;
    const size_t *query = files->query.shape, *docs = files->docs.shape;
    if (files->query.dimensions_n != 2 || files->docs.dimensions_n != 3 ||
        files->scores.dimensions_n != 1 || files->scores.shape[0] != docs[0] ||
        query[1] != docs[2] || query[1] < 1 || query[1] > MULTI_DIM_MAX || docs[1] < 1 ||
        docs[1] > UINT32_MAX)
        return error_set(err, ERROR_INVALID,
                         "%s: query.npy [n, dim], docs.npy [docs, n, dim] and scores.npy [docs] "
                         "do not fit together",
                         folder);
    *out =
        (struct input){files->query.data, files->docs.data, files->scores.data, query[0], docs[0],
                       docs[1],           query[1]};
    return true;
}

static void close_files(struct files *files) {
    npy_close(&files->query);
    npy_close(&files->docs);
    npy_close(&files->scores);
}

/* ---- measuring ---- */

/* The codes of all documents one behind the other, from an odd address on: an index keeps no
 * alignment either. */
struct coded {
    uint8_t *bytes;
    size_t document_bytes;
    struct multi_codes *codes; /* [docs_n] */
};

static bool encode_documents(const struct input *input, struct arena *arena, struct coded *out,
                             struct error *err) {
    uint32_t dim = (uint32_t)input->dim, n = (uint32_t)input->doc_n;
    struct coded coded = {.document_bytes = multi_codes_bytes(dim, n)};
    coded.bytes = ARENA_NEW(arena, uint8_t, input->docs_n * coded.document_bytes + 1);
    coded.codes = ARENA_NEW(arena, struct multi_codes, input->docs_n);
    for (size_t d = 0; d < input->docs_n; d++) {
        uint8_t *at = coded.bytes + 1 + d * coded.document_bytes;
        multi_encode(input->docs + d * input->doc_n * input->dim, n, dim, at);
        if (!multi_codes_open(at, coded.document_bytes, dim, &coded.codes[d], err))
            return false;
    }
    *out = coded;
    return true;
}

static bool score_all(const struct input *input, const struct coded *coded, struct arena *arena,
                      float *scores_out, struct error *err) {
    struct multi_query query;
    if (!multi_query_init(&query, input->query, input->query_n, (uint32_t)input->dim, arena, err))
        return false;
    for (size_t d = 0; d < input->docs_n; d++)
        scores_out[d] = multi_maxsim(&query, &coded->codes[d]) * (float)input->query_n;
    return true;
}

struct quality {
    double score_error_max;
    size_t top10_found;
};

static struct quality judge(const struct input *input, const float *scores, struct arena *arena) {
    struct quality quality = {0};
    struct topk exact, found;
    topk_init(&exact, TOP, arena);
    topk_init(&found, TOP, arena);
    for (size_t d = 0; d < input->docs_n; d++) {
        double error = fabs((double)scores[d] - input->scores[d]);
        quality.score_error_max = fmax(quality.score_error_max, error);
        topk_push(&exact, (float)input->scores[d], (uint32_t)d);
        topk_push(&found, scores[d], (uint32_t)d);
    }
    for (size_t i = 0; i < found.n; i++)
        for (size_t j = 0; j < exact.n; j++)
            quality.top10_found += found.heap[i].docid == exact.heap[j].docid;
    return quality;
}

static void add_quality(struct json *json, struct quality quality) {
    json_add_number(json, "score_error_max", quality.score_error_max);
    json_add_number(json, "top10_found", (double)quality.top10_found);
}

/* As ../shared/peers/maxsim_peers.py prints them. */
static void print_peer(struct latency *latency, const char *name, double part,
                       struct quality quality) {
    char which[80];
    struct json *row = json_new_object(), *judged = json_new_object();
    snprintf(which, sizeof which, "maxsim-%s/p%.0f", name, 100 * part);
    json_add_string(row, "peer", "tercet");
    json_add_string(row, "version", TERCET_VERSION);
    json_add_string(row, "case", which);
    json_add_number(row, "threads", 1);
    json_add_number(row, "value", latency_percentile(latency, part));
    json_add_string(row, "unit", "ms");
    add_quality(judged, quality);
    json_add(row, "quality", judged);
    bench_print(row);
}

static void print_own(struct latency *latency, const char *name, const struct input *input,
                      const struct coded *coded, struct quality quality) {
    struct json *row = latency_row(latency, "maxsim", name, 1);
    add_quality(row, quality);
    json_add_number(row, "bytes_a_vector", (double)coded->document_bytes / (double)input->doc_n);
    bench_print(row);
}

/* A call: the query made ready and all documents scored. */
static bool bench_case(const struct bench_settings *settings, const struct input *input,
                       struct error *err) {
    struct arena arena = {0}, scratch = {0};
    struct latency latency = {0};
    struct coded coded;
    char name[64];
    float *scores = ARENA_NEW(&arena, float, input->docs_n);
    bool ok = encode_documents(input, &arena, &coded, err) &&
              score_all(input, &coded, &scratch, scores, err);
    while (ok && latency_goes_on(&latency, CALLS_MIN, settings->quick ? 0.05 : 2)) {
        arena_reset(&scratch);
        latency_begin(&latency);
        ok = score_all(input, &coded, &scratch, scores, err);
        latency_end(&latency);
    }
    if (ok) {
        struct quality quality = judge(input, scores, &arena);
        snprintf(name, sizeof name, "d%zu/%zux%zu", input->dim, input->docs_n, input->doc_n);
        if (settings->inputs) {
            print_peer(&latency, name, 0.5, quality);
            print_peer(&latency, name, 0.99, quality);
        } else {
            print_own(&latency, name, input, &coded, quality);
        }
    }
    latency_done(&latency);
    arena_done(&scratch);
    arena_done(&arena);
    return ok;
}

static bool bench_made(const struct bench_settings *settings, struct error *err) {
    static const uint32_t dims[] = {128, 384, 1024}, docs[] = {100, 1000};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (size_t j = 0; j < sizeof docs / sizeof *docs; j++) {
            struct arena arena = {0};
            if ((settings->dim && settings->dim != dims[i]) ||
                (settings->docs_n && settings->docs_n != docs[j]) ||
                (settings->quick && docs[j] > 100))
                continue;
            struct input input = make_input(docs[j], dims[i], &arena);
            bool ok = bench_case(settings, &input, err);
            arena_done(&arena);
            if (!ok)
                return false;
        }
    return true;
}

static bool bench_read(const struct bench_settings *settings, struct error *err) {
    struct files files = {0};
    struct input input;
    bool ok =
        read_input(settings->inputs, &files, &input, err) && bench_case(settings, &input, err);
    close_files(&files);
    return ok;
}

static int run(int argc, char **argv) {
    struct bench_settings settings = {0};
    const struct option table[] = {
        {"dim", OPTION_NUMBER, &settings.dim, "D", "only vectors of 128, 384 or 1024 dimensions", 1,
         MULTI_DIM_MAX, 0},
        {"docs", OPTION_NUMBER, &settings.docs_n, "N", "only 100 or 1000 documents", 1, 1000, 0},
        {"inputs", OPTION_TEXT, &settings.inputs, "FOLDER",
         "query.npy, docs.npy and scores.npy there instead, rows as a race's other runners print "
         "them",
         0, 0, 0},
        {"quick", OPTION_FLAG, &settings.quick, NULL, "100 documents, short runs", 0, 0, 0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&bench_maxsim, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 0)
        return options_wrong(&bench_maxsim, "\"%s\" is one word too many", argv[0]);
    bool ok = settings.inputs ? bench_read(&settings, &err) : bench_made(&settings, &err);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command bench_maxsim = {"bench maxsim", "", "late interaction with token vectors",
                                     run};
