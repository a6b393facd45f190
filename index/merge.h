/* merge.h - writes the postings of one new segment out of fresh ones and older segments.
 *
 * docids stay as they are; what is dead is left out. One term at a time: memory is that of the
 * longest list. */
#ifndef TERCET_INDEX_MERGE_H
#define TERCET_INDEX_MERGE_H

#include "index/postings.h"
#include "index/segment.h"

/* A posting that is not in any segment yet. */
struct fresh_posting {
    uint32_t term;
    struct posting posting;
};

struct fresh {
    struct fresh_posting *items; /* [n] by term, then docid (fresh_sort) */
    size_t n, cap;
    roaring_bitmap_t *dead; /* docids put and replaced before they were written */
    uint32_t dead_n;
};

/* Sorts by term; postings of a term keep their order, which is that of docids. */
void fresh_sort(struct fresh *fresh);

/* Writes the lists of segment `id` (larger than every one before it) from the olds [olds_n], which
 * neighbour each other and come before the fresh, and from the fresh. */
bool merge_postings(struct store_txn *txn, uint32_t id, const struct segment *olds, size_t olds_n,
                    const struct fresh *fresh, uint64_t *postings_n_out, struct error *err);

bool merge_delete_postings(struct store_txn *txn, uint32_t segment_id, struct error *err);

#endif
