/* page.h - how LMDB 0.9 lays out its file on 64-bit little-endian machines, and whether one page is
 * what it should be. Read without LMDB, which trusts every offset it finds.
 *
 *   page:   u64 its own number, u16, u16 kind, u16 lower, u16 upper (overflow: u32 pages), then
 *           u16 offsets of nodes up to `lower`; nodes from `upper` to the page's end, without gaps
 *   node:   u16 lo, u16 hi, u16 flags, u16 k; key [k]; a leaf's value of lo + 65536 hi bytes
 *           (or the u64 number of its overflow pages); a branch's child is lo, hi, flags as one u48
 *   tree:   u32, u16 flags, u16 depth, u64 branch, leaf and overflow pages, u64 entries, u64 root
 *   meta:   page 0 and 1: u32 magic, u32 version, u64, u64 map bytes, tree of free pages (its first
 *           u32 is the page size), tree of the named tables, u64 last page, u64 transaction */
#ifndef TERCET_INDEX_STORE_PAGE_H
#define TERCET_INDEX_STORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "index/store/store.h"

enum {
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    TREE_BYTES = 48,
    META_BYTES = 136,
    KEY_BYTES_MAX = 511,
    TREE_DEPTH_MAX = 32, /* of LMDB's cursors */
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536,
    PAGES_MAX = 1 << 28, /* of the map that open.c reserves: 1 TiB in pages of 4 KiB */

    KIND_BRANCH = 1,
    KIND_LEAF = 2,
    KIND_OVERFLOW = 4,
    KIND_META = 8,
    /* Other bits of a page's kind mark it in a writer's memory and are never written. LMDB believes
     * them all the same: of a page that it takes for a writer's own it makes no copy, and the
     * first change to it is a write to the read-only map. So a kind must be as above to the bit. */

    NODE_BIG = 1,
    NODE_TREE = 2,

    TREE_INTEGER_KEYS = 8,
};
static const uint64_t NO_PAGE = UINT64_MAX; /* the root of an empty tree */

struct tree {
    uint32_t page_bytes; /* in the tree of free pages only */
    uint16_t flags, depth;
    uint64_t branches_n, leaves_n, overflows_n, entries_n, root;
};

struct meta {
    struct tree free, tables;
    uint64_t last_page, txn_id;
};

struct tree tree_read(const uint8_t *at);

/* page: at least PAGE_HEADER_BYTES + META_BYTES. False: it is no meta page. */
bool meta_read(const uint8_t *page, struct meta *out);

/* ---- one page ---- */

static inline uint64_t page_number(const uint8_t *page) {
    return get_u64(page);
}

static inline unsigned page_kind(const uint8_t *page) {
    return get_u16(page + 10);
}

static inline uint32_t page_overflow_n(const uint8_t *page) {
    return get_u32(page + 12);
}

static inline unsigned page_nodes_n(const uint8_t *page) {
    return (get_u16(page + 12) - PAGE_HEADER_BYTES) / 2u;
}

static inline const uint8_t *page_node(const uint8_t *page, unsigned i) {
    return page + get_u16(page + PAGE_HEADER_BYTES + 2 * i);
}

static inline struct bytes node_key(const uint8_t *node) {
    return (struct bytes){.data = node + NODE_HEADER_BYTES, .len = get_u16(node + 6)};
}

static inline size_t node_value_len(const uint8_t *node) {
    return get_u32(node);
}

static inline bool node_is_big(const uint8_t *node) {
    return get_u16(node + 4) & NODE_BIG;
}

/* The value itself, or the number of its overflow pages. */
static inline const uint8_t *node_value(const uint8_t *node) {
    return node + NODE_HEADER_BYTES + get_u16(node + 6);
}

static inline uint64_t node_child(const uint8_t *node) {
    return get_u32(node) | (uint64_t)get_u16(node + 4) << 32;
}

/* How many overflow pages a value of so many bytes has. */
static inline uint64_t overflow_pages(size_t page_bytes, size_t len) {
    return (PAGE_HEADER_BYTES - 1 + len) / page_bytes + 1;
}

/* LMDB's order: of bytes, the shorter first; u64 in the tree of free pages. */
static inline int keys_compare(bool integers, struct bytes a, struct bytes b) {
    if (integers) {
        uint64_t x = get_u64(a.data), y = get_u64(b.data);
        return (x > y) - (x < y);
    }
    if (a.len == 4 && b.len == 4) { /* a docid, a term */
        uint32_t x = get_be32(a.data), y = get_be32(b.data);
        return (x > y) - (x < y);
    }
    if (a.len == 8 && b.len == 8) { /* a segment's list */
        uint64_t x = get_be64(a.data), y = get_be64(b.data);
        return (x > y) - (x < y);
    }
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Whose tree a page belongs to. */
enum page_owner {
    PAGE_OF_TABLE,
    PAGE_OF_TABLES, /* LMDB's table of tables */
    PAGE_OF_FREE,   /* its lists of free pages: keys are u64 transactions */
};

/* A leaf (or branch) of that number: its nodes lie in it one beside the other, as many as it says,
 * and ascend by key. NULL, or what is wrong. What it points to is not looked at. */
const char *page_wrong(const uint8_t *page, uint64_t number, unsigned kind, size_t page_bytes,
                       enum page_owner owner);

#endif
