/* tercet eval - runs a benchmark: its corpus into an index, its queries through search, and the
 * measures that papers print. */
#include <assert.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/eval/eval_commands.h"
#include "tools/eval/evaluation.h"
#include "tools/eval/report_eval.h"
#include "tools/eval/report_sets.h"
#include "tools/scratch.h"
#include "tools/search_options.h"

/* Deep enough for recall@100, and one more for a document that is its own query. */
enum { DEPTH_DEFAULT = 101 };

/* What all sets have in common. */
struct parts {
    const struct eval_settings *settings;
    struct model *model, *reranker; /* reranker NULL: none is wanted */
    struct index *index;            /* of the set in hand */
};

/* Before a corpus is read, which may take hours. */
static bool parts_open(struct parts *parts, struct error *err) {
    struct model_options reranker = parts->settings->model;
    reranker.name = parts->settings->reranker;
    if (!model_open(&parts->settings->model, &parts->model, err))
        return false;
    if (!reranker.name)
        return true;
    if (!model_open(&reranker, &parts->reranker, err))
        return error_wrap(err, "--rerank: ");
    return model_info(parts->reranker)->is_reranker ||
           error_set(err, ERROR_UNSUPPORTED, "--rerank: %s is no cross-encoder", reranker.name);
}

static void parts_close(struct parts *parts) {
    index_close(parts->index);
    model_close(parts->reranker);
    model_close(parts->model);
}

static bool fill_index(struct parts *parts, struct evaluation *e, const char *folder,
                       struct error *err) {
    const struct eval_settings *settings = parts->settings;
    const struct ingest_job job = {
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
    index_close(parts->index);
    parts->index = NULL;
    return ingest_job_run(&job, parts->model, &parts->index, &e->totals, err);
}

/* Searched, judged, its files written and its table printed. */
static bool eval_set(struct parts *parts, const struct eval_sets *sets, struct evaluation *e,
                     struct error *err) {
    const struct eval_settings *settings = parts->settings;
    e->model = model_info(parts->model)->name;
    if (parts->reranker)
        e->reranker = report_name_of(model_info(parts->reranker)->name, &e->arena);
    e->index = *index_settings_of(parts->index);
    e->rows_n = eval_rows(settings->kind, &e->index, &settings->request, settings->table, &e->arena,
                          e->rows);
    assert(e->rows_n == sets->items[0].rows_n); /* offered by the model, which is one */
    struct eval_asking asking = {parts->index, parts->model,    e->rows,
                                 e->rows_n,    parts->reranker, settings->threads};
    if (!eval_ask(&asking, &e->benchmark, &e->arena, e->answers, err))
        return false;
    eval_lines_make(e);
    if (!eval_write_files(e, err))
        return false;
    eval_print(e);
    return true;
}

/* One corpus lies in the folder itself, several in folders below it, named as their first set. */
static const char *index_folder_of(struct eval_sets *sets, size_t i, const char *folder) {
    size_t first = 0, shared_n = 0;
    while (!eval_sets_share(sets, first, i))
        first++;
    for (size_t j = 0; j < sets->n; j++)
        shared_n += eval_sets_share(sets, 0, j);
    return shared_n == sets->n
               ? folder
               : arena_format(&sets->arena, "%s/%s", folder, sets->items[first].label);
}

/* pages: an array, to which each set's is added as long as its index is open. */
static bool eval_sets(struct eval_sets *sets, struct parts *parts, const char *folder, bool keep,
                      struct json *pages, struct error *err) {
    bool ok = true;
    for (size_t i = 0; i < sets->n && ok; i++) {
        struct evaluation *e = &sets->items[i];
        const char *own = index_folder_of(sets, i, folder);
        struct json *page = NULL;
        if (i > 0 && eval_sets_share(sets, i, i - 1))
            e->totals = sets->items[i - 1].totals;
        else
            ok = fill_index(parts, e, own, err);
        ok = ok && eval_set(parts, sets, e, err) &&
             (!parts->settings->report.html ||
              report_eval_page(e, parts->index, model_info(parts->model), &page, err));
        if (page)
            json_push(pages, page);
        /* The corpora of 18 languages are more than a disk of temporary files may hold. */
        if (!keep && ok && i + 1 < sets->n && !eval_sets_share(sets, i, i + 1)) {
            index_close(parts->index);
            parts->index = NULL;
            scratch_remove(own);
        }
    }
    return ok;
}

static bool eval(const struct eval_settings *settings, struct eval_sets *sets, struct error *err) {
    struct parts parts = {.settings = settings};
    struct json *pages = json_new_array();
    char temporary[SCRATCH_PATH_MAX] = "";
    bool ok = eval_sets_read(sets, err) && parts_open(&parts, err) &&
              (settings->index || scratch_make("eval", temporary, err)) &&
              eval_sets(sets, &parts, settings->index ? settings->index : temporary,
                        settings->index != NULL, pages, err);
    if (ok && sets->n > 1)
        eval_sets_print(sets);
    /* Last: what took hours to measure is printed even when these files cannot be written. */
    ok = ok && report_sets(sets, pages, model_info(parts.model), err);
    parts_close(&parts);
    scratch_remove(temporary);
    json_release(pages);
    return ok;
}

static int run_benchmark(int argc, char **argv) {
    struct eval_settings settings = {.request.k = DEPTH_DEFAULT,
                                     .chunk_overlap = INGEST_OVERLAP_DEFAULT};
    struct search_request *request = &settings.request;
    struct search_options words = {0};
    struct eval_sets sets;
    const char *lang = NULL;
    const struct option table[] = {
        {"split", OPTION_TEXT, &settings.split, "NAME", "judgments to use (default: test)", 0, 0,
         0},
        {"lang", OPTION_TEXT, &lang, "CODE",
         "of a benchmark of several languages; several, as ar,en: a table each and one of all", 0,
         0, 0},
        {"index", OPTION_TEXT, &settings.index, "INDEX",
         "keep the index there, and use it again (default: a temporary one); of several sets, each "
         "below it",
         0, 0, 0},
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
    if (words_n < 2 || !benchmark_is_kind(argv[0]))
        return options_wrong(&command_eval, "a kind of benchmark (%s) and its folder are needed",
                             benchmark_kinds());
    if (request->rerank.top && !settings.reranker)
        return options_wrong(&command_eval, "--rerank-depth needs --rerank M");
    request->rerank.wanted = settings.reranker != NULL;
    request->rerank.top = request->rerank.top ? request->rerank.top : EVAL_RERANK_DEPTH;
    settings.kind = argv[0];
    if (!search_options_apply(&words, request, &settings.model, &err))
        return options_wrong(&command_eval, "%s", err.message);
    if (!eval_sets_make(&settings, argv + 1, words_n - 1, lang, &sets, &err))
        status = options_wrong(&command_eval, "%s", err.message);
    else
        status = eval(&settings, &sets, &err) ? EXIT_DONE : command_failed(&err);
    eval_sets_done(&sets);
    return status;
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
    "eval", "KIND FOLDER... | run | compare | fuse | sts | pairs | rerank | cluster | classify",
    "measures quality: beir, miracl, mldr, mkqa, msmarco, TREC runs, MTEB's other tasks", run};
