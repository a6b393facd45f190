/* attention_kernels.h - the kinds of attention.h; only attention*.c, its test and benchmark and
 * cost.c include this. */
#ifndef TERCET_MATH_ATTENTION_KERNELS_H
#define TERCET_MATH_ATTENTION_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/math/attention.h"

struct attention_kernels {
    const char *name;
    size_t (*packed_bytes)(size_t n, size_t dim);
    size_t (*scratch_bytes)(size_t dim);
    void (*pack)(const struct attention *in, size_t head, void *packed);
    void (*attend)(const struct attention *in, size_t head, const void *packed, size_t begin,
                   size_t end, void *scratch, float *out);
};

/* attention_f32.c: products in f32, of f32 or bf16 inputs. */
extern const struct attention_kernels attention_f32_plain;
#if defined(__x86_64__)
extern const struct attention_kernels attention_f32_avx2, attention_f32_avx512;
/* attention_bf16.c: products in bf16, of f32 or bf16 inputs. */
extern const struct attention_kernels attention_bf16_avx512, attention_bf16_amx;
#endif

/* NULL-terminated: every kind of the precision that this CPU can run, the best first. */
enum { ATTENTION_KINDS_MAX = 5 };
void attention_kinds(bool bf16, const struct attention_kernels *out[ATTENTION_KINDS_MAX + 1]);

enum attention_part { ATTENTION_QUERY, ATTENTION_KEY, ATTENTION_VALUE };

/* Where a token's query, key or value of a head begins in qkv. */
static inline size_t attention_at(const struct attention *in, enum attention_part part, size_t head,
                                  size_t token) {
    return token * 3 * in->hidden + (size_t)part * in->hidden + head * (in->hidden / in->heads_n);
}

/* A head's rows lie a page apart, where no processor fetches ahead by itself. */
static inline void attention_prefetch(const struct attention *in, enum attention_part part,
                                      size_t head, size_t token) {
    enum { LINE_BYTES = 64 };
    if (token >= in->n)
        return;
    size_t at = attention_at(in, part, head, token), dim = in->hidden / in->heads_n;
    size_t width = in->qkv_f32 ? sizeof(float) : sizeof(uint16_t);
    const char *row =
        in->qkv_f32 ? (const char *)(in->qkv_f32 + at) : (const char *)(in->qkv_bf16 + at);
    for (size_t byte = 0; byte < dim * width; byte += LINE_BYTES)
        __builtin_prefetch(row + byte);
}

/* The queries that follow this tile, and the rows of `out` that it will write. */
static inline void attention_prefetch_tile(const struct attention *in, size_t head, size_t begin,
                                           size_t end, const float *out) {
    enum { LINE_FLOATS = 16 };
    size_t dim = in->hidden / in->heads_n;
    for (size_t i = begin; i < end; i++) {
        attention_prefetch(in, ATTENTION_QUERY, head, i + (end - begin));
        const float *row = out + i * in->hidden + head * dim;
        for (size_t j = 0; j < dim; j += LINE_FLOATS)
            __builtin_prefetch(row + j, 1);
    }
}

static inline float attention_f32_of(uint16_t bf16) {
    uint32_t bits = (uint32_t)bf16 << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Round to nearest even; no NaN comes here. */
static inline uint16_t attention_bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
