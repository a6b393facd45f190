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

/* Where the multi-vectors begin: the first token and the instruction's stand in front of all
 * others. */
static size_t multi_begin(const struct tokens *tokens, size_t instruction_len) {
    size_t i = 1;
    while (i < tokens->n && heads_is_instruction(tokens->ranges[i], instruction_len))
        i++;
    return i < tokens->n ? i : tokens->n;
}

size_t heads_multi_n(const struct tokens *tokens, size_t instruction_len) {
    return tokens->n - multi_begin(tokens, instruction_len);
}

void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 size_t instruction_len, float *vectors_out, struct token_range *ranges_out) {
    const struct model_linear *head = &model->colbert_head;
    size_t dim = model->info.multi_dim, width = model->config.hidden;
    size_t begin = multi_begin(tokens, instruction_len), n = tokens->n - begin;
    if (head->weight)
        matmul_f32(hidden + begin * width, n, width, head->weight, dim, head->bias, vectors_out);
    else if (n > 0)
        memcpy(vectors_out, hidden + begin * width, n * width * sizeof *vectors_out);
    for (size_t i = 0; i < n; i++) {
        vec_normalize(vectors_out + i * dim, dim);
        struct token_range range = tokens->ranges[begin + i];
        if (range.end > 0) { /* [0, 0], a closing special token, stays */
            range.begin -= (uint32_t)instruction_len;
            range.end -= (uint32_t)instruction_len;
        }
        ranges_out[i] = range;
    }
}

void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   size_t instruction_len, uint32_t *term_at, struct lexical *terms_out) {
    const struct model_linear *head = &model->sparse_head;
    size_t width = model->config.hidden;
    assert(head->weight);
    terms_out->n = 0;
    terms_out->length = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        uint32_t id = tokens->ids[i];
        if (tokenizer_is_special(model->tokenizer, id) ||
            heads_is_instruction(tokens->ranges[i], instruction_len))
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
