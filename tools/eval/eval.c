/* tercet eval - runs a benchmark: its corpus into an index, its queries through search, and the
 * measures that papers print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "query/search.h"
#include "tools/commands.h"
#include "tools/eval/beir.h"
#include "tools/eval/measures.h"
#include "tools/ingest_job.h"
#include "tools/search_options.h"

/* Deep enough for recall@100, and one more for a document that is its own query. */
enum { DEPTH_DEFAULT = 101 };

struct eval_settings {
    const char *folder, *split, *index, *run_file;
    struct model_options model;
    struct search_request request;
    uint32_t threads, length_max;
    const char *analyzer;
    bool json;
};

struct answer {
    struct run_hit *hits; /* [hits_n], in memory of its own */
    size_t hits_n;
    double took_ms;
};

/* Everything the workers share; each has a searcher and an arena of its own. */
struct eval_run {
    const struct eval_settings *settings;
    const struct judged_queries *queries;
    struct searcher **searchers; /* [workers] */
    struct arena *arenas;        /* [workers] */
    struct error *errors;        /* [workers] */
    bool *failed;                /* [workers] */
    struct answer *answers;      /* [queries] */
};

/* A document that is the query itself (ArguAna, Quora) is left out, as BEIR does. */
static void answer_keep(const struct search_result *result, const struct judged_query *query,
                        struct answer *answer) {
    answer->hits = mem_alloc(result->hits_n, sizeof *answer->hits);
    answer->took_ms = result->timing.total_ms;
    for (size_t i = 0; i < result->hits_n; i++) {
        const struct search_hit *hit = &result->hits[i];
        if (strcmp(hit->document.key, query->id) == 0)
            continue;
        answer->hits[answer->hits_n++] =
            (struct run_hit){mem_strdup(hit->document.key), hit->scores.score};
    }
}

static void ask_one(void *context, size_t item, size_t worker) {
    struct eval_run *run = context;
    const struct judged_query *query = &run->queries->queries[item];
    struct search_request request = run->settings->request;
    struct search_result result;
    if (run->failed[worker])
        return;
    request.query = query->text;
    request.query_len = query->text_len;
    if (search_run(run->searchers[worker], &request, &run->arenas[worker], &result,
                   &run->errors[worker]))
        answer_keep(&result, query, &run->answers[item]);
    else
        run->failed[worker] = true;
    arena_reset(&run->arenas[worker]);
}

/* All queries, spread over the cores. */
static bool ask_all(struct index *index, const struct model *model, struct eval_run *run,
                    struct error *err) {
    struct pool *pool = pool_open(run->settings->threads);
    size_t workers_n = pool_workers_n(pool);
    bool ok = true;
    run->searchers = mem_zalloc(workers_n, sizeof *run->searchers);
    run->arenas = mem_zalloc(workers_n, sizeof *run->arenas);
    run->errors = mem_zalloc(workers_n, sizeof *run->errors);
    run->failed = mem_zalloc(workers_n, sizeof *run->failed);
    for (size_t i = 0; i < workers_n && ok; i++)
        ok = searcher_open(index, model, &run->searchers[i], err);
    if (ok)
        pool_run(pool, run->queries->n, ask_one, run);
    for (size_t i = 0; i < workers_n; i++) {
        if (ok && run->failed[i]) {
            *err = run->errors[i];
            ok = false;
        }
        searcher_close(run->searchers[i]);
        arena_done(&run->arenas[i]);
    }
    free(run->searchers);
    free(run->arenas);
    free(run->errors);
    free(run->failed);
    pool_close(pool);
    return ok;
}

/* TREC's format: qid Q0 docid rank score tag. */
static bool write_run(const char *path, const struct eval_run *run, struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, "%s", path);
    for (size_t i = 0; i < run->queries->n; i++)
        for (size_t rank = 0; rank < run->answers[i].hits_n; rank++)
            fprintf(out, "%s Q0 %s %zu %.9g tercet\n", run->queries->queries[i].id,
                    run->answers[i].hits[rank].doc_key, rank + 1,
                    (double)run->answers[i].hits[rank].score);
    return fclose(out) == 0 || error_set_errno(err, "%s", path);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct eval_report {
    struct measures mean;
    double query_ms_p50, query_ms_p99;
};

static struct eval_report report_make(const struct eval_run *run) {
    struct eval_report report = {0};
    struct arena arena = {0};
    size_t n = run->queries->n;
    double *took = mem_alloc(n, sizeof *took);
    for (size_t i = 0; i < n; i++) {
        struct answer *answer = &run->answers[i];
        struct measures one =
            measures_of(&run->queries->queries[i], answer->hits, answer->hits_n, &arena);
        report.mean.ndcg_10 += one.ndcg_10 / (double)n;
        report.mean.recall_100 += one.recall_100 / (double)n;
        report.mean.mrr_10 += one.mrr_10 / (double)n;
        report.mean.map += one.map / (double)n;
        took[i] = answer->took_ms;
        arena_reset(&arena);
    }
    qsort(took, n, sizeof *took, compare_doubles);
    report.query_ms_p50 = took[n / 2];
    report.query_ms_p99 = took[n - 1 - n / 100];
    free(took);
    arena_done(&arena);
    return report;
}

static void modes_text(unsigned modes, char out[32]) {
    out[0] = '\0';
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (modes & (1u << mode)) {
            strcat(out, out[0] ? "," : "");
            strcat(out, fuse_mode_name((enum fuse_mode)mode));
        }
}

static void print_report(const struct eval_settings *settings, const char *split,
                         const struct eval_run *run, const struct eval_report *report,
                         const struct ingest_totals *totals, unsigned modes) {
    char modes_list[32];
    modes_text(modes, modes_list);
    if (!settings->json) {
        printf("%s (%s), %s: %zu queries, %zu documents\n", settings->folder, split, modes_list,
               run->queries->n, totals->documents_n);
        printf("  ndcg@10 %.4f   recall@100 %.4f   mrr@10 %.4f   map %.4f\n", report->mean.ndcg_10,
               report->mean.recall_100, report->mean.mrr_10, report->mean.map);
        printf("  query p50 %.1f ms, p99 %.1f ms; index %.1f s, %.0f tokens/s\n",
               report->query_ms_p50, report->query_ms_p99, totals->seconds, totals->tokens_per_s);
        return;
    }
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add_string(json, "dataset", settings->folder);
    json_add_string(json, "split", split);
    json_add_string(json, "modes", modes_list);
    json_add_number(json, "ndcg@10", report->mean.ndcg_10);
    json_add_number(json, "recall@100", report->mean.recall_100);
    json_add_number(json, "mrr@10", report->mean.mrr_10);
    json_add_number(json, "map", report->mean.map);
    json_add_number(json, "queries", (double)run->queries->n);
    json_add_number(json, "documents", (double)totals->documents_n);
    json_add_number(json, "encode_tokens_per_s", totals->tokens_per_s);
    json_add_number(json, "index_s", totals->seconds);
    json_add_number(json, "query_ms_p50", report->query_ms_p50);
    json_add_number(json, "query_ms_p99", report->query_ms_p99);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void answers_free(struct answer *answers, size_t n) {
    for (size_t i = 0; answers && i < n; i++) {
        for (size_t j = 0; j < answers[i].hits_n; j++)
            free((char *)(uintptr_t)answers[i].hits[j].doc_key);
        free(answers[i].hits);
    }
    free(answers);
}

static bool eval_in(const struct eval_settings *settings, const char *folder,
                    const struct judged_queries *queries, const char *split, struct error *err) {
    struct model *model = NULL;
    struct index *index = NULL;
    struct ingest_totals totals;
    struct eval_run run = {.settings = settings, .queries = queries};
    struct ingest_job job = {
        .folder = folder,
        .paths = &settings->folder,
        .paths_n = 1,
        .choices = {.analyzer = settings->analyzer, .length_max = settings->length_max},
        .threads = settings->threads,
    };
    run.answers = mem_zalloc(queries->n, sizeof *run.answers);
    bool ok = model_open(&settings->model, &model, err) &&
              ingest_job_run(&job, model, &index, &totals, err) &&
              ask_all(index, model, &run, err) &&
              (!settings->run_file || write_run(settings->run_file, &run, err));
    if (ok) {
        struct eval_report report = report_make(&run);
        unsigned modes = settings->request.modes ? settings->request.modes
                                                 : search_modes_of(index_settings_of(index));
        print_report(settings, split, &run, &report, &totals, modes);
    }
    answers_free(run.answers, queries->n);
    index_close(index);
    model_close(model);
    return ok;
}

static void folder_remove(const char *folder) {
    struct buf command = {0};
    buf_format(&command, "rm -rf '%s'", folder); /* the name is mkdtemp's: no quote in it */
    if (system(command.data) != 0)
        fprintf(stderr, "tercet: could not remove %s\n", folder);
    buf_done(&command);
}

static int eval(const struct eval_settings *settings) {
    struct arena arena = {0};
    struct judged_queries queries;
    struct error err;
    const char *split, *folder = settings->index;
    char *temporary = NULL;
    bool ok = beir_read(settings->folder, settings->split, &arena, &queries, &split, &err);
    if (ok && !folder) {
        const char *place = getenv("TMPDIR");
        temporary = arena_format(&arena, "%s/tercet-eval-XXXXXX", place ? place : "/tmp");
        folder = mkdtemp(temporary);
        if (!folder)
            ok = error_set_errno(&err, "%s: a temporary folder", temporary);
    }
    ok = ok && eval_in(settings, folder, &queries, split, &err);
    if (temporary && folder)
        folder_remove(folder);
    arena_done(&arena);
    return ok ? EXIT_DONE : command_failed(&err);
}

static int run(int argc, char **argv) {
    struct eval_settings settings = {.request.k = DEPTH_DEFAULT};
    struct search_request *request = &settings.request;
    struct search_options words = {0};
    const struct option table[] = {
        {"split", OPTION_TEXT, &settings.split, "NAME", "judgments to use (default: test)", 0, 0,
         0},
        {"index", OPTION_TEXT, &settings.index, "INDEX",
         "keep the index there, and use it again (default: a temporary one)", 0, 0, 0},
        {"model", OPTION_TEXT, &settings.model.name, "M", "folder or name of a model", 0, 0, 'm'},
        SEARCH_OPTION_ROWS(words, *request),
        {"depth", OPTION_NUMBER, &settings.request.k, "N", "hits a query (default: 101)", 10,
         SEARCH_K_MAX, 'k'},
        {"analyzer", OPTION_TEXT, &settings.analyzer, "A",
         "words:en or model (default: the model's)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.length_max, "N", "at most N tokens a document", 3,
         1u << 20, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"run", OPTION_TEXT, &settings.run_file, "FILE", "write the ranking as a TREC run", 0, 0,
         0},
        {"json", OPTION_FLAG, &settings.json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_eval, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2 || strcmp(argv[0], "beir") != 0)
        return options_wrong(&command_eval, "a kind of benchmark (beir) and its folder are needed");
    settings.folder = argv[1];
    if (!search_options_apply(&words, request, &settings.model, &err))
        return options_wrong(&command_eval, "%s", err.message);
    return eval(&settings);
}

const struct command command_eval = {"eval", "beir FOLDER", "measures quality on a benchmark", run};
