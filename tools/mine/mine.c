/* tercet mine - hard negatives for training an embedder, and a cross-encoder's scores of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "query/search.h"
#include "tools/commands.h"
#include "tools/ingest_job.h"
#include "tools/mine/choose.h"
#include "tools/scratch.h"
#include "tools/search_options.h"
#include "tools/search_reranker.h"

enum {
    RANGE_FIRST = 10, /* hn_mine's */
    RANGE_LAST = 210,
    NEGATIVES_DEFAULT = 15,
    NEGATIVES_MAX = 1000,
};

struct mining {
    struct mine_choice choice;
    struct mine_rows rows;
    struct model_options model;
    struct search_request request;
    uint32_t threads;
    uint32_t **negatives; /* [rows] */
    size_t *negatives_n;  /* [rows] */
};

/* ---- search ---- */

/* One thread's own. */
struct miner {
    struct searcher *searcher;
    struct arena arena;
    struct mine_candidate *candidates; /* [choice.last] */
    struct error error;
    bool failed;
};

struct search_all {
    struct mining *mining;
    struct miner *miners;
};

static bool mine_row(struct mining *mining, struct miner *miner, size_t number) {
    const struct mine_row *row = &mining->rows.rows[number];
    struct search_request request = mining->request;
    struct search_result result;
    request.query = row->query.text;
    request.query_len = row->query.len;
    if (!search_run(miner->searcher, &request, &miner->arena, &result, &miner->error))
        return false;
    for (size_t i = 0; i < result.hits_n; i++)
        miner->candidates[i] = (struct mine_candidate){
            (uint32_t)strtoul(result.hits[i].document.key, NULL, 10), result.hits[i].scores.score};
    mining->negatives_n[number] =
        mine_choose(&mining->choice, row, number, &mining->rows.pool, miner->candidates,
                    result.hits_n, mining->negatives[number]);
    return true;
}

static void mine_one(void *context, size_t item, size_t worker) {
    struct search_all *all = context;
    struct miner *miner = &all->miners[worker];
    if (!miner->failed)
        miner->failed = !mine_row(all->mining, miner, item);
    arena_reset(&miner->arena);
}

static bool search_all(struct mining *mining, struct index *index, const struct model *model,
                       struct error *err) {
    struct pool *pool = pool_open(mining->threads);
    size_t workers_n = pool_workers_n(pool);
    struct search_all all = {mining, mem_zalloc(workers_n, sizeof(struct miner))};
    bool ok = true;
    for (size_t i = 0; i < workers_n && ok; i++) {
        all.miners[i].candidates = mem_alloc(mining->choice.last, sizeof *all.miners[i].candidates);
        ok = searcher_open(index, model, &all.miners[i].searcher, err);
    }
    if (ok)
        pool_run(pool, mining->rows.n, mine_one, &all);
    for (size_t i = 0; i < workers_n; i++) {
        if (ok && all.miners[i].failed) {
            *err = all.miners[i].error;
            ok = false;
        }
        searcher_close(all.miners[i].searcher);
        arena_done(&all.miners[i].arena);
        free(all.miners[i].candidates);
    }
    free(all.miners);
    pool_close(pool);
    return ok;
}

/* An index of the pool that is gone afterwards. */
static bool mine_in(struct mining *mining, const char *folder, struct error *err) {
    struct arena arena = {0};
    const char *pool = arena_format(&arena, "%s/pool.jsonl", folder);
    struct model *model = NULL;
    struct index *index = NULL;
    struct ingest_totals totals;
    struct ingest_job job = {
        .folder = arena_format(&arena, "%s/index", folder),
        .paths = &pool,
        .paths_n = 1,
        .threads = mining->threads,
    };
    bool ok =
        mine_pool_write(&mining->rows.pool, pool, err) && model_open(&mining->model, &model, err) &&
        ingest_job_run(&job, model, &index, &totals, err) && search_all(mining, index, model, err);
    index_close(index);
    model_close(model);
    arena_done(&arena);
    return ok;
}

/* ---- what comes out ---- */

static struct json *texts_json(const struct mine_pool *pool, const uint32_t *texts, size_t n) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_new_string(pool->texts[texts[i]].text, pool->texts[texts[i]].len));
    return list;
}

static bool add_scores(struct mining *mining, struct mine_row *row, const char *name,
                       const uint32_t *texts, size_t n, const struct rerank_scorer *scorer,
                       struct error *err) {
    struct reranker_pair *pairs = mem_alloc(n + 1, sizeof *pairs);
    float *scores = mem_alloc(n + 1, sizeof *scores);
    for (size_t i = 0; i < n; i++) {
        const struct mine_text *text = &mining->rows.pool.texts[texts[i]];
        pairs[i] = (struct reranker_pair){.query = row->query.text,
                                          .query_len = row->query.len,
                                          .passage = text->text,
                                          .passage_len = text->len};
    }
    bool ok = n == 0 || scorer->score(scorer->context, pairs, n, scores, err);
    if (ok)
        mine_row_set(row, name, json_new_floats(scores, n));
    free(pairs);
    free(scores);
    return ok;
}

static bool write_rows(struct mining *mining, const struct rerank_scorer *scorer, FILE *out,
                       struct error *err) {
    struct buf line = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < mining->rows.n; i++) {
        struct mine_row *row = &mining->rows.rows[i];
        const uint32_t *negatives = mining->negatives[i];
        size_t n = mining->negatives_n[i];
        mine_row_set(row, "neg", texts_json(&mining->rows.pool, negatives, n));
        ok = !scorer || (add_scores(mining, row, "pos_scores", row->positives, row->positives_n,
                                    scorer, err) &&
                         add_scores(mining, row, "neg_scores", negatives, n, scorer, err));
        buf_clear(&line);
        json_print(row->json, &line);
        fprintf(out, "%s\n", line.data);
    }
    buf_done(&line);
    return ok && (!ferror(out) || error_set_errno(err, "writing"));
}

static bool write_out(struct mining *mining, const char *path, const char *reranker,
                      struct error *err) {
    const struct model_options options = {.name = reranker, .precision = mining->model.precision};
    struct search_reranker opened = {0};
    FILE *out = NULL;
    bool ok = !reranker || search_reranker_open(&options, &opened, err);
    if (ok && !(out = path ? fopen(path, "w") : stdout))
        ok = error_set_errno(err, "%s", path ? path : "standard output");
    ok = ok && write_rows(mining, reranker ? &opened.scorer : NULL, out, err);
    if (out && path && fclose(out) != 0 && ok)
        ok = error_set_errno(err, "%s", path);
    search_reranker_close(&opened);
    return ok;
}

/* ---- the command ---- */

static bool mine(struct mining *mining, const char *input, const char *candidates,
                 const char *output, const char *reranker, struct error *err) {
    char folder[SCRATCH_PATH_MAX];
    if (!mine_rows_read(input, &mining->rows, err) ||
        (candidates && !mine_pool_read(candidates, &mining->rows, err)) ||
        !scratch_make("mine", folder, err))
        return false;
    size_t n = mining->rows.n;
    mining->negatives = mem_zalloc(n, sizeof *mining->negatives);
    mining->negatives_n = mem_zalloc(n, sizeof *mining->negatives_n);
    for (size_t i = 0; i < n; i++)
        mining->negatives[i] = mem_alloc(mining->choice.negatives_n, sizeof **mining->negatives);
    bool ok = mine_in(mining, folder, err) && write_out(mining, output, reranker, err);
    scratch_remove(folder);
    for (size_t i = 0; i < n; i++)
        free(mining->negatives[i]);
    free(mining->negatives);
    free(mining->negatives_n);
    return ok;
}

/* "10-210" -> [10, 210). */
static bool range_parse(const char *text, struct mine_choice *out, struct error *err) {
    unsigned first, last;
    char rest;
    if (sscanf(text, "%u-%u%c", &first, &last, &rest) != 2 || first >= last || last > SEARCH_K_MAX)
        return error_set(err, ERROR_INVALID,
                         "--range \"%s\": two places of the ranking, such as 10-210, up to %d, are "
                         "needed",
                         text, SEARCH_K_MAX);
    out->first = first;
    out->last = last;
    return true;
}

static bool ceiling_parse(const char *text, double *out, struct error *err) {
    char *end;
    *out = strtod(text, &end);
    return (end != text && !*end && *out > 0 && *out <= 1) ||
           error_set(err, ERROR_INVALID, "--ceiling \"%s\": a number above 0 and at most 1", text);
}

static int run(int argc, char **argv) {
    struct mining mining = {
        .choice = {RANGE_FIRST, RANGE_LAST, NEGATIVES_DEFAULT, 0, 0},
        .request = {.exact = true},
    };
    struct search_options words = {.modes = "dense"};
    const char *output = NULL, *candidates = NULL, *range = NULL, *ceiling = NULL, *reranker = NULL;
    uint32_t negatives_n = NEGATIVES_DEFAULT, seed = 42;
    const struct option table[] = {
        {"output", OPTION_TEXT, &output, "FILE", "(default: standard output)", 0, 0, 'o'},
        {"candidates", OPTION_TEXT, &candidates, "FILE",
         "more texts to choose from: JSONL {\"text\"}", 0, 0, 0},
        {"negatives", OPTION_NUMBER, &negatives_n, "N", "a row (default: 15)", 1, NEGATIVES_MAX,
         'n'},
        {"range", OPTION_TEXT, &range, "A-B", "places of the ranking (default: 10-210)", 0, 0, 0},
        {"ceiling", OPTION_TEXT, &ceiling, "R",
         "leave out what scores above R of the best positive, such as .95", 0, 0, 0},
        {"modes", OPTION_TEXT, &words.modes, "LIST",
         "of dense, sparse, multi to rank by (default: dense)", 0, 0, 0},
        {"model", OPTION_TEXT, &mining.model.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"precision", OPTION_TEXT, &words.precision, "P", "auto, int8, bf16 or f32", 0, 0, 0},
        {"reranker", OPTION_TEXT, &reranker, "M",
         "add \"pos_scores\" and \"neg_scores\" of this cross-encoder", 0, 0, 0},
        {"seed", OPTION_NUMBER, &seed, "N", "of chance (default: 42)", 0, UINT32_MAX, 0},
        {"threads", OPTION_NUMBER, &mining.threads, "N", "cores to use (default: all)", 1, 1024, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_mine, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_mine, "one file of rows is needed");
    mining.choice.negatives_n = negatives_n;
    mining.choice.seed = seed;
    if ((range && !range_parse(range, &mining.choice, &err)) ||
        (ceiling && !ceiling_parse(ceiling, &mining.choice.ceiling, &err)) ||
        !search_options_apply(&words, &mining.request, &mining.model, &err))
        return options_wrong(&command_mine, "%s", err.message);
    mining.request.k = mining.request.candidates = (uint32_t)mining.choice.last;
    bool ok = mine(&mining, argv[0], candidates, output, reranker, &err);
    mine_rows_done(&mining.rows);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_mine = {"mine", "ROWS.jsonl", "hard negatives for training", run};
