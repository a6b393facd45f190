/* attention.h - multi-head self-attention over one sequence (Vaswani et al. 2017).
 *
 * Scores are computed for a tile of queries at a time, so scratch grows with the length and not
 * with its square. */
#ifndef TERCET_MATH_ATTENTION_H
#define TERCET_MATH_ATTENTION_H

#include <stddef.h>

/* Floats of scratch for a sequence of n tokens. */
size_t attention_scratch_n(size_t n_tokens);

/* qkv: [n_tokens, 3 * hidden], a row holds the query, key and value of all heads side by side.
 * out: [n_tokens, hidden]. scratch: [attention_scratch_n(n_tokens)]. */
void attention_f32(const float *qkv, size_t n_tokens, size_t hidden, size_t heads_n, float *scratch,
                   float *out);

#endif
