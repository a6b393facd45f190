/* merge.h - writes the postings of one new segment out of fresh ones and older segments.
 *
 * docids stay as they are; what is dead is left out. One term at a time: memory is that of the
 * longest list. */
#ifndef TERCET_INDEX_MERGE_H
#define TERCET_INDEX_MERGE_H

#include "index/sparse/postings.h"
#include "index/segment.h"

/* A posting that is not in any segment yet. */
struct fresh_posting {
    uint32_t term;
    struct posting posting;
};

struct fresh {
    struct fresh_posting *items; /* [n] by term, then docid (fresh_sort) */
    size_t n, cap;
    struct fresh_posting *spare; /* [spare_cap] fresh_sort's other half */
    size_t spare_cap;
    roaring_bitmap_t *dead; /* docids put and replaced before they were written */
    uint32_t dead_n;
};

/* Sorts by term; postings of a term keep their order, which is that of docids. */
void fresh_sort(struct fresh *fresh);

/* What merging costs is counted in bytes of lists written (3 ns each), and so many more for each
 * list, whatever its size; deleting a list and so many of its bytes counts, too. Measured, but only
 * compared with itself. */
enum { MERGE_LIST_WORK = 64, MERGE_DELETED_LIST_WORK = 32, MERGE_DELETED_BYTES = 16 };

struct merge_totals {
    uint64_t postings_n;
    size_t work;
};

/* Writes the lists of segment `id` (larger than every one before it) from the olds [olds_n], which
 * neighbour each other and come before the fresh, and from the fresh. */
bool merge_postings(struct store_txn *txn, uint32_t id, const struct segment *olds, size_t olds_n,
                    const struct fresh *fresh, struct merge_totals *out, struct error *err);

/* How far a merge has come that is done in slices. */
struct merge_place {
    uint64_t term_next; /* MERGE_PLACE_END: all lists are written */
    uint64_t postings_n;
};
static const uint64_t MERGE_PLACE_END = (uint64_t)1 << 32;

/* Goes on writing the lists of segment `id` from the olds, until *budget of work is used up, by one
 * list more at most. Newer segments may have lists. On failure the place is where it came to. */
bool merge_slice(struct store_txn *txn, uint32_t id, const struct segment *olds, size_t olds_n,
                 struct merge_place *place, size_t *budget, struct error *err);

/* Deletes a segment's lists, as many as *budget allows. *done_out: there are no more. */
bool merge_delete_postings(struct store_txn *txn, uint32_t segment_id, size_t *budget,
                           bool *done_out, struct error *err);

#endif
