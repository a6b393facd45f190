/* tercet score - how alike query and passage are in each mode of one encoder, a line for a line. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model.h"
#include "engine/score.h"
#include "tools/commands.h"
#include "tools/pairs.h"

/* FlagEmbedding's default for queries and passages alike. */
enum { LENGTH_DEFAULT = 512 };

struct score_settings {
    struct model_options model;
    const char *precision, *weights;
    struct score_weights weight;
    uint32_t length_max, query_length_max, threads;
    bool json;
};

/* Two encoders of one model: they differ in where a text is cut. */
struct scorer {
    const struct model_info *info;
    struct encoder *queries, *passages;
    struct score_weights weights;
};

/* Null where the model has no sparse head: counted words have no score without a collection. */
static void add_score(struct json *row, const char *name, float score, bool known) {
    json_add(row, name, known ? json_new_number((double)score) : json_new_null());
}

static bool scorer_run(struct scorer *scorer, const struct pairs *pairs, struct arena *arena,
                       struct error *err) {
    struct encoder_text queries[PAIRS_MAX], passages[PAIRS_MAX];
    struct encoding a[PAIRS_MAX], b[PAIRS_MAX];
    for (size_t i = 0; i < pairs->n; i++) {
        queries[i] = (struct encoder_text){pairs->queries[i], pairs->query_lens[i]};
        passages[i] = (struct encoder_text){pairs->passages[i], pairs->passage_lens[i]};
    }
    if (!encoder_encode(scorer->queries, queries, pairs->n, arena, a, err) ||
        !encoder_encode(scorer->passages, passages, pairs->n, arena, b, err))
        return false;
    for (size_t i = 0; i < pairs->n; i++) {
        struct score score = score_pair(scorer->info, &a[i], &b[i], &scorer->weights);
        struct json *row = json_new_object();
        bool sparse = scorer->info->has_sparse_head;
        add_score(row, "dense", score.dense, true);
        add_score(row, "sparse", score.sparse, sparse);
        add_score(row, "colbert", score.colbert, true);
        add_score(row, "sparse+dense", score.sparse_dense, sparse);
        add_score(row, "colbert+sparse+dense", score.colbert_sparse_dense, sparse);
        pairs_print(pairs, i, row);
    }
    return true;
}

static int score_stream(struct scorer *scorer) {
    struct pairs *pairs = mem_zalloc(1, sizeof *pairs);
    struct arena arena = {0};
    struct error err;
    int status = EXIT_DONE;
    for (bool more = true; more;) {
        more = pairs_read(pairs, &status);
        if (!scorer_run(scorer, pairs, &arena, &err)) {
            status = command_failed(&err);
            break;
        }
        arena_reset(&arena);
    }
    pairs_done(pairs);
    arena_done(&arena);
    free(pairs);
    return status;
}

static bool open_side(const struct model *model, struct pool *pool, uint32_t length_max,
                      struct encoder **out, struct error *err) {
    uint32_t most = model_info(model)->length_max;
    if (length_max == 0)
        length_max = most < LENGTH_DEFAULT ? most : LENGTH_DEFAULT;
    struct encoder_options options = {.modes = ENCODE_ALL, .length_max = length_max};
    if (!model_info(model)->has_sparse_head)
        options.modes = ENCODE_DENSE | ENCODE_MULTI;
    return encoder_open(model, pool, &options, out, err);
}

static int score(const struct score_settings *settings) {
    struct error err;
    struct model *model = NULL;
    struct scorer scorer = {.weights = settings->weight};
    int status;
    if (!model_open(&settings->model, &model, &err))
        return command_failed(&err);
    scorer.info = model_info(model);
    struct pool *pool = pool_open(settings->threads);
    uint32_t length_max = settings->length_max;
    uint32_t query_max = settings->query_length_max ? settings->query_length_max : length_max;
    if (open_side(model, pool, query_max, &scorer.queries, &err) &&
        open_side(model, pool, length_max, &scorer.passages, &err))
        status = score_stream(&scorer);
    else
        status = command_failed(&err);
    encoder_close(scorer.queries);
    encoder_close(scorer.passages);
    pool_close(pool);
    model_close(model);
    return status;
}

/* "d,s,m": three numbers that are not negative. */
static bool parse_weights(const char *text, struct score_weights *out) {
    float *const parts[] = {&out->dense, &out->sparse, &out->colbert};
    for (size_t i = 0; i < 3; i++) {
        char *end;
        *parts[i] = strtof(text, &end);
        if (end == text || !(*parts[i] >= 0) || *parts[i] > 1e6f || *end != (i < 2 ? ',' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

static int run(int argc, char **argv) {
    struct score_settings settings = {.model.precision = MODEL_PRECISION_F32, .weight = {1, 1, 1}};
    const struct option table[] = {
        {"model", OPTION_TEXT, &settings.model.name, "M", "folder or name of a model", 0, 0, 'm'},
        {"weights", OPTION_TEXT, &settings.weights, "D,S,M",
         "weights of dense, sparse and colbert in the means (default: 1,1,1)", 0, 0, 0},
        {"max-length", OPTION_NUMBER, &settings.length_max, "N",
         "at most N tokens of a text (default: 512)", 3, 1u << 20, 0},
        {"max-query-length", OPTION_NUMBER, &settings.query_length_max, "N",
         "at most N tokens of a query (default: as --max-length)", 3, 1u << 20, 0},
        {"precision", OPTION_TEXT, &settings.precision, "P",
         "f32 (default: the model's exact numbers), int8, bf16 or auto", 0, 0, 0},
        {"threads", OPTION_NUMBER, &settings.threads, "N", "cores to use (default: all)", 1, 1024,
         0},
        {"json", OPTION_FLAG, &settings.json, NULL, "JSON lines (always so)", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_score, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_score, "unexpected \"%s\": pairs come on standard input",
                             argv[0]);
    if (settings.weights && !parse_weights(settings.weights, &settings.weight))
        return options_wrong(&command_score,
                             "--weights \"%s\": must be three numbers as in 1,0.3,1",
                             settings.weights);
    struct error err;
    if (settings.precision &&
        !model_precision_parse(settings.precision, &settings.model.precision, &err))
        return options_wrong(&command_score, "%s", err.message);
    return score(&settings);
}

const struct command command_score = {
    "score", "< pairs", "dense, sparse and colbert scores of each pair of input", run};
