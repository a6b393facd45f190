#include "engine/reranker.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/heads.h"
#include "engine/model_parts.h"
#include "engine/session.h"
#include "engine/tokenizer/tokenizer.h"

struct worker {
    struct arena arena; /* tokens of the batch */
    float *scratch;     /* [hidden] */
};

struct reranker {
    const struct model *model;
    struct session *session;
    size_t length_max;
    bool normalize;
    enum tokenizer_cut cut;
    struct worker *workers;
    size_t workers_n;
};

bool reranker_open(const struct model *model, struct pool *pool,
                   const struct reranker_options *options, struct reranker **out,
                   struct error *err) {
    uint32_t most = model->info.length_max;
    if (!model->config.is_reranker)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is an encoder and no cross-encoder: its config.json names no "
                         "...ForSequenceClassification",
                         model->info.name);
    if (options->length_max > most)
        return error_set(err, ERROR_LIMIT, "length_max %u: the model reads at most %u tokens",
                         options->length_max, most);
    struct reranker *reranker = mem_zalloc(1, sizeof *reranker);
    reranker->model = model;
    reranker->session = session_open(model, pool);
    reranker->normalize = options->normalize;
    if (options->length_max)
        reranker->length_max = options->length_max;
    else
        reranker->length_max = most < RERANKER_LENGTH_DEFAULT ? most : RERANKER_LENGTH_DEFAULT;
    bool only_second = options->cut == RERANKER_CUT_ONLY_SECOND ||
                       (options->cut == RERANKER_CUT_MODEL && model->config.is_xlm_roberta);
    reranker->cut = only_second ? TOKENIZER_CUT_ONLY_SECOND : TOKENIZER_CUT_LONGEST_FIRST;
    reranker->workers_n = session_workers_n(reranker->session);
    reranker->workers = mem_zalloc(reranker->workers_n, sizeof *reranker->workers);
    for (size_t i = 0; i < reranker->workers_n; i++)
        reranker->workers[i].scratch = mem_alloc(model->config.hidden, sizeof(float));
    *out = reranker;
    return true;
}

void reranker_close(struct reranker *reranker) {
    if (!reranker)
        return;
    for (size_t i = 0; i < reranker->workers_n; i++) {
        arena_done(&reranker->workers[i].arena);
        free(reranker->workers[i].scratch);
    }
    free(reranker->workers);
    session_close(reranker->session);
    free(reranker);
}

struct batch {
    struct reranker *reranker;
    const struct reranker_pair *pairs;
    struct forward_sequence *sequences;
    float *scores;
};

static bool check_tokens(const struct model *model, const struct tokens *tokens,
                         struct error *err) {
    if (tokens->n > model->info.length_max)
        return error_set(err, ERROR_LIMIT,
                         "the pair has %zu tokens where the query alone leaves no room to cut; "
                         "the model reads at most %u: shorten the query",
                         tokens->n, model->info.length_max);
    if (tokens->n == 0)
        return error_set(err, ERROR_UNSUPPORTED, "the tokenizer makes no token at all of a pair");
    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->ids[i] >= model->config.vocabulary_n ||
            (!model->config.is_xlm_roberta && tokens->type_ids[i] >= model->config.types_n))
            return error_set(err, ERROR_INVALID,
                             "the tokenizer makes token %u of type %u; the model has %u and %u",
                             tokens->ids[i], tokens->type_ids[i], model->config.vocabulary_n,
                             model->config.types_n);
    return true;
}

static bool read_pair(void *context, size_t item, size_t worker, struct error *err) {
    struct batch *batch = context;
    const struct reranker *reranker = batch->reranker;
    const struct model *model = reranker->model;
    const struct reranker_pair *pair = &batch->pairs[item];
    struct tokens tokens;
    if (!tokenizer_encode_pair(model->tokenizer, pair->query, pair->query_len, pair->passage,
                               pair->passage_len, reranker->length_max, reranker->cut,
                               &reranker->workers[worker].arena, &tokens, err) ||
        !check_tokens(model, &tokens, err))
        return false;
    /* XLM-R has one token type, whatever its tokenizer says. */
    const uint8_t *types = model->config.is_xlm_roberta ? NULL : tokens.type_ids;
    batch->sequences[item] =
        (struct forward_sequence){.ids = tokens.ids, .type_ids = types, .n = tokens.n};
    return true;
}

static void score_pair(void *context, size_t item, const float *hidden, size_t worker) {
    struct batch *batch = context;
    const struct reranker *reranker = batch->reranker;
    float logit = heads_relevance(reranker->model, hidden, reranker->workers[worker].scratch);
    batch->scores[item] = reranker->normalize ? 1.0f / (1.0f + expf(-logit)) : logit;
}

bool reranker_score(struct reranker *reranker, const struct reranker_pair *pairs, size_t n,
                    float *scores_out, struct error *err) {
    for (size_t i = 0; i < reranker->workers_n; i++)
        arena_reset(&reranker->workers[i].arena);
    struct batch batch = {
        .reranker = reranker,
        .pairs = pairs,
        .sequences = ARENA_ZERO(&reranker->workers[0].arena, struct forward_sequence, n),
        .scores = scores_out,
    };
    if (!session_spread(reranker->session, n, read_pair, &batch, err))
        return false;
    session_run(reranker->session, batch.sequences, n, score_pair, &batch);
    return true;
}
