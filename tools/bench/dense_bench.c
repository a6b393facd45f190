/* tercet bench dense - vectors to their nearest: built, asked exactly, by lists, with filters. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "index/dense/dense.h"
#include "index/writer.h"
#include "tools/bench/benches.h"
#include "tools/bench/dense_set.h"
#include "tools/bench/latency.h"
#include "engine/base/random.h"

enum {
    ROWS_DEFAULT = 100000,
    DIM_DEFAULT = 1024,
    QUERIES_DEFAULT = 1000,
    FILTERED_QUERIES = 200, /* whose truth is computed anew for each filter */
    COMMIT_ROWS = 10000,
    CALLS_MIN = 100,
};
static const double seconds = 2;       /* a case */
static const double recall_goal = .98; /* of the cheapest setting */
static const float breadths[] = {0.25f, 0.5f, 0.75f, 1, 1.5f, 2, 4};
enum { BREADTHS_N = sizeof breadths / sizeof *breadths };
static const double shares[] = {0.5, 0.1, 0.01, 0.001};

struct bench {
    const char *inputs, *name;
    uint32_t rows_n, dim, queries_n;
    bool uniform, peer; /* peer: rows as a race's other runners print them */
    struct dense_set set;
    struct pool *pool;
    size_t threads_n;
    char folder[PATH_MAX];
    struct index *index;
    struct snapshot *snapshot;
    struct arena arena;
};

static void print_figure(const struct bench *bench, const char *name, size_t threads_n,
                         const char *unit, double value) {
    if (!bench->peer) {
        bench_print(figure_row("dense", name, threads_n, unit, value));
        return;
    }
    char full[256];
    snprintf(full, sizeof full, "%s/%s", bench->name, name);
    bench_print_peer(full, threads_n, unit, value, NULL, 0);
}

/* ---- the index ---- */

static bool put_rows(struct bench *bench, struct writer *writer, struct error *err) {
    for (size_t i = 0; i < bench->set.rows_n; i++) {
        char key[24];
        struct record record = {.key = key, .dense = bench->set.rows + i * bench->set.dim};
        record.key_len = (size_t)snprintf(key, sizeof key, "%zu", i);
        if (!writer_put(writer, &record, err) ||
            ((i + 1) % COMMIT_ROWS == 0 && !writer_commit(writer, err)))
            return false;
    }
    return writer_commit(writer, err);
}

static bool build(struct bench *bench, struct error *err) {
    struct index_settings settings = {.dense_dim = (uint32_t)bench->set.dim};
    struct index_counts counts;
    struct writer *writer = NULL;
    double began = clock_now_ms();
    if (!index_create(bench->folder, &settings, &bench->index, err) ||
        !writer_open(bench->index, &writer, err))
        return false;
    bool ok = put_rows(bench, writer, err);
    double put = clock_now_ms();
    ok = ok && writer_build_dense(writer, bench->threads_n, err);
    double built = clock_now_ms();
    writer_close(writer);
    if (!ok || !index_count(bench->index, &counts, err))
        return false;
    print_figure(bench, "put", 1, "s", (put - began) / 1e3);
    print_figure(bench, "build", bench->threads_n, "s", (built - put) / 1e3);
    print_figure(bench, "bytes", bench->threads_n, "bytes", (double)counts.bytes_on_disk);
    return true;
}

/* Closes the index and opens it again: what a program that starts waits for its first answer. */
static bool open_again(struct bench *bench, struct error *err) {
    struct scored_list found;
    index_close(bench->index);
    bench->index = NULL;
    double began = clock_now_ms();
    bool ok = index_open(bench->folder, INDEX_READ, &bench->index, err) &&
              snapshot_open(bench->index, &bench->snapshot, err) &&
              dense_search(bench->snapshot, bench->set.queries, DENSE_SET_TOP, false, NULL,
                           &bench->arena, &found, err);
    if (ok)
        print_figure(bench, "open-to-answer", 1, "ms", clock_now_ms() - began);
    return ok;
}

/* ---- one way to search ---- */

struct way {
    const char *name;
    bool exact;
    struct pool *pool; /* NULL: one thread */
    const struct docid_set *allowed;
    const int64_t *truth; /* [queries_n, DENSE_SET_TOP] */
    size_t queries_n;
};

static bool ask(struct bench *bench, const struct way *way, size_t q, struct scored_list *out,
                struct error *err) {
    arena_reset(&bench->arena);
    return dense_search_shared(
        bench->snapshot, bench->set.queries + q % way->queries_n * bench->set.dim, DENSE_SET_TOP,
        way->exact, way->allowed, way->pool, &bench->arena, out, err);
}

static bool recall_of(struct bench *bench, const struct way *way, double *out, struct error *err) {
    size_t hits = 0, wanted = 0;
    for (size_t q = 0; q < way->queries_n; q++) {
        struct scored_list found;
        if (!ask(bench, way, q, &found, err))
            return false;
        for (size_t i = 0; i < DENSE_SET_TOP; i++) {
            int64_t row = way->truth[q * DENSE_SET_TOP + i];
            wanted += row >= 0;
            for (size_t j = 0; j < found.n; j++)
                hits += found.entries[j].docid == row;
        }
    }
    *out = wanted ? (double)hits / (double)wanted : 1;
    return true;
}

static void print_latency(const struct bench *bench, const struct way *way, double recall,
                          struct latency *latency) {
    size_t threads_n = way->pool ? pool_workers_n(way->pool) : 1;
    if (!bench->peer) {
        struct json *row = latency_row(latency, "dense", way->name, threads_n);
        json_add_number(row, "recall_at_10", recall);
        bench_print(row);
        return;
    }
    char full[256];
    bool is_race = strcmp(way->name, "ann") == 0;
    snprintf(full, sizeof full, "%s/%s/p50", bench->name, is_race ? "latency-top10" : way->name);
    bench_print_peer(full, threads_n, "ms", latency_percentile(latency, 0.5), "recall@10", recall);
    snprintf(full, sizeof full, "%s/%s/p99", bench->name, is_race ? "latency-top10" : way->name);
    bench_print_peer(full, threads_n, "ms", latency_percentile(latency, 0.99), "recall@10", recall);
}

static bool measure(struct bench *bench, const struct way *way, struct error *err) {
    struct latency latency = {0};
    struct scored_list found;
    double recall;
    bool ok = recall_of(bench, way, &recall, err);
    for (size_t q = 0; ok && latency_goes_on(&latency, CALLS_MIN, seconds); q++) {
        latency_begin(&latency);
        ok = ask(bench, way, q, &found, err);
        latency_end(&latency);
    }
    if (ok)
        print_latency(bench, way, recall, &latency);
    latency_done(&latency);
    return ok;
}

/* ---- cases ---- */

static void set_breadth(struct bench *bench, float times) {
    struct dense_limits limits = dense_index_limits(index_dense(bench->index));
    limits.breadth_times = times;
    dense_index_set_limits(index_dense(bench->index), limits);
}

/* The narrowest search that reaches the goal, and the one that is used unless told. */
static bool measure_lists(struct bench *bench, struct error *err) {
    struct way way = {"ann-default", .truth = bench->set.truth, .queries_n = bench->set.queries_n};
    double recall = 0;
    if (!measure(bench, &way, err))
        return false;
    for (size_t i = 0; i < BREADTHS_N && recall < recall_goal; i++) {
        set_breadth(bench, breadths[i]);
        if (!recall_of(bench, &way, &recall, err))
            return false;
    }
    way.name = "ann";
    bool ok = measure(bench, &way, err);
    set_breadth(bench, 1);
    return ok;
}

static bool measure_filtered(struct bench *bench, double share, struct error *err) {
    size_t queries_n =
        bench->set.queries_n < FILTERED_QUERIES ? bench->set.queries_n : FILTERED_QUERIES;
    int64_t *truth = mem_alloc(queries_n * DENSE_SET_TOP, sizeof *truth);
    struct arena arena = {0};
    uint64_t seed = 9;
    char name[64];
    struct docid_set allowed = docid_set_new((uint32_t)bench->set.rows_n, &arena);
    for (uint32_t i = 0; i < bench->set.rows_n; i++)
        if (random_uniform(&seed) < share)
            docid_set_add(&allowed, i);
    dense_set_truth(&bench->set, &allowed, queries_n, bench->pool, truth);
    snprintf(name, sizeof name, "filtered-%g%%", 100 * share);
    struct way way = {name, .allowed = &allowed, .truth = truth, .queries_n = queries_n};
    bool ok = measure(bench, &way, err);
    arena_done(&arena);
    free(truth);
    return ok;
}

static bool measure_all(struct bench *bench, struct error *err) {
    struct way flat = {"flat-int8", .exact = true, .truth = bench->set.truth,
                       .queries_n = bench->set.queries_n < FILTERED_QUERIES ? bench->set.queries_n
                                                                            : FILTERED_QUERIES};
    struct pool *two = pool_open(2);
    bool ok = measure_lists(bench, err) && measure(bench, &flat, err);
    flat.pool = two;
    ok = ok && measure(bench, &flat, err);
    for (size_t i = 0; ok && i < sizeof shares / sizeof *shares; i++)
        ok = measure_filtered(bench, shares[i], err);
    pool_close(two);
    return ok;
}

/* ---- the command ---- */

static void remove_folder(const char *folder) {
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s: could not be removed\n", folder);
}

static bool bench_set(struct bench *bench, struct error *err) {
    const char *temporary = getenv("TMPDIR");
    snprintf(bench->folder, sizeof bench->folder, "%s/tercet-dense-XXXXXX",
             temporary ? temporary : "/tmp");
    if (!mkdtemp(bench->folder))
        return error_set_errno(err, "%s", bench->folder);
    bool ok = build(bench, err) && open_again(bench, err) && measure_all(bench, err);
    snapshot_close(bench->snapshot);
    index_close(bench->index);
    remove_folder(bench->folder);
    return ok;
}

static int run_bench(struct bench *bench) {
    struct error err;
    char name[128];
    bench->pool = pool_open(bench->threads_n);
    bool ok = true;
    if (bench->inputs)
        ok = dense_set_read(bench->inputs, &bench->set, &err);
    else
        dense_set_make(bench->rows_n, bench->dim, bench->queries_n, bench->uniform, bench->pool,
                       &bench->set);
    snprintf(name, sizeof name, "dense-synthetic-%zux%zu", bench->set.rows_n, bench->set.dim);
    bench->name = name;
    ok = ok && bench_set(bench, &err);
    dense_set_done(&bench->set);
    arena_done(&bench->arena);
    pool_close(bench->pool);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run(int argc, char **argv) {
    struct bench bench = {.rows_n = ROWS_DEFAULT, .dim = DIM_DEFAULT, .queries_n = QUERIES_DEFAULT};
    uint32_t threads_n = 0;
    const struct option table[] = {
        {"rows", OPTION_NUMBER, &bench.rows_n, "N", "vectors (default: 100000)", 100, 100000000, 0},
        {"dim", OPTION_NUMBER, &bench.dim, "N", "dimensions (default: 1024)", 2, 16384, 0},
        {"queries", OPTION_NUMBER, &bench.queries_n, "N", "default: 1000", 10, 1000000, 0},
        {"uniform", OPTION_FLAG, &bench.uniform, NULL, "no clusters: the hardest vectors", 0, 0, 0},
        {"inputs", OPTION_TEXT, &bench.inputs, "FOLDER",
         "base.npy, queries.npy and truth.npy, and rows as its other runners print them", 0, 0, 0},
        {"threads", OPTION_NUMBER, &threads_n, "N", "to build with (default: all cores)", 1, 1024,
         0},
        {"json", OPTION_FLAG, &(bool){false}, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&bench_dense, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&bench_dense, "\"%s\" is one word too many", argv[0]);
    if (!bench.inputs)
        bench.inputs = getenv("PEERS_INPUTS");
    bench.peer = bench.inputs != NULL;
    bench.threads_n = threads_n ? threads_n : pool_cores_n();
    return run_bench(&bench);
}

const struct command bench_dense = {"bench dense", "", "vectors to their nearest", run};
