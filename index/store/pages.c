#include "index/store/pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/store/store.h"

enum {
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    TREE_BYTES = 48,
    META_BYTES = 136,
    KEY_BYTES_MAX = 511,
    DEPTH_MAX = 32, /* of LMDB's cursors */
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536,
    PATH_SHOWN = 200,
    PAGES_MAX = 1 << 28, /* of the map that store.c reserves: 1 TiB in pages of 4 KiB */

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
static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint32_t VERSION = 1;
static const uint64_t NO_PAGE = UINT64_MAX;

struct tree {
    uint32_t page_bytes; /* in the tree of free pages only */
    uint16_t flags, depth;
    uint64_t branches_n, leaves_n, overflows_n, entries_n, root;
};

struct meta {
    struct tree free, tables;
    uint64_t last_page, txn_id;
};

static struct tree get_tree(const uint8_t *at) {
    return (struct tree){
        .page_bytes = get_u32(at),
        .flags = get_u16(at + 4),
        .depth = get_u16(at + 6),
        .branches_n = get_u64(at + 8),
        .leaves_n = get_u64(at + 16),
        .overflows_n = get_u64(at + 24),
        .entries_n = get_u64(at + 32),
        .root = get_u64(at + 40),
    };
}

/* page: at least PAGE_HEADER_BYTES + META_BYTES. */
static bool get_meta(const uint8_t *page, struct meta *out) {
    const uint8_t *at = page + PAGE_HEADER_BYTES;
    if (get_u16(page + 10) != KIND_META || get_u32(at) != MAGIC || get_u32(at + 4) != VERSION)
        return false;
    *out = (struct meta){
        .free = get_tree(at + 24),
        .tables = get_tree(at + 24 + TREE_BYTES),
        .last_page = get_u64(at + 24 + 2 * TREE_BYTES),
        .txn_id = get_u64(at + 32 + 2 * TREE_BYTES),
    };
    uint32_t size = out->free.page_bytes;
    return size >= PAGE_BYTES_MIN && size <= PAGE_BYTES_MAX && (size & (size - 1)) == 0;
}

static bool not_lmdb(const char *path, struct error *err) {
    return error_set(err, ERROR_CORRUPT,
                     "%s: its first pages are not LMDB's (the file is damaged; restore it from a "
                     "snapshot)",
                     path);
}

/* Commits write the two in turns, so their numbers are neighbours, and which is odd is known: the
 * only thing by which a bit that flipped in one can be told. A file just made has two zeros. */
static bool are_neighbours(uint64_t first, uint64_t second) {
    if (first == 0 && second == 0)
        return true;
    return first % 2 == 0 && (second == first + 1 || second + 1 == first);
}

static bool metas_fit(int fd) {
    uint8_t pages[2][PAGE_HEADER_BYTES + META_BYTES];
    struct meta first, second;
    ssize_t got = pread(fd, pages[0], sizeof pages[0], 0);
    return got == 0 ||
           (got == sizeof pages[0] && get_meta(pages[0], &first) &&
            pread(fd, pages[1], sizeof pages[1], first.free.page_bytes) == sizeof pages[1] &&
            get_meta(pages[1], &second) && second.free.page_bytes == first.free.page_bytes &&
            are_neighbours(first.txn_id, second.txn_id));
}

bool pages_check_metas(const char *path, struct error *err) {
    enum { TRIES = 20 }; /* a writer may commit between one read and the other, seldom twice */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    bool ok = false;
    for (int i = 0; i < TRIES && !ok; i++)
        ok = metas_fit(fd);
    close(fd);
    return ok || not_lmdb(path, err);
}

bool pages_hold(const void *map, size_t page_bytes, size_t at, size_t len) {
    size_t within = at % page_bytes, number = at / page_bytes;
    const uint8_t *page = (const uint8_t *)map + number * page_bytes;
    if (get_u64(page) != number)
        return false;
    if (within == PAGE_HEADER_BYTES) /* there are offsets of nodes in a leaf */
        return get_u16(page + 10) == KIND_OVERFLOW &&
               get_u32(page + 12) == (PAGE_HEADER_BYTES - 1 + len) / page_bytes + 1;
    return get_u16(page + 10) == KIND_LEAF && len <= page_bytes - within;
}

/* ---- the walk ---- */

struct bounds { /* what the next key must come behind */
    const uint8_t *key;
    size_t len;
    bool may_equal; /* a branch's key, not a leaf's */
};

struct walk {
    const char *path;
    const uint8_t *file;
    size_t page_bytes;
    uint64_t pages_n;  /* that the commit counts */
    uint64_t stored_n; /* of them in the file: free ones at its end may be missing */
    uint8_t *used;     /* [pages_n]: met already */
    char table[32];

    struct tree seen; /* counts, while one tree is walked */
    bool integer_keys, is_free, is_tables;
    struct bounds before;
    struct error *err;
};

static bool walk_tree(struct walk *walk, const struct tree *tree);

static bool bad(struct walk *walk, uint64_t page, const char *what) {
    return error_set(walk->err, ERROR_CORRUPT,
                     "%.*s: table %s, page %llu: %s (the file is damaged; restore it from a "
                     "snapshot)",
                     PATH_SHOWN, walk->path, walk->table, (unsigned long long)page, what);
}

static const uint8_t *page_at(const struct walk *walk, uint64_t page) {
    return walk->file + page * walk->page_bytes;
}

/* Marks a run of pages below end; each may be met once. */
static bool take(struct walk *walk, uint64_t page, uint64_t n, uint64_t end) {
    if (page < 2 || page >= end || n > end - page)
        return bad(walk, page, "there is no such page");
    for (uint64_t i = page; i < page + n; i++) {
        if (walk->used[i])
            return bad(walk, i, "used twice");
        walk->used[i] = 1;
    }
    return true;
}

static int compare_keys(const struct walk *walk, const uint8_t *a, size_t a_len, const uint8_t *b,
                        size_t b_len) {
    if (walk->integer_keys) {
        uint64_t x = get_u64(a), y = get_u64(b);
        return (x > y) - (x < y);
    }
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static bool key_ascends(struct walk *walk, uint64_t page, struct bounds key) {
    if (walk->integer_keys && key.len != 8)
        return bad(walk, page, "a key of a wrong length");
    if (walk->before.key) {
        int order = compare_keys(walk, walk->before.key, walk->before.len, key.key, key.len);
        if (order > 0 || (order == 0 && !walk->before.may_equal))
            return bad(walk, page, "keys do not ascend");
    }
    walk->before = key;
    return true;
}

/* A free page list: u64 n, then n page numbers. */
static bool take_free_pages(struct walk *walk, uint64_t page, const uint8_t *value, size_t len) {
    if (len < 8 || get_u64(value) > len / 8 - 1)
        return bad(walk, page, "a list of free pages that does not fit");
    for (uint64_t i = 1; i <= get_u64(value); i++)
        if (!take(walk, get_u64(value + 8 * i), 1, walk->pages_n))
            return false;
    return true;
}

/* The value of a node in overflow pages; NULL when they are no such pages. */
static const uint8_t *take_overflow(struct walk *walk, uint64_t page, size_t len) {
    uint64_t n = (PAGE_HEADER_BYTES - 1 + len) / walk->page_bytes + 1;
    if (!take(walk, page, n, walk->stored_n))
        return NULL;
    const uint8_t *at = page_at(walk, page);
    if (get_u64(at) != page || get_u16(at + 10) != KIND_OVERFLOW || get_u32(at + 12) != n) {
        bad(walk, page, "not the overflow page it should be");
        return NULL;
    }
    walk->seen.overflows_n += n;
    return at + PAGE_HEADER_BYTES;
}

static bool walk_table(struct walk *walk, struct bounds name, const uint8_t *value) {
    struct walk inner = {.path = walk->path,
                         .file = walk->file,
                         .page_bytes = walk->page_bytes,
                         .pages_n = walk->pages_n,
                         .stored_n = walk->stored_n,
                         .used = walk->used,
                         .err = walk->err};
    struct tree tree = get_tree(value);
    size_t len = name.len < sizeof inner.table ? name.len : sizeof inner.table - 1;
    memcpy(inner.table, name.key, len);
    return walk_tree(&inner, &tree);
}

/* node: its header is within the page. room: bytes from it to the page's end. */
static bool walk_leaf_node(struct walk *walk, uint64_t page, const uint8_t *node, size_t room) {
    size_t len = get_u16(node) | (size_t)get_u16(node + 2) << 16;
    uint16_t flags = get_u16(node + 4);
    size_t key_len = get_u16(node + 6), stored = flags & NODE_BIG ? 8 : len;
    struct bounds key = {node + NODE_HEADER_BYTES, key_len, false};
    if (key_len == 0 || key_len > KEY_BYTES_MAX || NODE_HEADER_BYTES + key_len + stored > room)
        return bad(walk, page, "an entry reaches out of its page");
    if (!key_ascends(walk, page, key))
        return false;
    const uint8_t *value = key.key + key_len;
    walk->seen.entries_n++;
    if (walk->is_tables)
        return (flags == NODE_TREE && len == TREE_BYTES)
                   ? walk_table(walk, key, value)
                   : bad(walk, page, "an entry that is no table");
    if (flags & ~NODE_BIG)
        return bad(walk, page, "an entry of a kind that is never written");
    if (flags & NODE_BIG && !(value = take_overflow(walk, get_u64(value), len)))
        return false;
    return !walk->is_free || take_free_pages(walk, page, value, len);
}

static bool walk_page(struct walk *walk, uint64_t page, unsigned levels);

static bool walk_branch_node(struct walk *walk, uint64_t page, const uint8_t *node, size_t room,
                             bool first, unsigned levels) {
    uint64_t child =
        get_u16(node) | (uint64_t)get_u16(node + 2) << 16 | (uint64_t)get_u16(node + 4) << 32;
    size_t key_len = get_u16(node + 6);
    struct bounds key = {node + NODE_HEADER_BYTES, key_len, true};
    if (key_len > KEY_BYTES_MAX || NODE_HEADER_BYTES + key_len > room ||
        (!first && key_len == 0)) /* the first key is never looked at */
        return bad(walk, page, "an entry reaches out of its page");
    return (first || key_ascends(walk, page, key)) && walk_page(walk, child, levels - 1);
}

/* levels: of this page and those below it; a leaf has 1. */
static bool walk_page(struct walk *walk, uint64_t page, unsigned levels) {
    if (!take(walk, page, 1, walk->stored_n))
        return false;
    const uint8_t *at = page_at(walk, page);
    size_t lower = get_u16(at + 12), upper = get_u16(at + 14);
    int kind = levels > 1 ? KIND_BRANCH : KIND_LEAF;
    if (get_u64(at) != page || get_u16(at + 10) != kind)
        return bad(walk, page, "not the page it should be");
    if (lower <= PAGE_HEADER_BYTES || lower > upper || upper > walk->page_bytes || lower % 2)
        return bad(walk, page, "its bounds are damaged");
    *(levels > 1 ? &walk->seen.branches_n : &walk->seen.leaves_n) += 1;
    for (size_t i = PAGE_HEADER_BYTES; i < lower; i += 2) {
        size_t offset = get_u16(at + i);
        if (offset < upper || offset % 2 || offset + NODE_HEADER_BYTES > walk->page_bytes)
            return bad(walk, page, "an entry lies out of its page");
        size_t room = walk->page_bytes - offset;
        if (!(levels > 1
                  ? walk_branch_node(walk, page, at + offset, room, i == PAGE_HEADER_BYTES, levels)
                  : walk_leaf_node(walk, page, at + offset, room)))
            return false;
    }
    return true;
}

static bool walk_tree(struct walk *walk, const struct tree *tree) {
    walk->seen = (struct tree){0};
    walk->before = (struct bounds){0};
    walk->integer_keys = walk->is_free;
    if (tree->flags != (walk->is_free ? TREE_INTEGER_KEYS : 0) || tree->depth > DEPTH_MAX ||
        (tree->root == NO_PAGE) != (tree->depth == 0))
        return bad(walk, tree->root, "its root's description is damaged");
    if (tree->root != NO_PAGE && !walk_page(walk, tree->root, tree->depth))
        return false;
    const struct tree *seen = &walk->seen;
    if (seen->branches_n != tree->branches_n || seen->leaves_n != tree->leaves_n ||
        seen->overflows_n != tree->overflows_n || seen->entries_n != tree->entries_n)
        return bad(walk, tree->root, "pages or entries were lost or doubled");
    return true;
}

static bool find_meta(const struct file_map *map, uint64_t txn_id, struct meta *out) {
    struct meta first, second;
    if (map->len < PAGE_HEADER_BYTES + META_BYTES || !get_meta(map->data, &first) ||
        map->len < 2 * (size_t)first.free.page_bytes ||
        !get_meta(map->data + first.free.page_bytes, &second) ||
        (first.txn_id != txn_id && second.txn_id != txn_id))
        return false;
    *out = first.txn_id == txn_id ? first : second;
    return out->last_page < PAGES_MAX;
}

bool pages_check(const char *path, uint64_t txn_id, uint64_t *pages_n_out, struct error *err) {
    struct file_map map;
    struct meta meta;
    if (!file_map_open(path, &map, err))
        return false;
    bool ok = find_meta(&map, txn_id, &meta) || not_lmdb(path, err);
    if (ok) {
        struct walk walk = {.path = path,
                            .file = map.data,
                            .page_bytes = meta.free.page_bytes,
                            .pages_n = meta.last_page + 1,
                            .stored_n = map.len / meta.free.page_bytes,
                            .table = "of tables",
                            .is_tables = true,
                            .err = err};
        walk.used = mem_zalloc(walk.pages_n, sizeof *walk.used);
        ok = walk_tree(&walk, &meta.tables);
        walk.is_tables = false;
        walk.is_free = true;
        strcpy(walk.table, "of free pages");
        ok = ok && walk_tree(&walk, &meta.free);
        free(walk.used);
        if (ok)
            *pages_n_out = walk.pages_n;
    }
    file_map_close(&map);
    return ok;
}
