/* tercet rerank - the relevance of each (query, passage) pair of input, by a cross-encoder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "engine/reranker.h"
#include "tools/commands.h"
#include "tools/pairs.h"

struct rerank_settings {
    struct model_options model;
    struct reranker_options reranker;
    const char *precision, *cut;
    uint32_t threads;
    bool json;
};

static int rerank_stream(struct reranker *reranker) {
    struct pairs *pairs = mem_zalloc(1, sizeof *pairs);
    struct reranker_pair batch[PAIRS_MAX];
    float scores[PAIRS_MAX];
    struct error err;
    int status = EXIT_DONE;
    for (bool more = true; more;) {
        more = pairs_read(pairs, &status);
        for (size_t i = 0; i < pairs->n; i++)
            batch[i] = (struct reranker_pair){pairs->queries[i], pairs->passages[i],
                                              pairs->query_lens[i], pairs->passage_lens[i]};
        if (!reranker_score(reranker, batch, pairs->n, scores, &err)) {
            status = command_failed(&err);
            break;
        }
        for (size_t i = 0; i < pairs->n; i++) {
            struct json *row = json_new_object();
            json_add_number(row, "score", (double)scores[i]);
            pairs_print(pairs, i, row);
        }
    }
    pairs_done(pairs);
    free(pairs);
    return status;
}

static int rerank(const struct rerank_settings *settings) {
    struct error err;
    struct model *model = NULL;
    struct reranker *reranker = NULL;
    struct pool *pool = NULL;
    int status;
    if (!model_open(&settings->model, &model, &err))
        return command_failed(&err);
    pool = pool_open(settings->threads);
    if (reranker_open(model, pool, &settings->reranker, &reranker, &err))
        status = rerank_stream(reranker);
    else
        status = command_failed(&err);
    reranker_close(reranker);
    pool_close(pool);
    model_close(model);
    return status;
}

static bool parse_cut(const char *name, enum reranker_cut *out) {
    static const char *const names[] = {
        [RERANKER_CUT_MODEL] = "model",
        [RERANKER_CUT_ONLY_SECOND] = "only_second",
        [RERANKER_CUT_LONGEST_FIRST] = "longest_first",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum reranker_cut)i;
            return true;
        }
    return false;
}

static int run(int argc, char **argv) {
    struct rerank_settings settings = {.model.precision = MODEL_PRECISION_F32};
    const struct option table[] = {
        {"model", OPTION_TEXT, &settings.model.name, "M", "folder or name of a cross-encoder", 0, 0,
         'm'},
        {"normalize", OPTION_FLAG, &settings.reranker.normalize, NULL,
         "scores between 0 and 1 (sigmoid)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.reranker.length_max, "N",
         "at most N tokens a pair (default: 512)", 8, 1u << 20, 0},
        {"cut", OPTION_TEXT, &settings.cut, "HOW",
         "long pairs: only_second (FlagReranker) or longest_first (transformers); "
         "default: as the model's own library",
         0, 0, 0},
        {"precision", OPTION_TEXT, &settings.precision, "P",
         "f32 (default: the model's exact numbers), int8, bf16 or auto", 0, 0, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_rerank, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_rerank, "unexpected \"%s\": pairs come on standard input",
                             argv[0]);
    if (!settings.model.name)
        return options_wrong(&command_rerank, "--model is missing: no cross-encoder is built in");
    if (settings.cut && !parse_cut(settings.cut, &settings.reranker.cut))
        return options_wrong(&command_rerank,
                             "--cut \"%s\": must be model, only_second or longest_first",
                             settings.cut);
    struct error err;
    if (settings.precision &&
        !model_precision_parse(settings.precision, &settings.model.precision, &err))
        return options_wrong(&command_rerank, "%s", err.message);
    return rerank(&settings);
}

const struct command command_rerank = {"rerank", "--model M < pairs",
                                       "a cross-encoder's score of each pair of input", run};
