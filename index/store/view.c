#include "index/store/view.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "index/store/tree.h"

enum { PATH_SHOWN = 200, WORD_BITS = 64 };
static const uint64_t SUM_FACTOR = 0x9E3779B97F4A7C15;

static bool has_bit(const uint64_t *bits, uint64_t i) {
    return bits[i / WORD_BITS] >> i % WORD_BITS & 1;
}

bool view_bad(const struct view *view, const char *name, uint64_t page, const char *what,
              struct error *err) {
    return error_set(err, ERROR_CORRUPT,
                     "%.*s/data.mdb: table %s, page %llu: %s (the file is damaged; restore it from "
                     "a snapshot)",
                     PATH_SHOWN, view->path, name, (unsigned long long)page, what);
}

const uint8_t *view_page(struct view *view, uint64_t number, unsigned kind, enum page_owner owner,
                         const char *name, struct error *err) {
    if (number < 2 || number >= view->stored_n || number >= view->pages_n) {
        view_bad(view, name, number, "there is no such page", err);
        return NULL;
    }
    const uint8_t *page = view->map + number * view->page_bytes;
    uint64_t bit = (uint64_t)1 << number % WORD_BITS;
    _Atomic uint64_t *word = &view->sound[number / WORD_BITS];
    const char *wrong = NULL;
    if (atomic_load_explicit(word, memory_order_relaxed) & bit) {
        if (page_kind(page) == kind)
            return page;
        wrong = "not the page it should be";
    } else {
        wrong = has_bit(view->unused, number)
                    ? "it is free"
                    : page_wrong(page, number, kind, view->page_bytes, owner);
    }
    if (wrong) {
        view_bad(view, name, number, wrong, err);
        return NULL;
    }
    atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    return page;
}

const uint8_t *view_overflow(struct view *view, uint64_t number, size_t len, const char *name,
                             struct error *err) {
    uint64_t n = overflow_pages(view->page_bytes, len);
    uint64_t end = view->stored_n < view->pages_n ? view->stored_n : view->pages_n;
    if (number >= 2 && number < end && n <= end - number && !has_bit(view->unused, number)) {
        const uint8_t *page = view->map + number * view->page_bytes;
        if (page_number(page) == number && page_kind(page) == KIND_OVERFLOW &&
            page_overflow_n(page) == n)
            return page + PAGE_HEADER_BYTES;
    }
    view_bad(view, name, number, "not the overflow page it should be", err);
    return NULL;
}

_Atomic uint32_t *view_owner(const struct view *view, const void *value) {
    uintptr_t at = (uintptr_t)value - (uintptr_t)view->map;
    bool begins = at % view->page_bytes == PAGE_HEADER_BYTES; /* offsets, in a leaf */
    uint64_t page = at / view->page_bytes;
    return begins && page < view->pages_n ? &view->owners[page] : NULL;
}

/* ---- opening one ---- */

/* Every entry of one of LMDB's own two trees, into the lists' sum. */
static bool each(struct view *view, const struct tree *tree, const char *name,
                 bool (*take)(struct view *view, const char *name, struct bytes key,
                              struct bytes *value, struct error *err),
                 struct error *err) {
    struct tree_cursor cursor;
    tree_cursor_init(&cursor, view, tree, name);
    bool ok = tree_first(&cursor, err);
    while (ok && !cursor.ended) {
        struct bytes key, value;
        ok = tree_entry(&cursor, &key, &value, err) && take(view, name, key, &value, err);
        if (ok)
            view->lists_sum =
                (view->lists_sum ^ view->sum_of(0, key.data, key.len, value.data, value.len)) *
                SUM_FACTOR;
        ok = ok && tree_next(&cursor, err);
    }
    return ok;
}

/* u64 n, then n pages; what stands behind them means nothing. */
static bool take_free(struct view *view, const char *name, struct bytes key, struct bytes *value,
                      struct error *err) {
    const uint8_t *at = value->data;
    (void)key;
    if (value->len < 8 || get_u64(at) > value->len / 8 - 1)
        return view_bad(view, name, 0, "a list of free pages that does not fit", err);
    value->len = 8 + 8 * get_u64(at);
    for (size_t i = 8; i < value->len; i += 8) {
        uint64_t page = get_u64(at + i);
        if (page < 2 || page >= view->pages_n || has_bit(view->unused, page))
            return view_bad(view, name, page, "listed as free twice, or there is no such page",
                            err);
        view->unused[page / WORD_BITS] |= (uint64_t)1 << page % WORD_BITS;
    }
    return true;
}

static bool take_table(struct view *view, const char *name, struct bytes key, struct bytes *value,
                       struct error *err) {
    if (value->len != TREE_BYTES)
        return view_bad(view, name, view->main.root, "an entry that is no table", err);
    struct tree tree = tree_read(value->data);
    if (tree.flags != 0 || tree.depth > TREE_DEPTH_MAX ||
        (tree.root == NO_PAGE) != (tree.depth == 0))
        return view_bad(view, name, view->main.root, "a table's record is damaged", err);
    for (int t = 0; t < TABLES_N; t++) {
        const char *table = store_table_name((enum store_table)t);
        if (key.len == strlen(table) && memcmp(key.data, table, key.len) == 0)
            view->tables[t] = tree;
    }
    return true;
}

static bool is_tree(const struct tree *tree, unsigned flags) {
    return tree->flags == flags && tree->depth <= TREE_DEPTH_MAX &&
           (tree->root == NO_PAGE) == (tree->depth == 0);
}

/* A whole copy of the commit's meta page; false: it is another's by now. */
static bool copy_meta(const uint8_t *map, size_t page_bytes, uint64_t txn_id,
                      uint8_t out[SEAL_AT + SEAL_BYTES], struct meta *meta) {
    const uint8_t *page = map + txn_id % 2 * page_bytes;
    uint8_t again[SEAL_AT];
    memcpy(out, page, SEAL_AT + SEAL_BYTES);
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(again, page, sizeof again);
    return memcmp(out, again, sizeof again) == 0 && meta_read(out, meta) && meta->txn_id == txn_id;
}

static bool read_lists(struct view *view, const uint8_t *page, struct error *err) {
    if (!is_tree(&view->free, TREE_INTEGER_KEYS) || !is_tree(&view->main, 0))
        return view_bad(view, "of tables", view->txn_id % 2, "the meta page is damaged", err);
    return each(view, &view->free, "of free pages", take_free, err) &&
           each(view, &view->main, "of tables", take_table, err) &&
           (seal_fits_lists(page, view) ||
            view_bad(view, "of tables", view->main.root,
                     "it, or the list of free pages, is not what the commit wrote", err));
}

bool view_open(const char *path, const uint8_t *map, size_t page_bytes, uint64_t stored_n,
               uint64_t txn_id, value_sum_kind *sum_of, struct view **out, bool *moved_out,
               struct error *err) {
    uint8_t page[SEAL_AT + SEAL_BYTES];
    struct meta meta;
    *moved_out = !copy_meta(map, page_bytes, txn_id, page, &meta);
    if (*moved_out)
        return error_set(err, ERROR_BUSY, "%.*s/data.mdb: written to again and again", PATH_SHOWN,
                         path);
    struct view *view = mem_zalloc(1, sizeof *view);
    *view = (struct view){.path = path,
                          .map = map,
                          .sum_of = sum_of,
                          .page_bytes = page_bytes,
                          .txn_id = txn_id,
                          .pages_n = meta.last_page + 1,
                          .stored_n = stored_n,
                          .free = meta.free,
                          .main = meta.tables,
                          .holders_n = 1};
    for (int t = 0; t < TABLES_N; t++)
        view->tables[t].root = NO_PAGE;
    view->sound = mem_zalloc(view->pages_n / WORD_BITS + 1, sizeof *view->sound);
    view->owners = mem_zalloc(view->pages_n, sizeof *view->owners);
    view->unused = mem_zalloc(view->pages_n / WORD_BITS + 1, sizeof *view->unused);
    if (read_lists(view, page, err)) {
        *out = view;
        return true;
    }
    view_close(view);
    return false;
}

void view_close(struct view *view) {
    if (!view)
        return;
    free((void *)view->sound);
    free((void *)view->owners);
    free(view->unused);
    free(view);
}
