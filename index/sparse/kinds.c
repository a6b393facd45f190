#include "index/sparse/kinds.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE void add_codes(float *restrict sums, const uint8_t *restrict codes, size_t n,
                      uint32_t code_base, float weight) {
    for (size_t i = 0; i < n; i++) {
        uint32_t code = codes[i], bits = code_base + (code << 18);
        float value;
        bits = code == 0 ? 0 : bits;
        memcpy(&value, &bits, sizeof value);
        sums[i] += weight * value;
    }
}

/* Of numbers that are not below 0 the bits are in the same order, and of whole numbers compilers
 * know how to find the largest. n: a constant. */
INLINE float largest(const float *values, size_t n) {
    int32_t most = 0;
    float max;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        most = bits > most ? bits : most;
    }
    memcpy(&max, &most, sizeof max);
    return max;
}

INLINE void window_max(const float *restrict values, size_t windows_n, float *restrict max_out) {
    for (size_t w = 0; w < windows_n; w++)
        max_out[w] = largest(values + w * SPARSE_WINDOW_GROUPS, SPARSE_WINDOW_GROUPS);
}

INLINE void group_max(const float *restrict values, size_t groups_n, float *restrict max_out) {
    for (size_t g = 0; g < groups_n; g++)
        max_out[g] = largest(values + g * SPARSE_GROUP_DOCS, SPARSE_GROUP_DOCS);
}

INLINE float value_of(uint32_t code_base, uint8_t code) {
    uint32_t bits = code_base + ((uint32_t)code << 18);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE float length_at(const uint8_t *lengths, size_t length_bytes, size_t i) {
    uint16_t whole;
    float length;
    if (length_bytes == 0)
        return 0;
    if (length_bytes == 2) {
        memcpy(&whole, lengths + 2 * i, sizeof whole);
        return (float)whole;
    }
    memcpy(&length, lengths + 4 * i, sizeof length);
    return length;
}

INLINE void saturated(const struct sparse_share *share, const uint8_t *restrict codes,
                      const uint8_t *restrict lengths, size_t length_bytes, size_t n,
                      float *restrict out) {
    for (size_t i = 0; i < n; i++) {
        float weight = value_of(share->code_base, codes[i]);
        float length = length_at(lengths, length_bytes, i);
        out[i] =
            share->weight * (weight / (weight + (share->norm_base + share->norm_slope * length)));
    }
}

INLINE void shares(const struct sparse_share *share, const uint8_t *restrict codes,
                   const uint8_t *restrict lengths, size_t length_bytes, size_t n,
                   float *restrict out) {
    if (!share->bm25)
        for (size_t i = 0; i < n; i++)
            out[i] = share->weight * value_of(share->code_base, codes[i]);
    else if (length_bytes == 2) /* constants, so that each loop becomes SIMD of its own */
        saturated(share, codes, lengths, 2, n, out);
    else if (length_bytes == 4)
        saturated(share, codes, lengths, 4, n, out);
    else
        saturated(share, codes, lengths, 0, n, out);
}

/* A look at all of them: a hundred ids are a few instructions, while halving or merging waits for
 * each comparison before the next. */
INLINE uint32_t find_id(const uint8_t *ids, size_t n, uint32_t id) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        uint32_t other;
        memcpy(&other, ids + (size_t)4 * i, sizeof other);
        found |= other == id ? i + 1 : 0;
    }
    return found;
}

#define KIND(name, attributes)                                                                     \
    attributes static void add_codes_##name(float *sums, const uint8_t *codes, size_t n,           \
                                            uint32_t code_base, float weight) {                    \
        add_codes(sums, codes, n, code_base, weight);                                              \
    }                                                                                              \
    attributes static void window_max_##name(const float *values, size_t windows_n,                \
                                             float *max_out) {                                     \
        window_max(values, windows_n, max_out);                                                    \
    }                                                                                              \
    attributes static void group_max_##name(const float *values, size_t groups_n,                  \
                                            float *max_out) {                                      \
        group_max(values, groups_n, max_out);                                                      \
    }                                                                                              \
    attributes static void shares_##name(const struct sparse_share *share, const uint8_t *codes,   \
                                         const uint8_t *lengths, size_t length_bytes, size_t n,    \
                                         float *shares_out) {                                      \
        shares(share, codes, lengths, length_bytes, n, shares_out);                                \
    }                                                                                              \
    attributes static uint32_t find_id_##name(const uint8_t *ids, size_t n, uint32_t id) {         \
        return find_id(ids, n, id);                                                                \
    }

KIND(plain, )
#if defined(__x86_64__)
KIND(avx2, __attribute__((target("avx2,fma"))))
KIND(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))))
#endif

const struct sparse_kind sparse_kinds[] = {
    [CPU_PLAIN] = {add_codes_plain, window_max_plain, group_max_plain, shares_plain, find_id_plain},
#if defined(__x86_64__)
    [CPU_AVX2] = {add_codes_avx2, window_max_avx2, group_max_avx2, shares_avx2, find_id_avx2},
    [CPU_AVX512] = {add_codes_avx512, window_max_avx512, group_max_avx512, shares_avx512,
                    find_id_avx512},
#endif
};
