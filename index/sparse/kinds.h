/* sparse/kinds.h - inside sparse search: what is done for thousands of numbers at a time.
 *
 * Plain C, which the compiler makes SIMD of for each level of processors; the kind is chosen by
 * cpu_level(). sparse/search_test.c compares them on random input. Sums agree to rounding. */
#ifndef TERCET_INDEX_SPARSE_KINDS_H
#define TERCET_INDEX_SPARSE_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cpu.h"

enum { SPARSE_WINDOW_GROUPS = 64, SPARSE_GROUP_DOCS = 32 };

/* What makes shares of a score out of postings (plan.h). */
struct sparse_share {
    bool bm25;
    float weight; /* the query's, idf included */
    float norm_base, norm_slope;
    uint32_t code_base; /* of the block's codes (postings.h) */
};

struct sparse_kind {
    /* sums[i] += weight x the value of codes[i] (postings.h), nothing for code 0. */
    void (*add_codes)(float *sums, const uint8_t *codes, size_t n, uint32_t code_base,
                      float weight);
    /* max_out[w]: of values [windows_n * SPARSE_WINDOW_GROUPS]; no value is below 0 or NaN. */
    void (*window_max)(const float *values, size_t windows_n, float *max_out);
    /* The same for values [groups_n * SPARSE_GROUP_DOCS]. */
    void (*group_max)(const float *values, size_t groups_n, float *max_out);
    /* shares_out[i]: what sparse_plan_share says, to the bit, of codes[i] and a document's length.
     * lengths: [n] of length_bytes (0, 2 or 4; postings.h), perhaps unaligned. */
    void (*shares)(const struct sparse_share *share, const uint8_t *codes, const uint8_t *lengths,
                   size_t length_bytes, size_t n, float *shares_out);
    /* 1 + where the id stands among ids [n] (u32, perhaps unaligned, each once); 0: nowhere. */
    uint32_t (*find_id)(const uint8_t *ids, size_t n, uint32_t id);
};

extern const struct sparse_kind sparse_kinds[]; /* by level; ask sparse_kind_of */

/* NULL when this CPU (or TERCET_CPU) rules the level out. */
static inline const struct sparse_kind *sparse_kind_of(enum cpu_level level) {
    return level <= cpu_level() ? &sparse_kinds[level] : NULL;
}

#endif
