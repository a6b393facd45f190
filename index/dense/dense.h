/* dense.h - inside dense search: the generations of an index, opened when first needed.
 *
 * A generation is a file (dense/file.h) of the rows of all docids below covered_end that were alive
 * when it was made. It is derived: LMDB's f16 rows are the truth, and every score that leaves
 * dense/search.c is computed from them. A generation that is missing, damaged or of another shape
 * is left out, and the rows are scanned instead: same answers (better ones, even), more time.
 *
 * Which files do what:
 *   dense/search.c   a search over a snapshot: candidates, exact scores, newer rows
 *   dense/scan.c     candidates from one generation
 *   dense/lists.c    how a row is told in signs and bytes
 *   dense/grow.c     when a generation is made, and the thread that makes it meanwhile
 *   dense/build.c    a snapshot's rows -> a generation; dense/train.c, dense/measure.c: its lists
 *   dense/file.c     its bytes; checked_map.c: their checksums; dense/rotate.c: the rotation
 * Why it is so, with figures: docs/search-dense.md.
 *
 * Threads: one struct dense_index for all threads of a process. */
#ifndef TERCET_INDEX_DENSE_DENSE_H
#define TERCET_INDEX_DENSE_DENSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "index/index.h"
#include "index/rows.h"

struct dense_file;

/* folder: the index's. Reads nothing yet; never fails. */
struct dense_index *dense_index_new(const char *folder, uint32_t dim, enum index_dense_kind kind);

/* No search may be running. NULL is fine. */
void dense_index_free(struct dense_index *dense);

/* When a generation is worth having. The defaults and their reasons: dense.c. */
struct dense_limits {
    uint32_t generation_rows_min; /* fewer rows: no generation */
    uint32_t lists_rows_min;      /* fewer rows: one list, of which every row is looked at */
    uint32_t uncovered_min;       /* fewer new docids: no new generation */
    uint32_t sure_rows_max;       /* of so few allowed ones every row is looked at */
    float breadth_times;          /* how much of the lists is looked at: 0 or 1: as measured */
};
struct dense_limits dense_index_limits(const struct dense_index *dense);

/* For tests: small limits make every path run on few rows. Before other threads use the index. */
void dense_index_set_limits(struct dense_index *dense, struct dense_limits limits);

/* For tests: true when this process has the generation open. */
bool dense_index_has(struct dense_index *dense, uint64_t number);

/* FOLDER/dense, and a generation's file in it. */
const char *dense_folder(const struct dense_index *dense);
void dense_path(const struct dense_index *dense, uint64_t number, struct buf *out);
/* Where this process makes it: others may be at the same number (only one will name it). */
void dense_making_path(const struct dense_index *dense, uint64_t number, struct buf *out);

/* Held by who makes a generation, so that no two do. */
pthread_mutex_t *dense_making(struct dense_index *dense);

/* ---- using a generation ---- */

struct dense_generation;

/* Opens the generation when it is first needed; the caller holds it until dense_release, whatever
 * is published meanwhile. NULL when it cannot be used (missing, damaged): scan the rows. A failure
 * is remembered, not tried again. */
struct dense_generation *dense_acquire(struct dense_index *dense, struct index_generation named);
void dense_release(struct dense_index *dense, struct dense_generation *generation);
struct dense_file *dense_generation_file(struct dense_generation *generation);

/* It was seen to be damaged: no search gets it from now on. */
void dense_fail(struct dense_index *dense, struct dense_generation *generation);

/* True when the named generation's file is whole; reads all of it, once. */
bool dense_usable(struct dense_index *dense, struct index_generation named);

/* Removes all generations' files but this one's, and what was left half made up to it. What cannot
 * be removed stays: it does no harm. */
void dense_remove_others(struct dense_index *dense, uint64_t number);

#endif
