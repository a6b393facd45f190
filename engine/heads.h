/* heads.h - hidden states of one sequence -> the three representations (see encoder.h). */
#ifndef TERCET_HEADS_H
#define TERCET_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lexical.h"
#include "engine/tokenizer/tokenizer.h"

struct model;

/* hidden: [tokens_n, hidden], borrowed. out: [hidden], the first token's state (CLS) or the mean of
 * all, as the model's folder says; scaled to length 1 when normalize. */
void heads_dense(const struct model *model, const float *hidden, size_t tokens_n, bool normalize,
                 float *out);

/* Multi-vectors of a sequence: all tokens from `first` on, which is 1 (all but CLS), or more where
 * an instruction stands in front. */
size_t heads_multi_n(const struct tokens *tokens, size_t first);

/* vectors_out: [heads_multi_n, multi_dim], each of length 1; ranges_out: [heads_multi_n]. */
void heads_multi(const struct model *model, const float *hidden, const struct tokens *tokens,
                 size_t first, float *vectors_out, struct token_range *ranges_out);

/* The model must have a sparse head. terms_out->terms: room for tokens->n; only weights > 0 stay.
 * Special tokens are left out, as are those before `first`; XLM-R's <mask> stays, as with
 * FlagEmbedding. term_at: [vocabulary_n] of zeros, and so again afterwards: a table from id to
 * term. */
void heads_lexical(const struct model *model, const float *hidden, const struct tokens *tokens,
                   size_t first, uint32_t *term_at, struct lexical *terms_out);

/* A cross-encoder's relevance of the pair whose first token's hidden state [hidden] this is: the
 * raw logit. scratch: [hidden]. */
float heads_relevance(const struct model *model, const float *hidden, float *scratch);

#endif
