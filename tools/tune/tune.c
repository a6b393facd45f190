/* tercet tune - finds the fusion and weights that order a collection's judged queries best, says
 * what they are worth on queries they were not made from, and keeps them in the collection. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "ingest/settings.h"
#include "query/search.h"
#include "query/tuned.h"
#include "tools/commands.h"
#include "tools/eval/benchmark.h"
#include "tools/eval/measures.h"
#include "tools/eval/significance.h"
#include "tools/search_options.h"
#include "tools/tune/sweep.h"

enum {
    FOLDS = 5,
    QUERIES_MIN = 10, /* two a fold: below that no interval means anything */
};

struct tuning {
    struct model_options model;
    struct search_request request;
    uint32_t threads, seed;
    bool force, dry, json;
    struct benchmark benchmark;
    struct sweep_query *queries; /* [judged.n] */
    struct sweep sweep;
    struct fuse_plan before; /* what searches do without tuning */
    struct arena arena;
};

/* ---- the candidates of every query, scored in every mode ---- */

struct asker {
    struct searcher *searcher;
    struct arena scratch, keep;
    struct error error;
    bool failed;
};

struct asked {
    struct tuning *tuning;
    struct asker *askers;
};

static double ideal_of(const struct judged_query *query, struct arena *arena) {
    struct ranking ranking = ranking_make(query, NULL, 0, arena);
    double best = 0;
    for (size_t i = 0; i < ranking.relevant_n && i < 10; i++)
        best += ranking.ideal[i] / log2((double)i + 2);
    return best;
}

static void keep_candidates(struct tuning *tuning, const struct judged_query *judged,
                            const struct search_result *result, struct asker *asker,
                            struct sweep_query *out) {
    struct map relevances = {0};
    int *gains = ARENA_NEW(&asker->keep, int, result->hits_n + 1);
    out->candidates = ARENA_NEW(&asker->keep, struct fuse_candidate, result->hits_n + 1);
    for (size_t i = 0; i < judged->judgments_n; i++)
        *map_put(&relevances, judged->judgments[i].doc_key, strlen(judged->judgments[i].doc_key), 0,
                 NULL) =
            (uint32_t)(judged->judgments[i].relevance > 0 ? judged->judgments[i].relevance : 0);
    for (size_t i = 0; i < result->hits_n; i++) {
        const struct document *document = &result->hits[i].document;
        if (tuning->benchmark.drops_itself && strcmp(document->key, judged->id) == 0)
            continue;
        const uint32_t *gain = map_find(&relevances, document->key, document->key_len);
        gains[out->n] = gain ? (int)*gain : 0;
        out->candidates[out->n++] = result->hits[i].scores;
    }
    out->gains = gains;
    map_done(&relevances);
}

static void ask_one(void *context, size_t item, size_t worker) {
    struct asked *asked = context;
    struct tuning *tuning = asked->tuning;
    struct asker *asker = &asked->askers[worker];
    const struct judged_query *judged = &tuning->benchmark.judged.queries[item];
    struct search_request request = tuning->request;
    struct search_result result;
    if (asker->failed)
        return;
    request.query = judged->text;
    request.query_len = judged->text_len;
    asker->failed = !search_run(asker->searcher, &request, &asker->scratch, &result, &asker->error);
    if (!asker->failed) {
        tuning->queries[item].best = ideal_of(judged, &asker->scratch);
        keep_candidates(tuning, judged, &result, asker, &tuning->queries[item]);
    }
    arena_reset(&asker->scratch);
}

/* Without the queries that nothing relevant is known for: they cannot tell weights apart. */
static bool gather(struct tuning *tuning, struct error *err) {
    struct sweep_query *queries = tuning->queries;
    size_t kept = 0, n = tuning->benchmark.judged.n;
    for (size_t i = 0; i < n; i++)
        if (queries[i].best > 0)
            queries[kept++] = queries[i];
    tuning->sweep = (struct sweep){queries, kept, tuning->before.modes};
    return kept >= QUERIES_MIN || error_set(err, ERROR_INVALID,
                                            "%zu queries with something relevant: at least %d are "
                                            "needed to tell tuning from chance",
                                            kept, QUERIES_MIN);
}

static bool work(struct tuning *tuning, struct index *index, struct error *err);

static bool ask_all(struct tuning *tuning, struct index *index, const struct model *model,
                    struct error *err) {
    struct pool *pool = pool_open(tuning->threads);
    size_t workers_n = pool_workers_n(pool);
    struct asked asked = {tuning, mem_zalloc(workers_n, sizeof(struct asker))};
    bool ok = true;
    for (size_t i = 0; i < workers_n && ok; i++)
        ok = searcher_open(index, model, &asked.askers[i].searcher, err);
    if (ok)
        pool_run(pool, tuning->benchmark.judged.n, ask_one, &asked);
    for (size_t i = 0; i < workers_n && ok; i++)
        if (asked.askers[i].failed) {
            *err = asked.askers[i].error;
            ok = false;
        }
    ok = ok && gather(tuning, err) && work(tuning, index, err);
    for (size_t i = 0; i < workers_n; i++) {
        searcher_close(asked.askers[i].searcher);
        arena_done(&asked.askers[i].scratch);
        arena_done(&asked.askers[i].keep);
    }
    free(asked.askers);
    pool_close(pool);
    return ok;
}

/* ---- what comes of it ---- */

struct verdict {
    struct fuse_plan plan;
    double before, after;     /* mean nDCG@10: of the default, and as it fits these queries */
    struct significance gain; /* cross-validated, against the default */
    bool stored;
};

static void print_plan(const struct fuse_plan *plan, const char *label) {
    printf("%-8s %s", label, fuse_method_name(plan->method));
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (plan->modes & 1u << mode)
            printf(" %s %.3f", fuse_mode_name((enum fuse_mode)mode), (double)plan->weights[mode]);
    putchar('\n');
}

static void print_text(const struct tuning *tuning, const struct verdict *verdict) {
    print_plan(&tuning->before, "before");
    print_plan(&verdict->plan, "tuned");
    printf("ndcg@10  %.4f before, %.4f tuned on these %zu queries\n", verdict->before,
           verdict->after, tuning->sweep.n);
    printf("gain     %+.4f [%+.4f, %+.4f] on queries that took no part (%d folds), p %.4f\n",
           verdict->gain.difference, verdict->gain.low, verdict->gain.high, FOLDS,
           verdict->gain.p_bootstrap);
    puts(verdict->stored ? "stored   as what searches do that name neither fusion nor weights"
         : tuning->dry   ? "not stored (--dry-run)"
                         : "not stored: the gain may be chance (--force stores it all the same)");
}

static struct json *plan_json(const struct fuse_plan *plan) {
    struct buf text = {0};
    struct error ignored;
    tuned_print(plan, &text);
    struct json *json = json_parse(text.data, text.len, &ignored);
    buf_done(&text);
    return json;
}

static void print_json(const struct tuning *tuning, const struct verdict *verdict) {
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add(json, "before", plan_json(&tuning->before));
    json_add(json, "tuned", plan_json(&verdict->plan));
    json_add_number(json, "queries", (double)tuning->sweep.n);
    json_add_number(json, "ndcg@10_before", verdict->before);
    json_add_number(json, "ndcg@10_tuned", verdict->after);
    json_add_number(json, "gain", verdict->gain.difference);
    json_add_number(json, "low", verdict->gain.low);
    json_add_number(json, "high", verdict->gain.high);
    json_add_number(json, "p", verdict->gain.p_bootstrap);
    json_add_bool(json, "stored", verdict->stored);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static double mean(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

static bool store(struct index *index, const struct fuse_plan *plan, struct error *err) {
    struct buf text = {0};
    tuned_print(plan, &text);
    bool ok = ingest_note(index, TUNED_NOTE, text.data, text.len, err);
    buf_done(&text);
    return ok;
}

static bool work(struct tuning *tuning, struct index *index, struct error *err) {
    const struct sweep *sweep = &tuning->sweep;
    size_t n = sweep->n;
    double *before = ARENA_NEW(&tuning->arena, double, n);
    double *after = ARENA_NEW(&tuning->arena, double, n);
    double *held_out = ARENA_NEW(&tuning->arena, double, n);
    bool *all = ARENA_NEW(&tuning->arena, bool, n);
    struct verdict verdict = {0};
    memset(all, true, n);
    sweep_values(sweep, &tuning->before, before);
    sweep_cross_validate(sweep, &tuning->before, FOLDS, tuning->seed, held_out);
    verdict.plan = sweep_best(sweep, all, &tuning->before);
    sweep_values(sweep, &verdict.plan, after);
    verdict.before = mean(before, n);
    verdict.after = mean(after, n);
    verdict.gain = significance_of(before, held_out, n, tuning->seed);
    bool wanted = !tuning->dry && (verdict.gain.low > 0 || tuning->force);
    if (wanted && !store(index, &verdict.plan, err))
        return false;
    verdict.stored = wanted;
    (tuning->json ? print_json : print_text)(tuning, &verdict);
    return true;
}

/* ---- the command ---- */

/* What a search that names nothing does without a tuned note. */
static bool plan_before(struct tuning *tuning, const struct index_settings *settings,
                        struct error *err) {
    struct search_plan plan;
    const char *field;
    struct search_request request = tuning->request;
    request.query = "";
    bool ok = plan_make(&request, settings, &plan, &field, err);
    tuning->before = plan.fuse;
    return ok;
}

static bool tune(struct tuning *tuning, const char *folder, struct error *err) {
    struct model *model = NULL;
    struct index *index = NULL;
    bool ok = index_open(folder, tuning->dry ? INDEX_READ : INDEX_WRITE, &index, err) &&
              plan_before(tuning, index_settings_of(index), err);
    if (ok) {
        const struct index_settings *settings = index_settings_of(index);
        if (!tuning->model.name && settings->model[0])
            tuning->model.name = settings->model;
        /* Asked for by name, a tuned note does not count: candidates are the same either way. */
        tuning->request.fusion_given = tuning->request.weights_given = true;
        tuning->request.fusion = tuning->before.method;
        memcpy(tuning->request.weights, tuning->before.weights, sizeof tuning->before.weights);
        tuning->queries =
            ARENA_ZERO(&tuning->arena, struct sweep_query, tuning->benchmark.judged.n);
        ok = model_open(&tuning->model, &model, err) && ask_all(tuning, index, model, err);
    }
    index_close(index);
    model_close(model);
    return ok;
}

static int run(int argc, char **argv) {
    struct tuning tuning = {.seed = 1};
    struct search_options words = {0};
    const char *split = "train", *lang = NULL;
    const struct option table[] = {
        {"split", OPTION_TEXT, &split, "NAME", "judgments to learn from (default: train)", 0, 0, 0},
        {"lang", OPTION_TEXT, &lang, "CODE", "of a benchmark of several languages", 0, 0, 0},
        {"modes", OPTION_TEXT, &words.modes, "LIST",
         "of dense, sparse, multi (default: all); searches of these are tuned", 0, 0, 0},
        {"model", OPTION_TEXT, &tuning.model.name, "M", "(default: the index's)", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &words.precision, "P", "auto, int8, bf16 or f32", 0, 0, 0},
        {"dry-run", OPTION_FLAG, &tuning.dry, NULL, "only say what would be gained", 0, 0, 0},
        {"force", OPTION_FLAG, &tuning.force, NULL, "store it though the gain may be chance", 0, 0,
         0},
        {"seed", OPTION_NUMBER, &tuning.seed, "N", "of folds and draws (default: 1)", 0, UINT32_MAX,
         0},
        {"threads", OPTION_NUMBER, &tuning.threads, "N", "cores to use (default: all)", 1, 1024, 0},
        {"json", OPTION_FLAG, &tuning.json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_tune, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 3 || !benchmark_is_kind(argv[1]))
        return options_wrong(&command_tune,
                             "an index, a kind of benchmark (%s) and its folder are "
                             "needed",
                             benchmark_kinds());
    if (!search_options_apply(&words, &tuning.request, &tuning.model, &err))
        return options_wrong(&command_tune, "%s", err.message);
    tuning.request.all_hits = true; /* to be ordered again */
    bool ok =
        benchmark_read(argv[1], argv[2], split, lang, &tuning.arena, &tuning.benchmark, &err) &&
        tune(&tuning, argv[0], &err);
    arena_done(&tuning.arena);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_tune = {"tune", "INDEX KIND FOLDER",
                                     "fusion and weights from judged queries", run};
