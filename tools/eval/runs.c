/* tercet eval run, compare, fuse - rankings that are there already, as TREC runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "tools/eval/eval_commands.h"
#include "tools/eval/fuse_runs.h"
#include "tools/eval/report_compare.h"
#include "tools/eval/significance.h"

enum { FUSE_DEPTH_DEFAULT = 1000 }; /* what trec_eval takes of a run */

static const char *const measures_default = "ndcg@10,recall@100,mrr@10,map";

struct judged_runs {
    struct judged_queries judged;
    struct measure_list measures;
    struct run_query *runs[FUSE_RUNS_MAX]; /* [queries] */
    double *values[FUSE_RUNS_MAX];         /* [queries, measures] */
};

/* A query without a hit counts as 0. */
static bool judge_runs(const char *const *paths, size_t n, const char *qrels, const char *measures,
                       struct arena *arena, struct judged_runs *out, struct error *err) {
    struct judged_builder builder = {.arena = arena};
    struct run run;
    if (!measures_parse(measures ? measures : measures_default, &out->measures, err))
        return false;
    if (!judged_qrels_read(&builder, qrels, true, err)) {
        judged_give_up(&builder);
        return false;
    }
    if (!judged_done(&builder, qrels, &out->judged, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!run_read(paths[i], arena, &run, err))
            return false;
        out->runs[i] = run_aligned(&run, &out->judged, arena);
        out->values[i] = run_values(out->runs[i], &out->judged, &out->measures, arena);
    }
    return true;
}

static double mean_of(const struct judged_runs *runs, size_t run, size_t measure) {
    double sum = 0;
    for (size_t i = 0; i < runs->judged.n; i++)
        sum += runs->values[run][i * runs->measures.n + measure];
    return sum / (double)runs->judged.n;
}

static void print_line(struct json *json) {
    struct buf out = {0};
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_run(const struct judged_runs *runs, const char *path, bool each, bool json) {
    struct json *line = json_new_object();
    char name[MEASURE_NAME_BYTES];
    for (size_t i = 0; each && i < runs->judged.n; i++)
        for (size_t m = 0; m < runs->measures.n; m++) {
            measure_name(runs->measures.items[m], name);
            printf("%s\t%s\t%.9g\n", runs->judged.queries[i].id, name,
                   runs->values[0][i * runs->measures.n + m]);
        }
    json_add_string(line, "run", path);
    json_add_number(line, "queries", (double)runs->judged.n);
    for (size_t m = 0; m < runs->measures.n; m++) {
        measure_name(runs->measures.items[m], name);
        json_add_number(line, name, mean_of(runs, 0, m));
        if (!json && !each)
            printf("%-14s %.4f\n", name, mean_of(runs, 0, m));
    }
    if (json && !each)
        print_line(line);
    else
        json_release(line);
}

static int run_run(int argc, char **argv) {
    const char *measures = NULL;
    bool json = false, each = false;
    const struct option table[] = {
        {"measures", OPTION_TEXT, &measures, "LIST", "(default: ndcg@10,recall@100,mrr@10,map)", 0,
         0, 0},
        {"per-query", OPTION_FLAG, &each, NULL, "query, measure and value, a line each", 0, 0, 'q'},
        {"json", OPTION_FLAG, &json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct arena arena = {0};
    struct judged_runs runs;
    struct error err;
    size_t words_n;
    int status = options_parse(&eval_command_run, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2)
        return options_wrong(&eval_command_run, "a run and its judgments are needed");
    const char *path = argv[0];
    if (judge_runs(&path, 1, argv[1], measures, &arena, &runs, &err))
        print_run(&runs, path, each, json);
    else
        status = command_failed(&err);
    arena_done(&arena);
    return status < 0 ? EXIT_DONE : status;
}

/* One measure. */
static struct json *compared(const struct judged_runs *runs, size_t m, uint32_t seed) {
    struct arena arena = {0};
    size_t n = runs->judged.n;
    double *a = ARENA_NEW(&arena, double, n), *b = ARENA_NEW(&arena, double, n);
    char name[MEASURE_NAME_BYTES];
    for (size_t i = 0; i < n; i++) {
        a[i] = runs->values[0][i * runs->measures.n + m];
        b[i] = runs->values[1][i * runs->measures.n + m];
    }
    struct significance s = significance_of(a, b, n, seed);
    struct json *line = json_new_object();
    measure_name(runs->measures.items[m], name);
    json_add_string(line, "measure", name);
    json_add_number(line, "a", mean_of(runs, 0, m));
    json_add_number(line, "b", mean_of(runs, 1, m));
    json_add_number(line, "difference", s.difference);
    json_add_number(line, "low", s.low);
    json_add_number(line, "high", s.high);
    json_add_number(line, "p_t", s.p_t);
    json_add_number(line, "p_bootstrap", s.p_bootstrap);
    json_add_number(line, "better", (double)s.better);
    json_add_number(line, "worse", (double)s.worse);
    json_add_number(line, "equal", (double)s.equal);
    json_add_number(line, "queries", (double)n);
    arena_done(&arena);
    return line;
}

static double number_in(const struct json *line, const char *name) {
    return json_number_of(json_get(line, name));
}

static void print_comparison(const struct json *line) {
    printf("%-12s %.4f -> %.4f   %+.4f [%+.4f, %+.4f]   p %.4f (t-test), %.4f (bootstrap)   "
           "%.0f better, %.0f worse, %.0f equal\n",
           json_string_of(json_get(line, "measure"), NULL), number_in(line, "a"),
           number_in(line, "b"), number_in(line, "difference"), number_in(line, "low"),
           number_in(line, "high"), number_in(line, "p_t"), number_in(line, "p_bootstrap"),
           number_in(line, "better"), number_in(line, "worse"), number_in(line, "equal"));
}

struct comparison_settings {
    const char *paths[2], *qrels, *queries, *corpus, *measures;
    struct report_files report;
    uint32_t seed;
    bool json;
};

static bool compare(const struct comparison_settings *settings, struct arena *arena,
                    struct error *err) {
    struct judged_runs runs;
    if (!judge_runs(settings->paths, 2, settings->qrels, settings->measures, arena, &runs, err))
        return false;
    struct json *rows = json_new_array();
    for (size_t m = 0; m < runs.measures.n; m++) {
        json_push(rows, compared(&runs, m, settings->seed));
        if (settings->json)
            print_line(json_copy_of(json_at(rows, m)));
        else
            print_comparison(json_at(rows, m));
    }
    struct report_comparison report = {
        .names = {settings->paths[0], settings->paths[1]},
        .qrels = settings->qrels,
        .queries = settings->queries,
        .corpus = settings->corpus,
        .judged = &runs.judged,
        .measures = &runs.measures,
        .runs = {runs.runs[0], runs.runs[1]},
        .values = {runs.values[0], runs.values[1]},
        .rows = rows,
        .seed = settings->seed,
    };
    bool ok = report_compare(&report, &settings->report, err);
    json_release(rows);
    return ok;
}

static int run_compare(int argc, char **argv) {
    struct comparison_settings settings = {.seed = 1};
    const struct option table[] = {
        {"measures", OPTION_TEXT, &settings.measures, "LIST",
         "(default: ndcg@10,recall@100,mrr@10,map)", 0, 0, 0},
        {"seed", OPTION_NUMBER, &settings.seed, "N", "of the bootstrap's draws (default: 1)", 0,
         UINT32_MAX, 0},
        REPORT_OPTION_ROWS(settings.report),
        {"queries", OPTION_TEXT, &settings.queries, "FILE",
         "JSONL or TSV with the queries' texts, for the report", 0, 0, 0},
        {"corpus", OPTION_TEXT, &settings.corpus, "FILE", "and with the documents'", 0, 0, 0},
        {"json", OPTION_FLAG, &settings.json, NULL, "a JSON object a measure", 0, 0, 0},
        {0},
    };
    struct arena arena = {0};
    struct error err;
    size_t words_n;
    int status = options_parse(&eval_command_compare, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 3)
        return options_wrong(&eval_command_compare, "two runs and their judgments are needed");
    if ((settings.queries || settings.corpus) && !settings.report.html)
        return options_wrong(&eval_command_compare, "--queries and --corpus are for --report");
    settings.paths[0] = argv[0];
    settings.paths[1] = argv[1];
    settings.qrels = argv[2];
    status = compare(&settings, &arena, &err) ? EXIT_DONE : command_failed(&err);
    arena_done(&arena);
    return status;
}

/* "1,.5": a weight a run; all 1 where none are given. */
static bool weights_parse(const char *list, size_t n, float *out, struct error *err) {
    for (size_t i = 0; i < n; i++) {
        char *end;
        out[i] = list ? strtof(list, &end) : 1;
        if (list && (end == list || !(out[i] >= 0) || *end != (i + 1 < n ? ',' : '\0')))
            return error_set(err, ERROR_INVALID,
                             "--weights needs %zu numbers from 0, such as 1,.5: one a run", n);
        if (list)
            list = end + 1;
    }
    return true;
}

static bool fuse_files(const char *out, char **paths, size_t n, const float *weights,
                       enum fuse_method method, uint32_t depth, struct error *err) {
    struct arena arena = {0};
    struct run runs[FUSE_RUNS_MAX], fused;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++)
        ok = run_read(paths[i], &arena, &runs[i], err);
    if (ok) {
        fused = fuse_runs(runs, weights, n, method, depth, &arena);
        ok = run_write(out, &fused, fuse_method_name(method), err);
    }
    arena_done(&arena);
    return ok;
}

static int run_fuse(int argc, char **argv) {
    const char *fusion = "rrf", *weights_list = NULL;
    uint32_t depth = FUSE_DEPTH_DEFAULT;
    const struct option table[] = {
        {"fusion", OPTION_TEXT, &fusion, "F", "rrf (default), zscore, weighted, minmax or dbsf", 0,
         0, 0},
        {"weights", OPTION_TEXT, &weights_list, "W,..", "one a run (default: all 1)", 0, 0, 0},
        {"depth", OPTION_NUMBER, &depth, "N", "hits a query (default: 1000)", 1, 1000000, 'k'},
        {0},
    };
    float weights[FUSE_RUNS_MAX];
    enum fuse_method method;
    struct error err;
    size_t words_n;
    int status = options_parse(&eval_command_fuse, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n < 2 || words_n > FUSE_RUNS_MAX + 1)
        return options_wrong(&eval_command_fuse, "a run to write and 1 to %d runs are needed",
                             FUSE_RUNS_MAX);
    if (!fuse_method_parse(fusion, &method, &err) ||
        !weights_parse(weights_list, words_n - 1, weights, &err))
        return options_wrong(&eval_command_fuse, "%s", err.message);
    return fuse_files(argv[0], argv + 1, words_n - 1, weights, method, depth, &err)
               ? EXIT_DONE
               : command_failed(&err);
}

const struct command eval_command_run = {"eval run", "RUN QRELS", "measures a TREC run", run_run};
const struct command eval_command_compare = {
    "eval compare", "A B QRELS", "is B better than A, or was it these queries?", run_compare};
const struct command eval_command_fuse = {"eval fuse", "OUT RUN...", "makes one run of several",
                                          run_fuse};
