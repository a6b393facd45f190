/* tercet bench sparse - lexical search over learned weights or BM25: inserting, bytes, top k. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "index/index.h"
#include "index/writer.h"
#include "tools/bench/benches.h"
#include "tools/bench/latency.h"
#include "tools/scratch.h"
#include "tools/bench/sparse_set.h"
#include "tools/bench/sparse_texts.h"

enum {
    KS_N = 2,
    QUERIES_N = 500,
    DOCUMENTS_N = 1000000,
    DOCUMENTS_QUICK_N = 20000,
    MASS_MIN = 40,
    SAMPLE_N = 100
};
static const size_t ks[KS_N] = {10, 1000};

struct sparse_bench {
    const char *inputs, *kept; /* folders, or NULL */
    uint32_t documents_n, batch_n, rounds_n;
    double mass; /* of the search under way; 1: exact */
    bool bm25, exact_only, quick, json;
    char name[128]; /* of the set */
    struct sparse_set set;
    struct index *index;
    struct index_counts counts;
    double build_s;
    uint32_t *exact[KS_N]; /* [queries_n, k] what exact search found, UINT32_MAX where nothing */
};

/* ---- rows ---- */

static void print_figure(const struct sparse_bench *bench, const char *name, const char *unit,
                         double value) {
    char full[192];
    snprintf(full, sizeof full, "%s/%s", bench->name, name);
    if (bench->inputs)
        bench_print_peer(full, 1, unit, value, NULL, 0);
    else
        bench_print(figure_row("sparse", full, 1, unit, value));
}

static void print_search(const struct sparse_bench *bench, size_t k, const char *kind,
                         struct latency *latency, double recall) {
    char full[192], quality[32];
    snprintf(full, sizeof full, "%s/top%zu%s", bench->name, k, kind);
    snprintf(quality, sizeof quality, "recall@%zu", k);
    if (!bench->inputs) {
        struct json *row = latency_row(latency, "sparse", full, 1);
        json_add_number(row, quality, recall);
        json_add_number(row, "mass", bench->mass);
        bench_print(row);
        return;
    }
    for (int part = 50; part <= 99; part += 49) {
        snprintf(full, sizeof full, "%s/top%zu%s/p%d", bench->name, k, kind, part);
        bench_print_peer(full, 1, "ms", latency_percentile(latency, part / 100.0), quality, recall);
    }
    snprintf(full, sizeof full, "%s/top%zu%s/cpu", bench->name, k, kind);
    bench_print_peer(full, 1, "ms", 1e3 * latency->cpu_s / (double)(latency->n ? latency->n : 1),
                     quality, recall);
}

/* ---- building ---- */

static bool insert(struct sparse_bench *bench, struct error *err) {
    struct sparse_set_vector *vector = mem_alloc(1, sizeof *vector);
    struct writer *writer = NULL;
    bool ok = writer_open(bench->index, &writer, err);
    for (uint32_t d = 0; ok && d < bench->set.documents_n; d++) {
        char key[16];
        sparse_set_document(&bench->set, d, vector);
        double began_s = clock_now_s();
        struct record record = {
            .key = key,
            .key_len = (size_t)snprintf(key, sizeof key, "%u", d),
            .sparse = {vector->ids, vector->weights, vector->n},
            .sparse_length = vector->length,
        };
        ok = writer_put(writer, &record, err);
        if (ok && ((d + 1) % bench->batch_n == 0 || d + 1 == bench->set.documents_n))
            ok = writer_commit(writer, err);
        bench->build_s += clock_now_s() - began_s;
    }
    writer_close(writer);
    free(vector);
    return ok;
}

static bool build(struct sparse_bench *bench, const char *folder, struct error *err) {
    struct index_settings settings = {
        .model = "",
        .lexical = bench->bm25 ? INDEX_LEXICAL_BM25 : INDEX_LEXICAL_LEARNED,
        .bm25_k1 = 1.2f,
        .bm25_b = 0.75f,
    };
    bool there = index_exists(folder);
    bool ok = there ? index_open(folder, INDEX_READ, &bench->index, err)
                    : index_create(folder, &settings, &bench->index, err) && insert(bench, err);
    ok = ok && index_count(bench->index, &bench->counts, err);
    if (!ok)
        return false;
    if (!there)
        print_figure(bench, "build", "s", bench->build_s);
    print_figure(bench, "bytes", "bytes", (double)bench->counts.bytes_on_disk);
    if (!bench->inputs)
        print_figure(bench, "segments", "segments", (double)bench->counts.segments_n);
    return true;
}

/* ---- searching ---- */

/* How many of the wanted are among the found, of those that are wanted. */
static double recall_of(const uint32_t *found, size_t k, const uint32_t *wanted) {
    size_t n = 0, hits = 0;
    for (size_t w = 0; w < k && wanted[w] != UINT32_MAX; w++, n++)
        for (size_t f = 0; f < k; f++)
            if (found[f] == wanted[w]) {
                hits++;
                break;
            }
    return n ? (double)hits / (double)n : 1;
}

static void truth_of(const struct sparse_bench *bench, size_t which, uint32_t query,
                     uint32_t *out) {
    const struct npy *truth = &bench->set.truths[which];
    size_t k = ks[which];
    for (size_t i = 0; i < k; i++) {
        int64_t id = truth->data ? ((const int64_t *)truth->data)[query * k + i] : 0;
        out[i] =
            truth->data ? (id < 0 ? UINT32_MAX : (uint32_t)id) : bench->exact[which][query * k + i];
    }
}

/* One pass over the first queries; found: [queries_n, k]. Put in order: docid = number. */
static bool search_all(struct sparse_bench *bench, size_t k, uint32_t queries_n,
                       struct latency *latency, uint32_t *found, struct error *err) {
    struct sparse_set_vector *query = mem_alloc(1, sizeof *query);
    struct arena arena = {0};
    bool ok = true;
    for (uint32_t q = 0; ok && q < queries_n; q++) {
        struct snapshot *snapshot = NULL;
        struct scored_list list = {0};
        sparse_set_query(&bench->set, q, query);
        struct sparse_vector view = {query->ids, query->weights, query->n};
        latency_begin(latency);
        ok = snapshot_open(bench->index, &snapshot, err) &&
             sparse_search_approximate(snapshot, &view, k, NULL, (float)bench->mass, &arena, &list,
                                       err);
        snapshot_close(snapshot);
        latency_end(latency);
        for (size_t i = 0; i < k; i++)
            found[q * k + i] = i < list.n ? list.entries[i].docid : UINT32_MAX;
        arena_reset(&arena);
    }
    arena_done(&arena);
    free(query);
    return ok;
}

static double recall_of_all(const struct sparse_bench *bench, size_t which, uint32_t queries_n,
                            const uint32_t *found) {
    size_t k = ks[which];
    uint32_t *truth = mem_alloc(k, sizeof *truth);
    double sum = 0;
    for (uint32_t q = 0; q < queries_n; q++) {
        truth_of(bench, which, q, truth);
        sum += recall_of(found + q * k, k, truth);
    }
    free(truth);
    return sum / queries_n;
}

/* The best of several passes, as the other runners of a race take it. kind NULL: nothing is
 * printed, one pass over a part of the queries is enough. */
static bool measure(struct sparse_bench *bench, size_t which, const char *kind, uint32_t *found,
                    double *recall_out, struct error *err) {
    struct latency best = {0};
    uint32_t queries_n = bench->set.queries_n;
    bool ok = true;
    if (!kind && queries_n > SAMPLE_N)
        queries_n = SAMPLE_N;
    for (uint32_t round = 0; ok && round <= (kind ? bench->rounds_n : 0); round++) {
        struct latency latency = {0};
        ok = search_all(bench, ks[which], queries_n, &latency, found, err);
        bool better = round > 0 && (best.n == 0 || latency_percentile(&latency, 0.5) <
                                                       latency_percentile(&best, 0.5));
        if (ok && better) {
            latency_done(&best);
            best = latency;
        } else {
            latency_done(&latency);
        }
    }
    if (ok)
        *recall_out = recall_of_all(bench, which, queries_n, found);
    if (ok && kind)
        print_search(bench, ks[which], kind, &best, *recall_out);
    latency_done(&best);
    return ok;
}

/* The smallest mass that reaches the recall. */
static bool measure_approximate(struct sparse_bench *bench, size_t which, const char *kind,
                                double recall_min, struct error *err) {
    uint32_t *found = mem_alloc(bench->set.queries_n * ks[which], sizeof *found);
    double recall = 0;
    bool ok = true;
    for (int percent = MASS_MIN; ok && percent <= 100 && recall < recall_min; percent += 10) {
        bench->mass = percent / 100.0;
        ok = measure(bench, which, NULL, found, &recall, err);
    }
    ok = ok && measure(bench, which, kind, found, &recall, err);
    bench->mass = 1;
    free(found);
    return ok;
}

static bool search(struct sparse_bench *bench, struct error *err) {
    bool ok = true;
    double recall;
    for (size_t which = 0; ok && which < KS_N; which++) {
        bench->exact[which] = mem_alloc(bench->set.queries_n * ks[which], sizeof(uint32_t));
        ok = measure(bench, which, "", bench->exact[which], &recall, err) &&
             (bench->exact_only ||
              (measure_approximate(bench, which, "-recall95", 0.95, err) &&
               measure_approximate(bench, which, "-recall99", 0.99, err)));
    }
    for (size_t which = 0; which < KS_N; which++)
        free(bench->exact[which]);
    return ok;
}

/* ---- the whole ---- */

/* FOLDER/<set>/inputs as a race lays it out: <set>. */
static void name_set(struct sparse_bench *bench) {
    const char *kind = bench->bm25 ? "bm25" : "sparse";
    if (!bench->inputs) {
        snprintf(bench->name, sizeof bench->name, "%s-made-%u", kind, bench->documents_n);
        return;
    }
    char *path = strdup(bench->inputs), *end = path + strlen(path);
    while (end > path && end[-1] == '/')
        *--end = '\0';
    char *last = strrchr(path, '/');
    if (last && strcmp(last + 1, "inputs") == 0) {
        *last = '\0';
        last = strrchr(path, '/');
    }
    snprintf(bench->name, sizeof bench->name, "%s", last ? last + 1 : path);
    if (bench->bm25 && strncmp(bench->name, "sparse", 6) == 0)
        snprintf(bench->name, sizeof bench->name, "bm25%s", (last ? last + 1 : path) + 6);
    free(path);
}

static bool bench_vectors(struct sparse_bench *bench, const char *folder, struct error *err) {
    name_set(bench);
    if (!bench->inputs)
        sparse_set_make(bench->documents_n, QUERIES_N, bench->bm25, &bench->set);
    else if (!sparse_set_read(bench->inputs, bench->bm25, &bench->set, err))
        return false;
    bool ok = build(bench, folder, err) && search(bench, err);
    index_close(bench->index);
    sparse_set_done(&bench->set);
    return ok;
}

static bool has_texts(const char *folder) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/corpus.jsonl", folder);
    return access(path, R_OK) == 0;
}

static bool bench_all(struct sparse_bench *bench, struct error *err) {
    const char *folder = bench->kept;
    char made[SCRATCH_PATH_MAX] = "";
    if (!folder && !scratch_make("bench", made, err))
        return false;
    folder = folder ? folder : made;
    bool ok = bench->bm25 && bench->inputs && has_texts(bench->inputs)
                  ? sparse_texts_bench(bench->inputs, folder, bench->rounds_n, err)
                  : bench_vectors(bench, folder, err);
    scratch_remove(made);
    return ok;
}

static int run(int argc, char **argv) {
    struct sparse_bench bench = {.batch_n = 5000, .rounds_n = 3, .mass = 1};
    const struct option table[] = {
        {"documents", OPTION_NUMBER, &bench.documents_n, "N",
         "made-up documents (default 1,000,000)", 1, 100000000, 'n'},
        {"bm25", OPTION_FLAG, &bench.bm25, NULL, "term frequencies instead of learned weights", 0,
         0, 0},
        {"inputs", OPTION_TEXT, &bench.inputs, "FOLDER",
         "vectors from FOLDER's .npy files (with --bm25 also BEIR's texts), rows as a race's other "
         "runners print them",
         0, 0, 0},
        {"index", OPTION_TEXT, &bench.kept, "FOLDER",
         "make the index there and keep it, or search the one that is there", 0, 0, 0},
        {"batch", OPTION_NUMBER, &bench.batch_n, "N", "documents a commit (default 5,000)", 1,
         1000000, 0},
        {"rounds", OPTION_NUMBER, &bench.rounds_n, "N",
         "passes over the queries, the best counts (default 3)", 1, 1000, 0},
        {"exact", OPTION_FLAG, &bench.exact_only, NULL, "no approximate searches", 0, 0, 0},
        {"quick", OPTION_FLAG, &bench.quick, NULL, "20,000 documents, one pass", 0, 0, 0},
        {"json", OPTION_FLAG, &bench.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    struct error err;
    int status = options_parse(&bench_sparse, table, argc, argv, &words_n);
    if (status < 0 && words_n != 0)
        status = options_wrong(&bench_sparse, "\"%s\" is one word too many", argv[0]);
    if (status >= 0)
        return status;
    if (bench.documents_n == 0)
        bench.documents_n = bench.quick ? DOCUMENTS_QUICK_N : DOCUMENTS_N;
    bench.rounds_n = bench.quick ? 1 : bench.rounds_n;
    bool ok = bench_all(&bench, &err);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command bench_sparse = {"bench sparse", "", "lexical search: learned weights or BM25",
                                     run};
