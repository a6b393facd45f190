#include "index/store/pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/store/view.h"

enum { PATH_SHOWN = 200 };

static bool not_lmdb(const char *path, struct error *err) {
    return error_set(err, ERROR_CORRUPT,
                     "%s: its first pages are not LMDB's (the file is damaged; restore it from a "
                     "snapshot)",
                     path);
}

/* Commits write the two in turns, so their numbers are neighbours, and which is odd is known. A
 * file just made has two zeros. */
static bool are_neighbours(uint64_t first, uint64_t second) {
    if (first == 0 && second == 0)
        return true;
    return first % 2 == 0 && (second == first + 1 || second + 1 == first);
}

static bool metas_fit(int fd) {
    uint8_t pages[2][SEAL_AT + SEAL_BYTES];
    struct meta first, second;
    ssize_t got = pread(fd, pages[0], sizeof pages[0], 0);
    return got == 0 ||
           (got == sizeof pages[0] && meta_read(pages[0], &first) &&
            pread(fd, pages[1], sizeof pages[1], first.free.page_bytes) == sizeof pages[1] &&
            meta_read(pages[1], &second) && second.free.page_bytes == first.free.page_bytes &&
            are_neighbours(first.txn_id, second.txn_id) &&
            seal_fits_meta(pages[0], first.txn_id >= second.txn_id, value_sum_choose()) &&
            seal_fits_meta(pages[1], second.txn_id > first.txn_id, value_sum_choose()));
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
    if (page_number(page) != number)
        return false;
    if (within == PAGE_HEADER_BYTES) /* there are offsets of nodes in a leaf */
        return page_kind(page) == KIND_OVERFLOW &&
               page_overflow_n(page) == overflow_pages(page_bytes, len);
    return page_kind(page) == KIND_LEAF && len <= page_bytes - within;
}

/* ---- the walk ---- */

struct walk {
    const char *path;
    const uint8_t *file;
    size_t page_bytes;
    uint64_t pages_n;  /* that the commit counts */
    uint64_t stored_n; /* of them in the file: free ones at its end may be missing */
    uint8_t *used;     /* [pages_n]: met already */
    char table[32];

    struct tree seen; /* counts, while one tree is walked */
    bool is_free, is_tables;
    struct bytes before; /* what the next key must come behind */
    bool before_may_equal;
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

/* may_equal: a branch's key, which its child may begin with. */
static bool key_ascends(struct walk *walk, uint64_t page, struct bytes key, bool may_equal) {
    if (walk->before.data) {
        int order = keys_compare(walk->is_free, walk->before, key);
        if (order > 0 || (order == 0 && !walk->before_may_equal))
            return bad(walk, page, "keys do not ascend");
    }
    walk->before = key;
    walk->before_may_equal = may_equal;
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
    uint64_t n = overflow_pages(walk->page_bytes, len);
    if (!take(walk, page, n, walk->stored_n))
        return NULL;
    const uint8_t *at = page_at(walk, page);
    if (page_number(at) != page || page_kind(at) != KIND_OVERFLOW || page_overflow_n(at) != n) {
        bad(walk, page, "not the overflow page it should be");
        return NULL;
    }
    walk->seen.overflows_n += n;
    return at + PAGE_HEADER_BYTES;
}

static bool walk_table(struct walk *walk, struct bytes name, const uint8_t *value) {
    struct walk inner = {.path = walk->path,
                         .file = walk->file,
                         .page_bytes = walk->page_bytes,
                         .pages_n = walk->pages_n,
                         .stored_n = walk->stored_n,
                         .used = walk->used,
                         .err = walk->err};
    struct tree tree = tree_read(value);
    size_t len = name.len < sizeof inner.table ? name.len : sizeof inner.table - 1;
    memcpy(inner.table, name.data, len);
    return walk_tree(&inner, &tree);
}

static bool walk_leaf_node(struct walk *walk, uint64_t page, const uint8_t *node) {
    struct bytes key = node_key(node);
    const uint8_t *value = node_value(node);
    size_t len = node_value_len(node);
    if (!key_ascends(walk, page, key, false))
        return false;
    walk->seen.entries_n++;
    if (walk->is_tables)
        return (get_u16(node + 4) == NODE_TREE && len == TREE_BYTES)
                   ? walk_table(walk, key, value)
                   : bad(walk, page, "an entry that is no table");
    if (node_is_big(node) && !(value = take_overflow(walk, get_u64(value), len)))
        return false;
    return !walk->is_free || take_free_pages(walk, page, value, len);
}

static bool walk_page(struct walk *walk, uint64_t page, unsigned levels);

static bool walk_branch_node(struct walk *walk, uint64_t page, const uint8_t *node, bool first,
                             unsigned levels) {
    return (first || key_ascends(walk, page, node_key(node), true)) &&
           walk_page(walk, node_child(node), levels - 1);
}

/* levels: of this page and those below it; a leaf has 1. */
static bool walk_page(struct walk *walk, uint64_t page, unsigned levels) {
    if (!take(walk, page, 1, walk->stored_n))
        return false;
    const uint8_t *at = page_at(walk, page);
    enum page_owner owner = walk->is_free     ? PAGE_OF_FREE
                            : walk->is_tables ? PAGE_OF_TABLES
                                              : PAGE_OF_TABLE;
    const char *wrong =
        page_wrong(at, page, levels > 1 ? KIND_BRANCH : KIND_LEAF, walk->page_bytes, owner);
    if (wrong)
        return bad(walk, page, wrong);
    *(levels > 1 ? &walk->seen.branches_n : &walk->seen.leaves_n) += 1;
    for (unsigned i = 0, n = page_nodes_n(at); i < n; i++)
        if (!(levels > 1 ? walk_branch_node(walk, page, page_node(at, i), i == 0, levels)
                         : walk_leaf_node(walk, page, page_node(at, i))))
            return false;
    return true;
}

static bool walk_tree(struct walk *walk, const struct tree *tree) {
    walk->seen = (struct tree){0};
    walk->before = (struct bytes){0};
    if (tree->flags != (walk->is_free ? TREE_INTEGER_KEYS : 0) || tree->depth > TREE_DEPTH_MAX ||
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
    if (map->len < PAGE_HEADER_BYTES + META_BYTES || !meta_read(map->data, &first) ||
        map->len < 2 * (size_t)first.free.page_bytes ||
        !meta_read(map->data + first.free.page_bytes, &second) ||
        (first.txn_id != txn_id && second.txn_id != txn_id))
        return false;
    *out = first.txn_id == txn_id ? first : second;
    return true;
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
