/* dense/scan.h - inside dense search: one query over one generation's lists.
 *
 * What comes out are candidates: docids, whose exact scores the caller takes from LMDB's rows.
 * dense_scan_near looks at the rows of the lists nearest to the query, as many as the generation's
 * breadths say; dense_scan_sure at all rows, or all that are allowed, and its candidates hold the
 * exact best k for certain: a row's bytes and the length of what they lack bound its score.
 * A filter is asked before a row is looked at, so what it lets through is found as well as
 * anything. Every byte is checked before it is believed: ERROR_CORRUPT means that the generation is
 * damaged and must not be used. */
#ifndef TERCET_INDEX_DENSE_SCAN_H
#define TERCET_INDEX_DENSE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/vec_s8.h"
#include "index/dense/file.h"
#include "index/fields/docid_set.h"

struct pool;

struct dense_scan {
    struct dense_file *file;
    const struct snapshot *snapshot;
    const struct docid_set *allowed; /* live docids only; NULL: all live ones */
    struct arena *arena;
    struct vec_s8_query query; /* rotated */
    float length;              /* the query's */
};

struct dense_candidates {
    uint32_t *docids; /* [n] live and allowed, each once */
    size_t n;
};

/* query: [dim of the index]. */
void dense_scan_init(struct dense_scan *scan, struct dense_file *file,
                     const struct snapshot *snapshot, const struct docid_set *allowed,
                     const float *query, struct arena *arena);

/* Rows to look at for k neighbours. */
size_t dense_scan_breadth(const struct dense_lists *lists, size_t k);

/* Goes on beyond rows_min rows until there are k candidates, or no rows. */
bool dense_scan_near(struct dense_scan *scan, size_t k, size_t rows_min,
                     struct dense_candidates *out, struct error *err);

/* pool NULL: this thread alone. */
bool dense_scan_sure(struct dense_scan *scan, size_t k, struct pool *pool,
                     struct dense_candidates *out, struct error *err);

#endif
