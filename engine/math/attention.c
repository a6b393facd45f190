#include "engine/math/attention.h"

#include <assert.h>

#include "engine/base/cpu.h"
#include "engine/math/attention_kernels.h"

void attention_kinds(bool bf16, const struct attention_kernels *out[ATTENTION_KINDS_MAX + 1]) {
    size_t n = 0;
    (void)bf16;
#if defined(__x86_64__)
    if (bf16 && cpu_has(CPU_AMX) && cpu_has(CPU_AVX512_BF16))
        out[n++] = &attention_bf16_amx;
    if (bf16 && cpu_has(CPU_AVX512_BF16))
        out[n++] = &attention_bf16_avx512;
    if (cpu_level() >= CPU_AVX512)
        out[n++] = &attention_f32_avx512;
    if (cpu_level() >= CPU_AVX2)
        out[n++] = &attention_f32_avx2;
#endif
    out[n++] = &attention_f32_plain;
    out[n] = NULL;
}

static const struct attention_kernels *kernels(bool bf16) {
    const struct attention_kernels *kinds[ATTENTION_KINDS_MAX + 1];
    attention_kinds(bf16, kinds);
    return kinds[0];
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t attention_packed_bytes(size_t n, size_t dim) {
    return larger(kernels(false)->packed_bytes(n, dim), kernels(true)->packed_bytes(n, dim));
}

size_t attention_scratch_bytes(size_t dim) {
    return larger(kernels(false)->scratch_bytes(dim), kernels(true)->scratch_bytes(dim));
}

void attention_pack(const struct attention *in, size_t head, void *packed) {
    assert(head < in->heads_n && !in->qkv_f32 != !in->qkv_bf16);
    kernels(in->bf16)->pack(in, head, packed);
}

void attention_attend(const struct attention *in, size_t head, const void *packed, size_t begin,
                      size_t end, void *scratch, float *out) {
    assert(head < in->heads_n && begin <= end && end <= in->n);
    kernels(in->bf16)->attend(in, head, packed, begin, end, scratch, out);
}

/* The packed part, rounded up to a cache line, so that what follows it begins on one. */
static size_t packed_floats(size_t n, size_t dim) {
    enum { LINE_FLOATS = 16 };
    size_t floats = kernels(false)->packed_bytes(n, dim) / sizeof(float);
    return (floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
}

size_t attention_scratch_n(size_t n, size_t dim) {
    return packed_floats(n, dim) + kernels(false)->scratch_bytes(dim) / sizeof(float);
}

void attention_f32(const float *qkv, size_t n, size_t hidden, size_t heads_n, float *scratch,
                   float *out) {
    struct attention in = {.qkv_f32 = qkv, .n = n, .hidden = hidden, .heads_n = heads_n};
    float *rest = scratch + packed_floats(n, hidden / heads_n);
    for (size_t head = 0; head < heads_n; head++) {
        attention_pack(&in, head, scratch);
        attention_attend(&in, head, scratch, 0, n, rest, out);
    }
}
