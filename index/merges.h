/* merges.h - the merging of segments that is under way, a slice in each commit.
 *
 * A commit makes a segment of its own; neighbours of one size become one larger segment later
 * (segment.h says which). That takes as long as writing them did, so it is spread: a merge gets an
 * id, writes its lists under it slice by slice, each in the transaction of a commit, and nobody
 * reads them; the last slice exchanges the records of the old segments for the new one's, with the
 * tombstones that came meanwhile. Then the old lists are deleted, in slices too. What is under way
 * stands in the meta value "merge" and belongs to the same commits as the lists: after a kill the
 * next writer goes on from there.
 * How much: MERGES_FACTOR times the work that a commit's own lists took. A posting is rewritten
 * once for each tier above its own, log_8 of (documents / documents of a commit) times, which costs
 * a third more than writing it did, deleting included; so merging keeps up for indexes of some 8^4
 * commits, and for more and smaller commits because of MERGES_WORK_MIN. Several merges may be under
 * way; the smallest goes first, so that a large one does not leave many small segments behind.
 * Threads: belongs to the writer. */
#ifndef TERCET_INDEX_MERGES_H
#define TERCET_INDEX_MERGES_H

#include "index/inside.h"
#include "index/merge.h"

enum {
    MERGES_FACTOR = 6,
    MERGES_WORK_MIN = 256 << 10, /* of one commit: a millisecond or so */
    /* Sizes of those under way lie tiers apart. */
    MERGES_MAX = 16,
    /* Segments that become one: a tier, and smaller ones among and behind them. */
    MERGES_OLDS_MAX = 64,
};

struct merging {
    uint32_t id; /* of the segment that will be */
    uint32_t olds_n;
    uint32_t olds[MERGES_OLDS_MAX]; /* ids, ascending by docid, neighbours */
    uint32_t dead_before;           /* documents dead in the olds when it began */
    struct merge_place place;
};

struct merges {
    struct merging items[MERGES_MAX];
    size_t n;
    uint32_t *remains; /* [remains_n] ids of segments that are gone but for their lists */
    size_t remains_n, remains_cap;
    bool dirty; /* differs from the table */
    bool stuck; /* a damaged list: no more merging by this writer */
};

/* *out is the caller's, to be given to merges_done. segments: of the same commit. */
bool merges_read(struct store_txn *txn, const struct segments *segments, struct merges *out,
                 struct error *err);
void merges_done(struct merges *merges);
/* When it is dirty. */
bool merges_write(struct store_txn *txn, struct merges *merges, struct error *err);

/* Is the segment part of a merge? Then it must stay in the list, though all its documents die. */
bool merges_has(const struct merges *merges, uint32_t segment_id);

/* Are the lists of this id those of a segment that is not yet, or no more? */
bool merges_owns(const struct merges *merges, uint32_t segment_id);

/* The segment's record is gone; its lists will be deleted. */
void merges_leave(struct merges *merges, uint32_t segment_id);

/* Begins what is due and goes on with what is under way until `work` is used up. segments: as the
 * transaction has them, tombstones included. A damaged list ends merging, not the commit: who reads
 * it is told. */
bool merges_run(struct store_txn *txn, struct merges *merges, struct segments *segments,
                struct index_state *state, size_t work, struct error *err);

/* Is there anything to go on with, or to begin? */
bool merges_pending(const struct merges *merges, const struct segments *segments);

/* Deletes every list that no segment has, and what stands in meta. For compact, which makes one
 * segment of all. *any_out: there was something. */
bool merges_drop(struct store_txn *txn, const struct segments *segments, bool *any_out,
                 struct error *err);

#endif
