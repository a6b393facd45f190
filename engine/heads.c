#include "engine/heads.h"

#include <assert.h>
#include <string.h>

#include "engine/base/vec.h"
#include "engine/math/matmul.h"
#include "engine/model_parts.h"

void heads_dense(const struct model *model, const float *hidden, float *out) {
    memcpy(out, hidden, model->config.hidden * sizeof *out);
    vec_normalize(out, model->config.hidden);
}

size_t heads_multi_n(const struct tokens *tokens) {
    return tokens->n > 0 ? tokens->n - 1 : 0;
}

void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 float *vectors_out, struct token_range *ranges_out) {
    const struct model_linear *head = &model->colbert_head;
    size_t dim = model->info.multi_dim, width = model->config.hidden;
    size_t n = heads_multi_n(tokens);
    const float *states = hidden + width; /* [n, width] */
    if (head->weight)
        matmul_f32(states, n, width, head->weight, dim, head->bias, vectors_out);
    else if (n > 0)
        memcpy(vectors_out, states, n * width * sizeof *vectors_out);
    for (size_t i = 0; i < n; i++) {
        vec_normalize(vectors_out + i * dim, dim);
        ranges_out[i] = tokens->ranges[1 + i];
    }
}

void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   uint32_t *term_at, struct lexical *terms_out) {
    const struct model_linear *head = &model->sparse_head;
    size_t width = model->config.hidden;
    assert(head->weight);
    terms_out->n = 0;
    terms_out->length = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        uint32_t id = tokens->ids[i];
        if (tokenizer_is_special(model->tokenizer, id))
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
