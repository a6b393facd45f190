/* sparse/bounds.h - inside sparse search: one segment, and how much each of its groups can score.
 *
 * A group is POSTINGS_GROUP_N docids; its bound is the sum over the query's terms of the largest
 * share that any of its documents has. Terms with a table of bounds add that, byte by byte; terms
 * without one are read whole. Groups are looked at by the window. */
#ifndef TERCET_INDEX_SPARSE_BOUNDS_H
#define TERCET_INDEX_SPARSE_BOUNDS_H

#include "index/sparse/postings.h"
#include "index/sparse/kinds.h"
#include "index/sparse/plan.h"

_Static_assert((int)SPARSE_GROUP_DOCS == (int)POSTINGS_GROUP_N, "the same groups");

enum {
    SPARSE_MASK_TERMS = 32, /* bits of a mask */
    SPARSE_WINDOW_DOCS = SPARSE_WINDOW_GROUPS * POSTINGS_GROUP_N,
    /* Neighbouring windows whose postings are read together: most blocks then lie within, and the
     * sums, 64 KiB, in the second cache. */
    SPARSE_SPAN_WINDOWS = 8,
    SPARSE_SPAN_DOCS = SPARSE_SPAN_WINDOWS * SPARSE_WINDOW_DOCS,
};

struct sparse_term {
    uint32_t id;
    size_t at;    /* the term's place in the query */
    float weight; /* the query's, idf included */
    float scale;  /* terms with a table: what a decoded code of it is multiplied with */
    struct posting_list list;
    uint32_t open_b; /* the block opened last, or blocks_n */
    struct posting_block open;
};

/* What the query finds in one segment. Lives in an arena. */
struct sparse_part {
    const struct sparse_plan *plan;
    const struct segment *segment;
    uint32_t group_begin;       /* the segment's first group */
    size_t first_group;         /* the search's own number of it */
    size_t windows_n;           /* of SPARSE_WINDOW_GROUPS groups; the last may reach too far */
    struct sparse_term *tables; /* [tables_n] terms with a table */
    struct sparse_term *lists;  /* [lists_n] terms without */
    size_t tables_n, lists_n;
    struct sparse_term **terms; /* [tables_n + lists_n] both, in the query's order */
    float *bounds;              /* [windows_n * SPARSE_WINDOW_GROUPS] */
    uint32_t *masks;   /* the same: bit i: lists[i] is there; the last bit: any from there on */
    float *window_max; /* [windows_n] the largest bound */
    float floor_sum;   /* what weights too small for their lists' codes add at most */
    bool rounded;      /* some sums of shares are bounds only */
    /* Work, in hundredths of a group's: of all postings of a window, of beginning to read some. */
    size_t window_work, begin_work;
};

/* allowed: NULL: all; else groups without an allowed docid get the bound 0. ERROR_CORRUPT when a
 * list that the query asks for is damaged. */
bool sparse_part_open(const struct sparse_plan *plan, const struct segment *segment,
                      const struct docid_set *allowed, struct arena *arena, struct sparse_part *out,
                      struct error *err);

/* Adds the term's shares in the group (counted from group_begin) to sums [POSTINGS_GROUP_N]. */
bool sparse_part_add(const struct sparse_part *part, struct sparse_term *term, size_t group,
                     float *sums, struct error *err);

/* From how many groups on it is less work to read so many windows than each group for itself. */
static inline size_t sparse_part_whole_from(const struct sparse_part *part, size_t windows_n) {
    return (part->begin_work + windows_n * part->window_work) / 100 + 1;
}

/* Adds the shares of all terms in the windows (SPARSE_SPAN_WINDOWS at most) to sums [windows_n *
 * SPARSE_WINDOW_DOCS], for each document in the query's order. */
bool sparse_part_add_windows(const struct sparse_part *part, size_t window, size_t windows_n,
                             float *sums, struct error *err);

/* What the term adds to a document of the group at most; of part->tables only. */
static inline float sparse_part_table_bound(const struct sparse_part *part,
                                            const struct sparse_term *term, size_t group) {
    uint32_t at = part->group_begin + (uint32_t)group - term->list.group_first;
    uint8_t code = at < term->list.groups_n ? term->list.table[at] : 0;
    return code ? term->scale * posting_decode(posting_code_base(term->list.table_scale), code) : 0;
}

#endif
