/* tercet eval - runs a benchmark: its corpus into an index, its queries through search, and the
 * measures that papers print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/eval/eval_commands.h"
#include "tools/eval/evaluation.h"
#include "tools/eval/report_eval.h"
#include "tools/scratch.h"
#include "tools/search_options.h"

/* Deep enough for recall@100, and one more for a document that is its own query. */
enum { DEPTH_DEFAULT = 101 };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void line_make(struct evaluation *e, size_t row, const char *model) {
    const struct eval_settings *settings = e->settings;
    const struct judged_queries *judged = &e->benchmark.judged;
    struct eval_line *line = &e->lines[row];
    size_t n = judged->n, measures_n = e->measures.n;
    line->row = &e->rows[row];
    e->values[row] = run_values(e->answers[row].run.queries, judged, &e->measures, &e->arena);
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < measures_n; m++)
            line->means[m] += e->values[row][i * measures_n + m] / (double)n;
    double *took = e->answers[row].took_ms;
    qsort(took, n, sizeof *took, compare_doubles);
    line->query_ms_p50 = took[n / 2];
    line->query_ms_p99 = took[n - 1 - n / 100];
    const struct eval_published_of of = {settings->kind, settings->folder, e->benchmark.lang, model,
                                         e->reranker};
    line->published = eval_published(&of, &e->rows[row].request);
}

/* Where nDCG@10 stands among the measures; -1: it was not asked for. */
static int ndcg_10_of(const struct measure_list *measures) {
    for (size_t m = 0; m < measures->n; m++)
        if (measures->items[m].kind == MEASURE_NDCG && measures->items[m].depth == 10)
            return (int)m;
    return -1;
}

struct json *eval_line_json(const struct evaluation *e, const struct eval_line *line) {
    struct json *json = json_new_object();
    int ndcg = ndcg_10_of(&e->measures);
    json_add_string(json, "dataset", e->settings->folder);
    json_add_string(json, "split", e->benchmark.split);
    if (*e->benchmark.lang)
        json_add_string(json, "lang", e->benchmark.lang);
    json_add_string(json, "modes", line->row->name);
    if (line->row->request.rerank.wanted) {
        json_add_string(json, "reranker", e->reranker);
        json_add_number(json, "rerank_depth", line->row->request.rerank.top);
    }
    for (size_t m = 0; m < e->measures.n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(e->measures.items[m], name);
        json_add_number(json, name, line->means[m]);
    }
    if (line->published > 0 && ndcg >= 0) {
        json_add_number(json, "published_ndcg@10", line->published);
        json_add_number(json, "difference", line->means[ndcg] - line->published);
    }
    json_add_number(json, "queries", (double)e->benchmark.judged.n);
    json_add_number(json, "documents", (double)e->totals.documents_n);
    json_add_number(json, "encode_tokens_per_s", e->totals.tokens_per_s);
    json_add_number(json, "index_s", e->totals.seconds);
    json_add_number(json, "query_ms_p50", line->query_ms_p50);
    json_add_number(json, "query_ms_p99", line->query_ms_p99);
    return json;
}

static void print_json(const struct evaluation *e, const struct eval_line *line) {
    struct json *json = eval_line_json(e, line);
    struct buf out = {0};
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(const struct evaluation *e) {
    enum { COLUMNS = 13 };
    const int name_columns = *e->reranker ? 25 : 18; /* of all modes' names */
    const char *lang = e->benchmark.lang;
    int ndcg = ndcg_10_of(&e->measures);
    printf("%s (%s%s%s): %zu queries, %zu documents; index %.1f s, %.0f tokens/s\n",
           e->settings->folder, lang, *lang ? " " : "", e->benchmark.split, e->benchmark.judged.n,
           e->totals.documents_n, e->totals.seconds, e->totals.tokens_per_s);
    if (*e->reranker)
        printf("rerank: %s reads the best %u again\n", e->reranker,
               e->settings->request.rerank.top);
    printf("%-*s", name_columns, "");
    for (size_t m = 0; m < e->measures.n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(e->measures.items[m], name);
        printf(" %*s", COLUMNS - 1, name);
    }
    printf("   query ms p50 / p99\n");
    for (size_t r = 0; r < e->rows_n; r++) {
        const struct eval_line *line = &e->lines[r];
        printf("%-*s", name_columns, line->row->name);
        for (size_t m = 0; m < e->measures.n; m++)
            printf(" %*.4f", COLUMNS - 1, line->means[m]);
        printf("   %.1f / %.1f", line->query_ms_p50, line->query_ms_p99);
        if (line->published > 0 && ndcg >= 0)
            printf("   ndcg@10 published %.4f, difference %+.4f", line->published,
                   line->means[ndcg] - line->published);
        printf("\n");
    }
}

/* "out.trec", or "out.dense,sparse.trec" for one of a table's rows. */
static const char *file_of_row(struct evaluation *e, const char *path, size_t row) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t stem = dot ? (size_t)(dot - path) : strlen(path);
    if (e->rows_n == 1)
        return path;
    return arena_format(&e->arena, "%.*s.%s%s", (int)stem, path, e->rows[row].name, dot ? dot : "");
}

/* A value a query, row and measure, for tables and plots made elsewhere. */
static bool write_values(const struct evaluation *e, const char *path, struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, "%s", path);
    fprintf(out, "modes\tquery\tmeasure\tvalue\n");
    for (size_t r = 0; r < e->rows_n; r++)
        for (size_t i = 0; i < e->benchmark.judged.n; i++)
            for (size_t m = 0; m < e->measures.n; m++) {
                char name[MEASURE_NAME_BYTES];
                measure_name(e->measures.items[m], name);
                fprintf(out, "%s\t%s\t%s\t%.9g\n", e->rows[r].name,
                        e->benchmark.judged.queries[i].id, name,
                        e->values[r][i * e->measures.n + m]);
            }
    bool failed = ferror(out) != 0;
    return (fclose(out) == 0 && !failed) || error_set_errno(err, "%s", path);
}

static bool write_files(struct evaluation *e, struct error *err) {
    const struct eval_settings *settings = e->settings;
    for (size_t r = 0; settings->run_file && r < e->rows_n; r++)
        if (!run_write(file_of_row(e, settings->run_file, r), &e->answers[r].run, "tercet", err))
            return false;
    return !settings->values_file || write_values(e, settings->values_file, err);
}

/* Before the corpus is read, which may take hours. NULL: none is wanted. */
static bool reranker_open_model(struct evaluation *e, struct model **out, struct error *err) {
    struct model_options options = e->settings->model;
    struct model *model = NULL;
    e->reranker = "";
    *out = NULL;
    options.name = e->settings->reranker;
    if (!options.name)
        return true;
    if (!model_open(&options, &model, err))
        return error_wrap(err, "--rerank: ");
    if (!model_info(model)->is_reranker) {
        error_set(err, ERROR_UNSUPPORTED, "--rerank: %s is no cross-encoder", options.name);
        model_close(model);
        return false;
    }
    e->reranker = report_name_of(model_info(model)->name, &e->arena);
    *out = model;
    return true;
}

static bool eval_in(struct evaluation *e, const char *folder, struct error *err) {
    const struct eval_settings *settings = e->settings;
    struct model *model = NULL, *reranker = NULL;
    struct index *index = NULL;
    struct ingest_job job = {
        .folder = folder,
        .paths = &e->benchmark.corpus,
        .paths_n = 1,
        .reader = {.columns = e->benchmark.columns},
        .choices = {.analyzer = settings->analyzer,
                    .length_max = settings->length_max,
                    .chunk_given = settings->chunk_tokens > 0,
                    .chunk_tokens = settings->chunk_tokens,
                    .chunk_overlap = settings->chunk_overlap,
                    .pool_tokens = settings->pool_tokens},
        .threads = settings->threads,
    };
    bool ok = model_open(&settings->model, &model, err) && reranker_open_model(e, &reranker, err) &&
              ingest_job_run(&job, model, &index, &e->totals, err);
    if (ok) {
        e->rows_n = eval_rows(settings->kind, index_settings_of(index), &settings->request,
                              settings->table, &e->arena, e->rows);
        struct eval_asking asking = {index, model, e->rows, e->rows_n, reranker, settings->threads};
        ok = eval_ask(&asking, &e->benchmark, &e->arena, e->answers, err);
    }
    if (ok) {
        for (size_t r = 0; r < e->rows_n; r++)
            line_make(e, r, model_info(model)->name);
        ok = write_files(e, err);
    }
    if (ok && settings->json)
        for (size_t r = 0; r < e->rows_n; r++)
            print_json(e, &e->lines[r]);
    else if (ok)
        print_text(e);
    /* Last: what took hours to measure is printed even when these files cannot be written. */
    ok = ok && report_eval(e, index, model, err);
    index_close(index);
    model_close(reranker);
    model_close(model);
    return ok;
}

static int eval(const struct eval_settings *settings) {
    struct evaluation e = {.settings = settings};
    struct error err;
    const char *folder = settings->index;
    char temporary[SCRATCH_PATH_MAX] = "";
    bool ok = benchmark_read(settings->kind, settings->folder, settings->split, settings->lang,
                             &e.arena, &e.benchmark, &err) &&
              measures_parse(settings->measures ? settings->measures : e.benchmark.measures,
                             &e.measures, &err);
    if (ok && !folder) {
        ok = scratch_make("eval", temporary, &err);
        folder = temporary;
    }
    ok = ok && eval_in(&e, folder, &err);
    scratch_remove(temporary);
    arena_done(&e.arena);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run_benchmark(int argc, char **argv) {
    struct eval_settings settings = {.request.k = DEPTH_DEFAULT,
                                     .chunk_overlap = INGEST_OVERLAP_DEFAULT};
    struct search_request *request = &settings.request;
    struct search_options words = {0};
    const struct option table[] = {
        {"split", OPTION_TEXT, &settings.split, "NAME", "judgments to use (default: test)", 0, 0,
         0},
        {"lang", OPTION_TEXT, &settings.lang, "CODE", "of a benchmark of several languages", 0, 0,
         0},
        {"index", OPTION_TEXT, &settings.index, "INDEX",
         "keep the index there, and use it again (default: a temporary one)", 0, 0, 0},
        {"model", OPTION_TEXT, &settings.model.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"table", OPTION_FLAG, &settings.table, NULL,
         "dense, sparse, multi and what they give together, in one pass", 0, 0, 0},
        SEARCH_OPTION_ROWS(words, *request),
        {"rerank", OPTION_TEXT, &settings.reranker, "M",
         "folder or name of a cross-encoder: one more row, what all modes find reranked", 0, 0, 0},
        {"rerank-depth", OPTION_NUMBER, &request->rerank.top, "N",
         "how many of the best (default: 100)", 1, SEARCH_RERANK_MAX, 0},
        {"depth", OPTION_NUMBER, &settings.request.k, "N", "hits a query (default: 101)", 10,
         SEARCH_K_MAX, 'k'},
        {"measures", OPTION_TEXT, &settings.measures, "LIST",
         "such as ndcg@10,recall@100,precision@5,mrr@10,map,hit@20,hole@10", 0, 0, 0},
        {"analyzer", OPTION_TEXT, &settings.analyzer, "A",
         "words:en or model (default: the model's)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.length_max, "N", "at most N tokens a document", 3,
         1u << 20, 0},
        {"chunk-tokens", OPTION_NUMBER, &settings.chunk_tokens, "N",
         "cut documents into passages of at most N tokens", 8, 1u << 20, 0},
        {"chunk-overlap", OPTION_NUMBER, &settings.chunk_overlap, "N",
         "tokens that a passage may share with the one before (default: an eighth)", 0, 1u << 19,
         0},
        {"pool-tokens", OPTION_NUMBER, &settings.pool_tokens, "N",
         "keep the token vectors of N neighbours as one (default: 1)", 1, INDEX_POOL_TOKENS_MAX, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"run", OPTION_TEXT, &settings.run_file, "FILE", "write the ranking as a TREC run", 0, 0,
         0},
        {"per-query", OPTION_TEXT, &settings.values_file, "FILE",
         "write each query's measures as TSV", 0, 0, 0},
        REPORT_OPTION_ROWS(settings.report),
        {"json", OPTION_FLAG, &settings.json, NULL, "a JSON object a row", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_eval, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2 || !benchmark_is_kind(argv[0]))
        return options_wrong(&command_eval, "a kind of benchmark (%s) and its folder are needed",
                             benchmark_kinds());
    if (request->rerank.top && !settings.reranker)
        return options_wrong(&command_eval, "--rerank-depth needs --rerank M");
    request->rerank.wanted = settings.reranker != NULL;
    request->rerank.top = request->rerank.top ? request->rerank.top : EVAL_RERANK_DEPTH;
    settings.kind = argv[0];
    settings.folder = argv[1];
    if (!search_options_apply(&words, request, &settings.model, &err))
        return options_wrong(&command_eval, "%s", err.message);
    return eval(&settings);
}

/* What needs no index has commands of its own. */
static int run(int argc, char **argv) {
    static const struct command *const others[] = {
        &eval_command_run,   &eval_command_compare, &eval_command_fuse,    &eval_command_sts,
        &eval_command_pairs, &eval_command_rerank,  &eval_command_cluster, &eval_command_classify,
    };
    for (size_t i = 0; argc > 1 && i < sizeof others / sizeof *others; i++)
        if (strcmp(argv[1], others[i]->name + strlen("eval ")) == 0)
            return others[i]->run(argc - 1, argv + 1);
    return run_benchmark(argc, argv);
}

const struct command command_eval = {
    "eval", "KIND FOLDER | run | compare | fuse | sts | pairs | rerank | cluster | classify",
    "measures quality: beir, miracl, mldr, mkqa, msmarco, TREC runs, MTEB's other tasks", run};
