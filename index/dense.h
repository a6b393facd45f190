/* dense.h - the FAISS side of dense search: generations, loaded when first needed.
 *
 * A generation is a FAISS index over the rows of all docids below covered_end that were alive when
 * it was built. It is derived: LMDB's f16 rows are the truth, and every score that leaves this
 * file is computed from them. A generation that is missing, damaged or of another shape is left
 * out, and the rows are scanned instead: same answers (better ones, even), more time.
 *
 * Up to a few thousand rows there is no generation at all; then FAISS "Flat"; then "HNSW32"
 * (Malkov & Yashunin 2016), inner product.
 *
 * Bytes of FOLDER/dense/<number>.faiss, little-endian:
 *   OFFSET         SIZE        MEANING
 *   0              8           "TERCETDV"
 *   8              4           version, 1
 *   12             4           dim
 *   16             8           generation number
 *   24             4           covered_end
 *   28             4           rows_n
 *   32             8           FAISS bytes behind the table
 *   40             8           XXH3-64 of everything from offset 64 on
 *   48             8           0
 *   56             8           XXH3-64 of bytes 0 .. 55
 *   64             4 rows_n    docid of each FAISS row, ascending
 *   64 + 4 rows_n              what faiss_write_index wrote
 * FAISS's reader trusts its input, so nothing reaches it before both sums agree.
 *
 * Threads: one struct dense_index for all threads of a process. */
#ifndef TERCET_INDEX_DENSE_H
#define TERCET_INDEX_DENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "index/dense_store.h"

/* In front of the table of docids; see above. */
enum { DENSE_HEADER_BYTES = 64 };

/* folder: the index's. Reads nothing yet; never fails. */
struct dense_index *dense_index_new(const char *folder, uint32_t dim);

/* No search may be running. NULL is fine. */
void dense_index_free(struct dense_index *dense);

/* When a generation is worth having and using. The defaults and their reasons: dense.c. */
struct dense_limits {
    uint32_t generation_rows_min; /* fewer rows: no generation */
    uint32_t hnsw_rows_min;       /* fewer rows: "Flat" */
    uint32_t uncovered_min;       /* fewer new docids: no new generation */
    uint32_t rows_a_candidate;    /* asking FAISS for one costs what scanning so many rows does */
};
struct dense_limits dense_index_limits(const struct dense_index *dense);

/* For tests: small limits make every path run on few rows. Before other threads use the index. */
void dense_index_set_limits(struct dense_index *dense, struct dense_limits limits);

/* For tests: true when this process holds the generation in memory. */
bool dense_index_has(struct dense_index *dense, uint64_t number);

/* ---- using a generation ---- */

struct dense_generation;

/* Loads the generation when it is first needed; the caller holds it until dense_release, whatever
 * is published meanwhile. NULL when it cannot be used (missing, damaged), another thread is loading
 * it at this moment, or this is the process's first search: scan the rows. A failure is remembered,
 * not tried again. */
struct dense_generation *dense_acquire(struct dense_index *dense, struct index_generation named);
void dense_release(struct dense_index *dense, struct dense_generation *generation);

/* Docids of (about) the n rows nearest to the query, best first, dead ones among them. Any
 * number of threads may ask one generation.
 * query: [dim]; docids_out: [n]; how many were found comes back in *n_out. */
bool dense_nearest(struct dense_generation *generation, const float *query, size_t n,
                   struct arena *arena, uint32_t *docids_out, size_t *n_out, struct error *err);

/* ---- making one ---- */

/* True when the named generation is in memory or its file is whole. */
bool dense_usable(struct dense_index *dense, struct index_generation named);

/* Rows go in by ascending docid; rows_n says how many will come (it chooses the kind). */
struct dense_builder;
bool dense_builder_open(struct dense_index *dense, size_t rows_n, size_t threads_n,
                        struct dense_builder **out, struct error *err);
bool dense_builder_add(struct dense_builder *builder, uint32_t docid, const void *row_f16,
                       struct error *err);
/* Writes FOLDER/dense/<number>.faiss so that it is whole on disk or not there. *rows_n_out: rows
 * that were added. */
bool dense_builder_write(struct dense_builder *builder, uint64_t number, uint32_t covered_end,
                         uint32_t *rows_n_out, struct error *err);
void dense_builder_close(struct dense_builder *builder); /* NULL is fine */

/* Removes all generations' files but this one's. What cannot be removed stays: it does no harm. */
void dense_remove_others(struct dense_index *dense, uint64_t number);

#endif
