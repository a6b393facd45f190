#include "engine/heads.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/vec.h"
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

/* out [rows, out_n] = an f32 layer of x [rows, width] */
static void apply(const struct linear *linear, const float *x, size_t rows, size_t width,
                  size_t out_n, float *out) {
    struct linear_input input = linear_input_from_f32(linear, x, width, rows, NULL);
    linear_run(linear, &input, 0, out_n, LINEAR_NONE, out, out_n);
}

void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 size_t first, float *vectors_out, struct token_range *ranges_out) {
    size_t dim = model->info.multi_dim, width = model->config.hidden;
    size_t n = heads_multi_n(tokens, first);
    const float *states = hidden + first * width; /* [n, width] */
    if (model->colbert_head && n > 0)
        apply(model->colbert_head, states, n, width, dim, vectors_out);
    else if (n > 0)
        memcpy(vectors_out, states, n * width * sizeof *vectors_out);
    for (size_t i = 0; i < n; i++) {
        vec_normalize(vectors_out + i * dim, dim);
        ranges_out[i] = tokens->ranges[first + i];
    }
}

void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   size_t first, uint32_t *term_at, struct lexical *terms_out) {
    size_t width = model->config.hidden;
    assert(model->sparse_weight);
    terms_out->n = 0;
    terms_out->length = 0;
    for (size_t i = first; i < tokens->n; i++) {
        uint32_t id = tokens->ids[i];
        if (tokenizer_is_special(model->tokenizer, id) && id != model->mask_id)
            continue;
        float weight =
            vec_dot_f32(hidden + i * width, model->sparse_weight, width) + model->sparse_bias[0];
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
    apply(model->pair_dense, hidden, 1, width, width, scratch);
    for (size_t j = 0; j < width; j++)
        scratch[j] = tanhf(scratch[j]);
    return vec_dot_f32(scratch, model->pair_weight, width) + model->pair_bias[0];
}
