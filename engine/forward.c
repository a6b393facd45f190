#include "engine/forward.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/math/attention.h"
#include "engine/math/matmul.h"
#include "engine/model_parts.h"

struct forward {
    const struct model *model;
    size_t tokens_cap;
    float *states; /* [tokens, hidden]: a layer's input and output */
    float *qkv;    /* [tokens, 3 * hidden] */
    float *mixed;  /* [tokens, hidden]: what attention brought together */
    float *change; /* [tokens, hidden]: what is added to the states */
    float *wide;   /* [tokens, intermediate] */
    size_t scores_cap;
    float *scores; /* attention's scratch */
};

static void release_scratch(struct forward *forward) {
    free(forward->states);
    free(forward->qkv);
    free(forward->mixed);
    free(forward->change);
    free(forward->wide);
}

/* Contents are not kept. */
static void reserve(struct forward *forward, size_t tokens_n, size_t longest) {
    const struct model_config *config = &forward->model->config;
    size_t hidden = config->hidden;
    size_t scores_n = attention_scratch_n(longest, hidden / config->heads_n);
    if (tokens_n > forward->tokens_cap) {
        release_scratch(forward);
        forward->tokens_cap = tokens_n;
        forward->states = mem_alloc_aligned(tokens_n * hidden, sizeof(float));
        forward->qkv = mem_alloc_aligned(tokens_n * 3 * hidden, sizeof(float));
        forward->mixed = mem_alloc_aligned(tokens_n * hidden, sizeof(float));
        forward->change = mem_alloc_aligned(tokens_n * hidden, sizeof(float));
        forward->wide = mem_alloc_aligned(tokens_n * config->intermediate, sizeof(float));
    }
    if (scores_n > forward->scores_cap) {
        free(forward->scores);
        forward->scores_cap = scores_n;
        forward->scores = mem_alloc_aligned(scores_n, sizeof(float));
    }
}

struct forward *forward_open(const struct model *model) {
    struct forward *forward = mem_zalloc(1, sizeof *forward);
    forward->model = model;
    return forward;
}

void forward_close(struct forward *forward) {
    if (!forward)
        return;
    release_scratch(forward);
    free(forward->scores);
    free(forward);
}

/* states: [sequence->n, hidden] = norm(word + position + type) */
static void embed(const struct model *model, const struct forward_sequence *sequence,
                  float *states) {
    const struct model_config *config = &model->config;
    size_t hidden = config->hidden;
    assert(sequence->n >= 1 && sequence->n <= config->length_max);
    size_t next = config->position_first;
    for (size_t i = 0; i < sequence->n; i++) {
        bool pad = config->is_xlm_roberta && sequence->ids[i] == config->pad_id;
        size_t place = pad ? config->pad_id : next++; /* XLM-R: a written <pad> is not counted */
        size_t type = sequence->type_ids ? sequence->type_ids[i] : 0;
        assert(sequence->ids[i] < config->vocabulary_n && type < config->types_n);
        const float *word = model->words + sequence->ids[i] * hidden;
        const float *position = model->positions + place * hidden;
        const float *kind = model->types + type * hidden;
        for (size_t j = 0; j < hidden; j++)
            states[i * hidden + j] = word[j] + position[j] + kind[j];
    }
    nn_layer_norm(states, sequence->n, hidden, &model->embedding_norm);
}

/* out [tokens, rows] = x [tokens, columns] . weight^T, its bias left to the next step, which reads
 * and writes every value anyway. */
static void product(const float *x, size_t tokens_n, size_t columns,
                    const struct model_linear *linear, size_t rows, float *out) {
    matmul_f32(x, tokens_n, columns, linear->weight, rows, NULL, out);
}

static void attend(struct forward *forward, const struct model_layer *layer,
                   const struct forward_sequence *sequences, size_t sequences_n, size_t tokens_n) {
    const struct model_config *config = &forward->model->config;
    size_t hidden = config->hidden, at = 0;
    matmul_f32(forward->states, tokens_n, hidden, layer->qkv.weight, 3 * hidden, layer->qkv.bias,
               forward->qkv);
    for (size_t i = 0; i < sequences_n; at += sequences[i].n, i++)
        attention_f32(forward->qkv + at * 3 * hidden, sequences[i].n, hidden, config->heads_n,
                      forward->scores, forward->mixed + at * hidden);
    product(forward->mixed, tokens_n, hidden, &layer->mix, hidden, forward->change);
    nn_residual_norm(forward->states, forward->change, layer->mix.bias, tokens_n, hidden,
                     &layer->mix_norm);
}

static void feed_forward(struct forward *forward, const struct model_layer *layer,
                         size_t tokens_n) {
    const struct model_config *config = &forward->model->config;
    size_t hidden = config->hidden, intermediate = config->intermediate;
    product(forward->states, tokens_n, hidden, &layer->widen, intermediate, forward->wide);
    nn_bias_gelu(forward->wide, tokens_n, intermediate, layer->widen.bias);
    product(forward->wide, tokens_n, intermediate, &layer->narrow, hidden, forward->change);
    nn_residual_norm(forward->states, forward->change, layer->narrow.bias, tokens_n, hidden,
                     &layer->narrow_norm);
}

const float *forward_run(struct forward *forward, const struct forward_sequence *sequences,
                         size_t sequences_n) {
    const struct model *model = forward->model;
    size_t tokens_n = 0, longest = 0, at = 0;
    for (size_t i = 0; i < sequences_n; i++) {
        tokens_n += sequences[i].n;
        longest = sequences[i].n > longest ? sequences[i].n : longest;
    }
    reserve(forward, tokens_n, longest);
    for (size_t i = 0; i < sequences_n; at += sequences[i].n, i++)
        embed(model, &sequences[i], forward->states + at * model->config.hidden);
    for (size_t i = 0; i < model->config.layers_n; i++) {
        attend(forward, &model->layers[i], sequences, sequences_n, tokens_n);
        feed_forward(forward, &model->layers[i], tokens_n);
    }
    return forward->states;
}
