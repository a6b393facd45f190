#include "engine/heads.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/vec.h"
#include "engine/math/matmul.h"
#include "engine/model_parts.h"

void heads_dense(const struct model *model, const float *hidden, size_t tokens_n, bool normalize,
                 float *out) {
    size_t width = model->config.hidden;
    memcpy(out, hidden, width * sizeof *out);
    if (model->config.pooling == CONFIG_POOLING_MEAN) {
        for (size_t i = 1; i < tokens_n; i++)
            for (size_t j = 0; j < width; j++)
                out[j] += hidden[i * width + j];
        for (size_t j = 0; j < width; j++)
            out[j] /= (float)tokens_n;
    }
    if (normalize)
        vec_normalize(out, width);
}

size_t heads_multi_n(const struct tokens *tokens, size_t first) {
    return tokens->n > first ? tokens->n - first : 0;
}

void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 size_t first, float *vectors_out, struct token_range *ranges_out) {
    const struct model_linear *head = &model->colbert_head;
    size_t dim = model->info.multi_dim, width = model->config.hidden;
    size_t n = heads_multi_n(tokens, first);
    const float *states = hidden + first * width; /* [n, width] */
    if (head->weight)
        matmul_f32(states, n, width, head->weight, dim, head->bias, vectors_out);
    else if (n > 0)
        memcpy(vectors_out, states, n * width * sizeof *vectors_out);
    for (size_t i = 0; i < n; i++) {
        vec_normalize(vectors_out + i * dim, dim);
        ranges_out[i] = tokens->ranges[first + i];
    }
}

void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   size_t first, uint32_t *term_at, struct lexical *terms_out) {
    const struct model_linear *head = &model->sparse_head;
    size_t width = model->config.hidden;
    assert(head->weight);
    terms_out->n = 0;
    terms_out->length = 0;
    for (size_t i = first; i < tokens->n; i++) {
        uint32_t id = tokens->ids[i];
        if (tokenizer_is_special(model->tokenizer, id) && id != model->mask_id)
            continue;
        float weight = vec_dot_f32(hidden + i * width, head->weight, width) + head->bias[0];
        if (!(weight > 0))
            continue;
        if (term_at[id] == 0) {
            terms_out->terms[terms_out->n++] = (struct lexical_term){.id = id, .weight = weight};
            term_at[id] = (uint32_t)terms_out->n;
        } else if (weight > terms_out->terms[term_at[id] - 1].weight) {
            terms_out->terms[term_at[id] - 1].weight = weight;
        }
    }
    for (size_t i = 0; i < terms_out->n; i++)
        term_at[terms_out->terms[i].id] = 0;
}

float heads_relevance(const struct model *model, const float *hidden, float *scratch) {
    size_t width = model->config.hidden;
    matmul_f32(hidden, 1, width, model->pair_dense.weight, width, model->pair_dense.bias, scratch);
    for (size_t j = 0; j < width; j++)
        scratch[j] = tanhf(scratch[j]);
    return vec_dot_f32(scratch, model->pair_score.weight, width) + model->pair_score.bias[0];
}
