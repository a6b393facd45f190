#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "engine/reranker.h"
#include "engine/score.h"

enum { ROLES_N = 3 };

struct tercet {
    struct model *model;
    struct pool *pool;
    struct encoder *encoders[ROLES_N]; /* by role; NULL until first used */
    struct reranker *rerankers[2];     /* raw, normalized; likewise */
    struct tercet_info info;
    uint32_t length_max;
    struct arena arena; /* what was handed out */
};

static bool fail(struct tercet_error *out, const struct error *err) {
    _Static_assert(sizeof out->message >= sizeof err->message, "a message fits");
    memcpy(out->message, err->message, sizeof err->message);
    return false;
}

/* ---- open and close ---- */

static void fill_info(struct tercet *tercet) {
    const struct model_info *info = model_info(tercet->model);
    tercet->info = (struct tercet_info){
        .model = info->name,
        .fingerprint = info->fingerprint,
        .is_reranker = info->is_reranker,
        .has_lexical_weights = info->has_sparse_head,
        .dense_dim = info->dense_dim,
        .multi_dim = info->multi_dim,
        .length_max = info->length_max,
        .query_instruction = info->query_instruction,
        .passage_instruction = info->passage_instruction,
    };
}

bool tercet_open(const struct tercet_options *options, struct tercet **out,
                 struct tercet_error *err) {
    struct error why;
    struct model_options model = {.name = options->model, .precision = MODEL_PRECISION_F32};
    struct tercet *tercet = mem_zalloc(1, sizeof *tercet);
    if ((options->precision &&
         !model_precision_parse(options->precision, &model.precision, &why)) ||
        !model_open(&model, &tercet->model, &why)) {
        tercet_close(tercet);
        return fail(err, &why);
    }
    tercet->pool = pool_open(options->threads);
    tercet->length_max = options->length_max;
    fill_info(tercet);
    *out = tercet;
    return true;
}

void tercet_close(struct tercet *tercet) {
    if (!tercet)
        return;
    for (size_t i = 0; i < ROLES_N; i++)
        encoder_close(tercet->encoders[i]);
    for (size_t i = 0; i < 2; i++)
        reranker_close(tercet->rerankers[i]);
    arena_done(&tercet->arena);
    pool_close(tercet->pool);
    model_close(tercet->model);
    free(tercet);
}

const struct tercet_info *tercet_info(const struct tercet *tercet) {
    return &tercet->info;
}

/* ---- encoding ---- */

/* The modes that a model can give: an M3 folder that lacks its ColBERT head gives two. */
static bool encoder_of(struct tercet *tercet, enum tercet_role role, unsigned modes,
                       struct encoder **out, struct error *err) {
    const struct model_info *info = model_info(tercet->model);
    const char *const instructions[ROLES_N] = {
        [TERCET_QUERY] = info->query_instruction, [TERCET_PASSAGE] = info->passage_instruction};
    bool no_multi = info->has_sparse_head && !info->has_colbert_head && !(modes & ENCODE_MULTI);
    struct encoder_options options = {
        .modes = no_multi ? ENCODE_DENSE | ENCODE_LEXICAL : ENCODE_ALL,
        .instruction = instructions[role],
        .one_pass = role == TERCET_PASSAGE,
        .length_max = tercet->length_max,
    };
    if (!tercet->encoders[role] &&
        !encoder_open(tercet->model, tercet->pool, &options, &tercet->encoders[role], err))
        return false;
    *out = tercet->encoders[role];
    return true;
}

/* Into tercet->arena; role and modes are the caller's. */
static bool encode(struct tercet *tercet, enum tercet_role role, unsigned modes,
                   const struct tercet_text *texts, size_t n, struct encoding **out,
                   struct error *err) {
    struct arena *arena = &tercet->arena;
    struct encoder *encoder;
    struct encoder_text *inputs = ARENA_NEW(arena, struct encoder_text, n);
    *out = ARENA_NEW(arena, struct encoding, n);
    for (size_t i = 0; i < n; i++)
        inputs[i] = (struct encoder_text){texts[i].text, texts[i].len};
    return encoder_of(tercet, role, modes, &encoder, err) &&
           encoder_encode_modes(encoder, modes, inputs, n, arena, *out, err);
}

bool tercet_encode(struct tercet *tercet, enum tercet_role role, unsigned modes,
                   const struct tercet_text *texts, size_t n, struct tercet_encoding *out,
                   struct tercet_error *err) {
    _Static_assert((int)TERCET_DENSE == (int)ENCODE_DENSE &&
                       (int)TERCET_LEXICAL == (int)ENCODE_LEXICAL &&
                       (int)TERCET_MULTI == (int)ENCODE_MULTI,
                   "the modes are the encoder's");
    struct error why;
    struct encoding *encodings;
    if ((unsigned)role >= ROLES_N || modes == 0 || modes & ~(unsigned)ENCODE_ALL) {
        error_set(&why, ERROR_INVALID, "role %d and modes %u: no such role, or no such mode",
                  (int)role, modes);
        return fail(err, &why);
    }
    arena_reset(&tercet->arena);
    if (!encode(tercet, role, modes, texts, n, &encodings, &why))
        return fail(err, &why);
    for (size_t i = 0; i < n; i++) {
        const struct encoding *from = &encodings[i];
        struct tercet_term *terms = ARENA_NEW(&tercet->arena, struct tercet_term, from->lexical.n);
        for (size_t t = 0; t < from->lexical.n; t++)
            terms[t] = (struct tercet_term){from->lexical.terms[t].word, from->lexical.terms[t].id,
                                            from->lexical.terms[t].weight};
        out[i] = (struct tercet_encoding){from->tokens_n,  from->dense, terms,
                                          from->lexical.n, from->multi, from->multi_n};
    }
    return true;
}

/* ---- scores ---- */

bool tercet_score(struct tercet *tercet, struct tercet_text query,
                  const struct tercet_text *passages, size_t n,
                  const struct tercet_score_weights *weights, struct tercet_scores *out,
                  struct tercet_error *err) {
    const struct model_info *info = model_info(tercet->model);
    struct score_weights by = {1, 1, 1};
    struct encoding *a, *b;
    struct error why;
    if (!info->has_sparse_head) {
        error_set(&why, ERROR_UNSUPPORTED,
                  "%s has no lexical weights to score with: encode, and compare dense vectors",
                  info->name);
        return fail(err, &why);
    }
    if (weights)
        by = (struct score_weights){weights->dense, weights->sparse, weights->colbert};
    arena_reset(&tercet->arena);
    if (!encode(tercet, TERCET_BARE, ENCODE_ALL, &query, 1, &a, &why) ||
        !encode(tercet, TERCET_BARE, ENCODE_ALL, passages, n, &b, &why))
        return fail(err, &why);
    for (size_t i = 0; i < n; i++) {
        struct score score = score_pair(info, a, &b[i], &by);
        out[i] = (struct tercet_scores){score.dense, score.sparse, score.colbert,
                                        score.sparse_dense, score.colbert_sparse_dense};
    }
    return true;
}

bool tercet_rerank(struct tercet *tercet, struct tercet_text query,
                   const struct tercet_text *passages, size_t n, bool normalize, float *out,
                   struct tercet_error *err) {
    struct reranker **reranker = &tercet->rerankers[normalize];
    struct reranker_options options = {.length_max = tercet->length_max, .normalize = normalize};
    struct error why;
    arena_reset(&tercet->arena);
    struct reranker_pair *pairs = ARENA_NEW(&tercet->arena, struct reranker_pair, n);
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct reranker_pair){query.text, passages[i].text, query.len, passages[i].len};
    if ((!*reranker && !reranker_open(tercet->model, tercet->pool, &options, reranker, &why)) ||
        !reranker_score(*reranker, pairs, n, out, &why))
        return fail(err, &why);
    return true;
}
