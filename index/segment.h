/* segment.h - an immutable range of docids with postings of its own, and who in it is dead.
 *
 * Sizes follow the logarithmic method (Bentley & Saxe 1980; Lucene's tiers): a commit makes one
 * segment, and SEGMENT_FANOUT neighbours of one tier become one, as do small ones before a larger
 * one. Merged to the end, tiers never grow from old to new, and no tier has SEGMENT_FANOUT of them,
 * so an index of N documents has at most (SEGMENT_FANOUT - 1) x (log_8 N + 1) segments, half as
 * many on average: a dozen for a million documents that came a thousand at a time. Merging is
 * spread over later commits (merges.h): meanwhile the olds are there, and as many newer ones again.
 * A posting is rewritten at most log_8 N times. (With a fan-out of 4: on average one segment fewer,
 * and a quarter more time for writing.)
 * Threads: a struct segments is shared and read-only once it is published. */
#ifndef TERCET_INDEX_SEGMENT_H
#define TERCET_INDEX_SEGMENT_H

#include <roaring/roaring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "index/store/store.h"

enum { SEGMENT_FANOUT = 8 };

/* Lengths are summed in whole 1/256 words, so that adding and subtracting them in any order gives
 * the same average length, and with it the same scores, to the bit. */
enum { SEGMENT_LENGTH_UNIT = 256 };

struct segment {
    uint32_t id;
    uint32_t docid_begin, docid_end;
    uint32_t docs_n;              /* with postings here: alive or dead */
    uint32_t dead_n;              /* of docs_n */
    uint64_t postings_n;          /* dead ones included */
    uint64_t length_sum;          /* of the live, in 1/256 words */
    roaring_bitmap_t *tombstones; /* every docid of the range that is not alive */
    bool dirty;                   /* writer only: differs from the table */
};

/* All segments of one commit, ascending by docid. */
struct segments {
    struct segment *items;
    size_t n, cap;
};

uint64_t segment_length_units(float length);

/* Reads the table. *out is the caller's, to be given to segments_done. */
bool segments_read(struct store_txn *txn, struct segments *out, struct error *err);
void segments_done(struct segments *segments);

void segments_push(struct segments *segments, struct segment segment); /* takes the bitmap */
void segments_insert(struct segments *segments, size_t at, struct segment segment); /* as well */
void segments_remove(struct segments *segments, size_t first, size_t n); /* frees the bitmaps */

/* The segment whose range holds the docid; NULL: none does. */
struct segment *segments_find(const struct segments *segments, uint32_t docid);
bool segments_is_live(const struct segments *segments, uint32_t docid);

uint64_t segments_live_n(const struct segments *segments);
uint64_t segments_length_sum(const struct segments *segments);

bool segment_write(struct store_txn *txn, const struct segment *segment, struct error *err);

/* How many of the segments [begin, end), end > begin, counted from the last one, should become one;
 * 0: none. */
size_t segments_merge_n(const struct segments *segments, size_t begin, size_t end);

#endif
