/* heads.h - hidden states of one sequence -> the three representations (see encoder.h). */
#ifndef TERCET_HEADS_H
#define TERCET_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lexical.h"
#include "engine/tokenizer/tokenizer.h"

struct model;

/* hidden: [n_tokens, hidden], borrowed. out: [hidden], the first token's state (CLS), scaled to
 * length 1. */
void heads_dense(const struct model *model, const float *hidden, float *out);

/* True for a token of an instruction of `instruction_len` bytes in front of the text. Special
 * tokens that the tokenizer put in have the range [0, 0] and belong to no text. */
static inline bool heads_is_instruction(struct token_range range, size_t instruction_len) {
    return range.end > 0 && range.begin < instruction_len;
}

/* Multi-vectors of a sequence: all tokens but the first and those of the instruction. */
size_t heads_multi_n(const struct tokens *tokens, size_t instruction_len);

/* vectors_out: [heads_multi_n, multi_dim], each of length 1; ranges_out: [heads_multi_n], counted
 * in the text without its instruction. */
void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 size_t instruction_len, float *vectors_out, struct token_range *ranges_out);

/* The model must have a sparse head. terms_out->terms: room for tokens->n; only weights > 0 stay.
 * term_at: [vocabulary_n] of zeros, and so again afterwards: a table from id to term. */
void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   size_t instruction_len, uint32_t *term_at, struct lexical *terms_out);

#endif
