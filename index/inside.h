/* inside.h - what the files of index/ know of an open index and of a snapshot; nobody else does.
 *
 * Locking: index->published_lock guards `published` and the counts of its holders, for the length
 * of a few instructions; nothing else is taken while it is held. index->writing is atomic. */
#ifndef TERCET_INDEX_INSIDE_H
#define TERCET_INDEX_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/rows.h"
#include "index/index.h"
#include "index/segment.h"
#include "index/store/store.h"
#include "index/writer.h"

/* The meta value "state": what a commit moves on. On disk as it is here (32 bytes). */
struct index_state {
    uint32_t docid_next, term_next, segment_next;
    uint32_t passages_n; /* of the living documents */
    uint64_t generation_number;
    uint32_t generation_covered_end, generation_rows_n;
};

/* The segments of one commit, parsed once and shared by all snapshots of it. */
struct published {
    uint64_t txn_id;
    uint32_t holders_n; /* under published_lock; the index itself is one */
    struct segments segments;
    uint64_t live_n, length_sum;
};

struct index {
    char *folder;
    struct store *store;
    struct index_settings settings;
    struct dense_index *dense;   /* NULL: no dense vectors */
    struct dense_tender *tender; /* NULL then, too; dense/grow.c */
    pthread_mutex_t published_lock;
    struct published *published; /* of the newest commit read so far; NULL at first */
    atomic_bool writing;         /* a writer is open */
    pthread_mutex_t claims_lock;
    bool claimed, claimed_to_tend; /* under claims_lock: by who opened it, by its tender */
};

struct snapshot {
    struct index *index;
    struct store_txn *txn;
    struct published *published;
    struct index_state state;
};

bool index_state_read(struct store_txn *txn, struct index_state *out, struct error *err);
bool index_state_write(struct store_txn *txn, const struct index_state *state, struct error *err);

/* The settings though the rest of table meta be damaged; ERROR_UNSUPPORTED for another format. */
bool index_settings_read(struct store_txn *txn, struct index_settings *out, struct error *err);

/* For who adds a kind of change to a writer: its transaction, begun; NULL on failure. A change that
 * fails half-way ends with writer_give_up, which returns false. */
struct store_txn *writer_txn(struct writer *writer, struct error *err);
void writer_note_change(struct writer *writer);
bool writer_give_up(struct writer *writer, const struct error *err);

/* For tests: postings are written out when there are so many, not only when memory asks for it. */
void writer_limit_postings(struct writer *writer, size_t postings_n);

/* For tests: a commit merges so much (merge.h); 0: as it should. */
void writer_limit_merging(struct writer *writer, size_t work);

/* Who makes dense generations meanwhile. Freed before what it works on, after the writer: it may be
 * waiting for the writer's batch to end. */
struct dense_tender *dense_tender_new(struct index *index);
void dense_tender_free(struct dense_tender *tender); /* NULL is fine */

/* index_claim and index_yield for the tender, beside those of who opened the index. */
bool index_claim_to_tend(struct index *index, struct error *err);
void index_yield_to_tend(struct index *index);

/* Ends a transaction that holds no change, so that another thread may commit. ERROR_INVALID when it
 * holds one: commit first. */
bool writer_rest(struct writer *writer, struct error *err);

/* Forgets what snapshots share; called at close. */
void index_unpublish(struct index *index);

#endif
