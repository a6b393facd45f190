/* attention.h - multi-head self-attention over one sequence (Vaswani et al. 2017).
 *
 * No score leaves the cache: keys are taken block by block under a running maximum and sum for
 * each query (online softmax; FlashAttention, Dao et al. 2022), so scratch does not grow with the
 * length. The keys and values of a head are first packed into the kernel's layout, once.
 *
 *     attention_pack(in, head, packed);                            once a head
 *     attention_attend(in, head, packed, begin, end, scratch, out) any ranges, any threads
 *
 * A query's sums are taken in an order that depends on the sequence's length only: however heads
 * and queries are divided among calls, out has the same bits (attention_test.c).
 *
 * Precisions: f32, with f32 products; bf16, where queries, keys, values and probabilities are
 * rounded to bf16 and sums are f32 (AMX or AVX512_BF16; elsewhere bf16 inputs are widened and f32
 * products used, so only the inputs are rounded).
 * Accuracy (attention_test.c): f32 within 1e-6 of doubles, relative to the mixed values' sizes; its
 * exponential within 3e-7 relative. bf16: a weight within 2^-8 + 7.5e-5 relative.
 * Threads: calls share `in` and `packed`; scratch and the range written belong to one call. */
#ifndef TERCET_MATH_ATTENTION_H
#define TERCET_MATH_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A row of qkv holds the query, key and value of all heads side by side: [n, 3 * hidden]. */
struct attention {
    const float *qkv_f32; /* one of both, the other is NULL */
    const uint16_t *qkv_bf16;
    size_t n, hidden, heads_n; /* tokens; heads_n divides hidden */
    bool bf16;                 /* products in bf16; else in f32 */
};

/* Bytes for the packed keys and values of one head of n tokens, `dim` wide, in any precision:
 * 8 * n * dim and padding (4 MiB at 8,192 x 64); 4 * n * dim where products are bf16. */
size_t attention_packed_bytes(size_t n, size_t dim);

/* Bytes of scratch for a call of attention_attend, whatever the length: 53 KiB at dim 64. */
size_t attention_scratch_bytes(size_t dim);

/* packed: attention_packed_bytes(n, hidden / heads_n) bytes at a multiple of 64. */
void attention_pack(const struct attention *in, size_t head, void *packed);

/* Queries [begin, end) of one head. out: [n, hidden], of which rows begin to end are written in
 * the head's columns. scratch: attention_scratch_bytes(dim) bytes at a multiple of 64. */
void attention_attend(const struct attention *in, size_t head, const void *packed, size_t begin,
                      size_t end, void *scratch, float *out);

/* Floats of scratch for attention_f32 of n tokens with heads `dim` wide. */
size_t attention_scratch_n(size_t n, size_t dim);

/* All heads and queries of an f32 sequence on this thread. out: [n, hidden].
 * scratch: [attention_scratch_n(n, hidden / heads_n)] at a multiple of 64 bytes. */
void attention_f32(const float *qkv, size_t n, size_t hidden, size_t heads_n, float *scratch,
                   float *out);

#endif
