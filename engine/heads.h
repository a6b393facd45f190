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

/* Multi-vectors of a sequence: all tokens but the first. */
size_t heads_multi_n(const struct tokens *tokens);

/* vectors_out: [heads_multi_n, multi_dim], each of length 1; ranges_out: [heads_multi_n]. */
void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 float *vectors_out, struct token_range *ranges_out);

/* The model must have a sparse head. terms_out->terms: room for tokens->n; only weights > 0 stay.
 * term_at: [vocabulary_n] of zeros, and so again afterwards: a table from id to term. */
void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   uint32_t *term_at, struct lexical *terms_out);

#endif
