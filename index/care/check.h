/* check.h - is everything in an index what it should be?
 *
 * Reads all of it: LMDB's pages (pages.h), then each value, each checksum, and what the tables say
 * of each other. While others read and write: it looks at one commit.
 *   meta       format, settings, state; nothing in use is beyond what the state has given out
 *   segments   checksums; ranges, counts, sums of lengths; the living by tombstones and by rows
 *   documents  sizes, zstd checksums; each is alive, and its key leads back to it
 *   fields     keys and containers; for every document exactly the entries that its fields ask for
 *   keys       each leads to a document, no two to one
 *   passages   within their texts; as many as the state counts, and as dense and multi have rows
 *   dense, sparse, multi   rows of living documents only, of the right width, of possible numbers;
 *              no document without those it must have
 *   postings   each block's bytes, order and bounds; of every living document its sparse row
 *   terms, frequencies     every id given once; counts that are those of the postings
 *   dense/N.lists   checksums; it holds the generation that is named, with every row it
 *              must have */
#ifndef TERCET_INDEX_CARE_CHECK_H
#define TERCET_INDEX_CARE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

/* No more are told of one part of the index: a damage is seldom alone. */
enum { CHECK_TOLD_MAX = 20 };

struct check_listener {
    void *context;
    /* A problem: table or file, key, what is wrong with it. May be NULL. */
    void (*problem)(void *context, const char *what);
};

struct check_totals {
    uint64_t problems_n; /* those beyond CHECK_TOLD_MAX too */
    uint64_t pages_n, documents_n, postings_n;
};

/* True when it could be checked, whatever was found. The folder must not be open in this process
 * (ERROR_BUSY). Damage that ends the check early (LMDB's pages, the settings) is a problem as
 * well, and the last one. */
bool index_check(const char *folder, const struct check_listener *listener,
                 struct check_totals *out, struct error *err);

#endif
