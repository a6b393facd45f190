#include "index/store/salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "index/store/sum.h"
#include "index/store/view.h"

struct search {
    struct salvage *salvage;
    const uint64_t *unused; /* a bit a page; NULL: not known */
    uint64_t unused_end, pages_n;
    unsigned table; /* of the entry before: the next one's, most likely */
};

static void add(struct search *search, const uint8_t *node) {
    struct salvage *salvage = search->salvage;
    if (salvage->entries_n == salvage->entries_cap) {
        salvage->entries_cap = 2 * salvage->entries_cap + 1024;
        salvage->entries =
            mem_realloc(salvage->entries, salvage->entries_cap, sizeof *salvage->entries);
    }
    uint64_t at = (uint64_t)(node - salvage->file.data);
    salvage->entries[salvage->entries_n++] = (struct salvaged){
        .node = at, .page = (uint32_t)(at / salvage->page_bytes), .table = search->table};
}

/* Where the node's value lies; NULL: not where it says. room: bytes from the node to the page's
 * end. */
static const uint8_t *value_of(const struct salvage *salvage, const uint8_t *node, size_t room) {
    size_t key_len = node_key(node).len, len = node_value_len(node);
    unsigned flags = get_u16(node + 4);
    size_t stored = flags == NODE_BIG ? sizeof(uint64_t) : len;
    if (key_len == 0 || key_len > KEY_BYTES_MAX || flags & ~NODE_BIG || stored > room ||
        NODE_HEADER_BYTES + key_len + stored > room)
        return NULL;
    if (flags != NODE_BIG)
        return node_value(node);
    uint64_t page = get_u64(node_value(node)), pages_n = salvage->file.len / salvage->page_bytes;
    uint64_t n = overflow_pages(salvage->page_bytes, len);
    return page >= 2 && page < pages_n && n <= pages_n - page
               ? salvage->file.data + page * salvage->page_bytes + PAGE_HEADER_BYTES
               : NULL;
}

/* An entry, if its sum is that of some table. */
static void try_node(struct search *search, const uint8_t *node, size_t room) {
    const uint8_t *value = value_of(search->salvage, node, room);
    struct bytes key = node_key(node), bare;
    if (!value)
        return;
    for (unsigned i = 0; i < TABLES_N; i++) {
        unsigned table = (search->table + i) % TABLES_N;
        struct bytes stored = {value, node_value_len(node)};
        if (sum_kind_of((enum store_table)table, key) == SUM_NONE ||
            !sum_fits(search->salvage->sum_of, (enum store_table)table, key, stored, &bare))
            continue;
        search->table = table;
        add(search, node);
        return;
    }
}

/* How many pages were looked through. */
static uint64_t try_page(struct search *search, uint64_t number) {
    size_t page_bytes = search->salvage->page_bytes;
    const uint8_t *page = search->salvage->file.data + number * page_bytes;
    if (search->unused && number < search->unused_end &&
        search->unused[number / 64] >> number % 64 & 1)
        return 1;
    bool own = page_number(page) == number;
    if (own && page_kind(page) == KIND_OVERFLOW && page_overflow_n(page) > 0 &&
        page_overflow_n(page) <= search->pages_n - number)
        return page_overflow_n(page);
    if (!page_wrong(page, number, KIND_BRANCH, page_bytes, PAGE_OF_TABLE))
        return 1;
    if (!page_wrong(page, number, KIND_LEAF, page_bytes, PAGE_OF_TABLE)) {
        for (unsigned i = 0, n = page_nodes_n(page); i < n; i++) {
            const uint8_t *node = page_node(page, i);
            try_node(search, node, page_bytes - (size_t)(node - page));
        }
        return 1;
    }
    for (size_t at = PAGE_HEADER_BYTES; at + NODE_HEADER_BYTES < page_bytes; at += 2)
        try_node(search, page + at, page_bytes - at);
    return 1;
}

/* ---- in order ---- */

static int by_table_and_key(const void *a, const void *b, void *context) {
    const struct salvage *salvage = context;
    const struct salvaged *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    int order = keys_compare(false, node_key(salvage->file.data + x->node),
                             node_key(salvage->file.data + y->node));
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

static void sort(struct salvage *salvage) {
    size_t kept = 0;
    if (salvage->entries_n > 0)
        qsort_r(salvage->entries, salvage->entries_n, sizeof *salvage->entries, by_table_and_key,
                salvage);
    for (size_t i = 0; i < salvage->entries_n; i++) {
        const struct salvaged *entry = &salvage->entries[i], *before = &salvage->entries[kept - 1];
        if (kept == 0 || before->table != entry->table ||
            keys_compare(false, node_key(salvage->file.data + before->node),
                         node_key(salvage->file.data + entry->node)) != 0)
            salvage->entries[kept++] = *entry;
    }
    salvage->entries_n = kept;
    for (size_t t = 0, at = 0; t < TABLES_N; t++) {
        while (at < kept && salvage->entries[at].table == t)
            at++;
        salvage->ends[t] = at;
    }
}

/* The newest commit, if its lists of free pages can be believed. */
static struct view *view_of(const struct salvage *salvage, const char *folder) {
    struct meta metas[2];
    struct view *view;
    struct error ignored;
    bool moved, there[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *page = salvage->file.data + (size_t)i * salvage->page_bytes;
        there[i] = meta_read(page, &metas[i]) && metas[i].free.page_bytes == salvage->page_bytes;
    }
    if (!there[0] || !there[1])
        return NULL;
    int i = metas[1].txn_id > metas[0].txn_id;
    const uint8_t *page = salvage->file.data + (size_t)i * salvage->page_bytes;
    return seal_fits_meta(page, true, salvage->sum_of) &&
                   view_open(folder, salvage->file.data, salvage->page_bytes,
                             salvage->file.len / salvage->page_bytes, metas[i].txn_id,
                             salvage->sum_of, &view, &moved, &ignored)
               ? view
               : NULL;
}

bool salvage_open(const char *folder, value_sum_kind *sum_of, struct salvage **out,
                  struct error *err) {
    char path[4096];
    struct meta meta;
    struct salvage *salvage = mem_zalloc(1, sizeof *salvage);
    salvage->sum_of = sum_of;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    if (!file_map_open(path, &salvage->file, err)) {
        free(salvage);
        return false;
    }
    salvage->page_bytes =
        salvage->file.len >= PAGE_BYTES_MIN && meta_read(salvage->file.data, &meta)
            ? meta.free.page_bytes
            : (size_t)sysconf(_SC_PAGESIZE);
    struct search search = {.salvage = salvage, .pages_n = salvage->file.len / salvage->page_bytes};
    struct view *view = search.pages_n > 2 ? view_of(salvage, folder) : NULL;
    if (view) {
        search.unused = view->unused;
        search.unused_end = view->pages_n;
    }
    salvage->with_old = !view;
    for (uint64_t page = 2; page < search.pages_n;)
        page += try_page(&search, page);
    sort(salvage);
    view_close(view);
    *out = salvage;
    return true;
}

void salvage_close(struct salvage *salvage) {
    if (!salvage)
        return;
    file_map_close(&salvage->file);
    free(salvage->entries);
    free(salvage);
}

/* ---- reading ---- */

size_t salvage_find(const struct salvage *salvage, enum store_table table, struct bytes key) {
    size_t low = table == 0 ? 0 : salvage->ends[table - 1], high = salvage->ends[table];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (keys_compare(false, node_key(salvage->file.data + salvage->entries[middle].node), key) <
            0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool salvage_entry(const struct salvage *salvage, enum store_table table, size_t at,
                   struct bytes *key, struct bytes *value) {
    if (at >= salvage->ends[table])
        return false;
    const uint8_t *node = salvage->file.data + salvage->entries[at].node;
    *key = node_key(node);
    *value = (struct bytes){value_of(salvage, node, salvage->page_bytes), node_value_len(node)};
    return true;
}
