/* pages.h - is data.mdb a sound file of LMDB's? Read page by page, without LMDB.
 *
 * LMDB trusts its file: a flipped bit in a page's offsets can make it read anywhere in memory. What
 * is checked here it can be given. Values are not looked at; index_check does that.
 * The layout is that of LMDB 0.9 on 64-bit machines (MDB_DATA_VERSION 1), little-endian:
 *
 *   page:   u64 its own number, u16, u16 kind, u16 lower, u16 upper (overflow: u32 pages), then
 *           u16 offsets of nodes up to `lower`; nodes from `upper` to the page's end
 *   node:   u16 lo, u16 hi, u16 flags, u16 k; key [k]; a leaf's value of lo + 65536 hi bytes
 *           (or the u64 number of its overflow pages); a branch's child is lo, hi, flags as one u48
 *   tree:   u32, u16 flags, u16 depth, u64 branch, leaf and overflow pages, u64 entries, u64 root
 *   meta:   page 0 and 1: u32 magic, u32 version, u64, u64 map bytes, tree of free pages (its first
 *           u32 is the page size), tree of the named tables, u64 last page, u64 transaction */
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
