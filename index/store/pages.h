/* pages.h - is data.mdb a sound file of LMDB's? Read page by page, without LMDB.
 *
 * Whatever a commit can reach is walked, once, and counted against what its trees say. Values are
 * not looked at; index_check does that.
 * The layout: page.h. */
#ifndef TERCET_INDEX_STORE_PAGES_H
#define TERCET_INDEX_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* The two meta pages, which LMDB reads before it can say anything. ERROR_CORRUPT when they are not
 * LMDB's. A file that is missing or empty is fine: LMDB makes it or says so. */
bool pages_check_metas(const char *path, struct error *err);

/* Every page that the transaction's commit can reach. It must be open in LMDB meanwhile, so that
 * no writer uses its pages again. Free pages at the end may be missing. ERROR_CORRUPT: names table
 * and page of the first damage. pages_n_out: how many pages the commit counts. */
bool pages_check(const char *path, uint64_t txn_id, uint64_t *pages_n_out, struct error *err);

/* Does a value that LMDB handed out from its map lie in the page, or in the overflow pages, that
 * its place says? at: its offset in the map. A damaged size or offset of a node can make it reach
 * anywhere; this looks at the page's header only. */
bool pages_hold(const void *map, size_t page_bytes, size_t at, size_t len);

#endif
