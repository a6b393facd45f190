/* sparse/kinds.h - inside sparse search: what is done for thousands of numbers at a time.
 *
 * Plain C, which the compiler makes SIMD of for each level of processors; the kind is chosen by
 * cpu_level(). sparse/search_test.c compares them on random input. Sums agree to rounding. */
#ifndef TERCET_INDEX_SPARSE_KINDS_H
#define TERCET_INDEX_SPARSE_KINDS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/cpu.h"

enum { SPARSE_WINDOW_GROUPS = 64 };

struct sparse_kind {
    /* sums[i] += weight x the value of codes[i] (postings.h), nothing for code 0. */
    void (*add_codes)(float *sums, const uint8_t *codes, size_t n, uint32_t code_base,
                      float weight);
    /* max_out[w]: of values [windows_n * SPARSE_WINDOW_GROUPS]; no value is below 0 or NaN. */
    void (*window_max)(const float *values, size_t windows_n, float *max_out);
    /* 1 + where the id stands among ids [n] (u32, perhaps unaligned, each once); 0: nowhere. */
    uint32_t (*find_id)(const uint8_t *ids, size_t n, uint32_t id);
};

extern const struct sparse_kind sparse_kinds[]; /* by level; ask sparse_kind_of */

/* NULL when this CPU (or TERCET_CPU) rules the level out. */
static inline const struct sparse_kind *sparse_kind_of(enum cpu_level level) {
    return level <= cpu_level() ? &sparse_kinds[level] : NULL;
}

#endif
