#include "index/store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/mem.h"
#include "index/store/pages.h"
#include "index/store/sum.h"
#include "index/store/tree.h"
#include "index/store/txn.h"

static const char *const table_names[TABLES_N] = {
    [TABLE_META] = "meta",           [TABLE_KEYS] = "keys",
    [TABLE_TERMS] = "terms",         [TABLE_FREQUENCIES] = "frequencies",
    [TABLE_DOCUMENTS] = "documents", [TABLE_DENSE] = "dense",
    [TABLE_SPARSE] = "sparse",       [TABLE_MULTI] = "multi",
    [TABLE_POSTINGS] = "postings",   [TABLE_SEGMENTS] = "segments",
    [TABLE_FIELDS] = "fields",       [TABLE_PASSAGES] = "passages",
};

enum {
    KEY_SHOWN = 40, /* of one that is no number, in messages */
};

const char *store_table_name(enum store_table table) {
    return table_names[table];
}

void store_let_go(const struct store *store) {
    if (store->map)
        madvise((void *)store->map, store->map_bytes, MADV_DONTNEED);
}

const char *store_folder(const struct store *store) {
    return store->folder;
}

bool store_is_writable(const struct store *store) {
    return store->is_writer;
}

/* ---- errors ---- */

static enum error_code code_of(int rc) {
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_BAD_VALSIZE: return ERROR_CORRUPT;
    case MDB_VERSION_MISMATCH: return ERROR_UNSUPPORTED;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: return ERROR_LIMIT;
    case MDB_READERS_FULL:
    case EAGAIN: return ERROR_BUSY;
    case ENOENT: return ERROR_NOT_FOUND;
    default: return ERROR_IO;
    }
}

static const char *advice_of(int rc) {
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID: return " (the file is damaged; restore it from a snapshot)";
    case MDB_MAP_FULL:
        return " (the address space reserved for the index is used up; raise `ulimit -v`)";
    case MDB_PANIC: return " (writing a commit's last page failed; open the index again)";
    case MDB_TXN_FULL: return " (commit in smaller batches)";
    case MDB_READERS_FULL: return " (too many searches at once on this index)";
    case ENOSPC: return " (nothing of this batch was written; free some space and repeat it)";
    default: return "";
    }
}

bool store_failed(const struct store *store, int rc, const char *doing, struct error *err) {
    return error_set(err, code_of(rc), "%s/data.mdb: %s: %s%s", store->folder, doing,
                     mdb_strerror(rc), advice_of(rc));
}

bool store_failed_copy(const struct store *store, int rc, const char *path, struct error *err) {
    return error_set(err, code_of(rc), "%s/data.mdb: copying to %s: %s%s", store->folder, path,
                     mdb_strerror(rc), advice_of(rc));
}

static bool failed_in(const struct store_txn *txn, int rc, enum store_table table,
                      const char *doing, struct error *err) {
    return error_set(err, code_of(rc), "%s/data.mdb: table %s: %s: %s%s", txn->store->folder,
                     table_names[table], doing, mdb_strerror(rc), advice_of(rc));
}

bool store_corrupt(const struct store_txn *txn, enum store_table table, struct error *err,
                   const char *format, ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, ERROR_CORRUPT,
                     "%s/data.mdb: table %s: %s (the file is damaged; restore it from a snapshot)",
                     txn->store->folder, table_names[table], what);
}

/* ---- checksums ---- */

static void put_sum(const struct store_txn *txn, enum store_table table, const void *key,
                    size_t key_len, uint8_t *value, size_t len) {
    enum sum_kind kind = sum_kind_of(table, (struct bytes){key, key_len});
    uint32_t sum = sum_make(txn->store->sum_of, table, (struct bytes){key, key_len}, value, len);
    if (kind != SUM_NONE)
        memcpy(kind == SUM_BEHIND ? value + len : value - SUM_BYTES, &sum, SUM_BYTES);
}

void store_settle(struct store_txn *txn) {
    if (!txn->unsealed.at)
        return;
    put_sum(txn, txn->unsealed.table, txn->unsealed.key, txn->unsealed.key_len, txn->unsealed.at,
            txn->unsealed.len);
    txn->unsealed.at = NULL;
}

static MDB_val val_of(const void *data, size_t len) {
    return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)data};
}

static struct bytes bytes_of(MDB_val val) {
    return (struct bytes){.data = val.mv_data, .len = val.mv_size};
}

/* Numbers as such, names as text; what else there is in hexadecimal. */
static void print_key(enum store_table table, struct bytes key, char out[2 * KEY_SHOWN + 1]) {
    const uint8_t *at = key.data;
    size_t n = key.len < KEY_SHOWN ? key.len : KEY_SHOWN;
    if (table == TABLE_META || table == TABLE_KEYS || table == TABLE_TERMS) {
        snprintf(out, 2 * KEY_SHOWN + 1, "\"%.*s\"", (int)n, (const char *)at);
    } else if (key.len == 4) {
        snprintf(out, 2 * KEY_SHOWN + 1, "%u", get_be32(at));
    } else {
        out[0] = '\0';
        for (size_t i = 0; i < n; i++)
            snprintf(out + 2 * i, 3, "%02x", at[i]);
    }
}

/* Does what LMDB hands out lie where it should? It trusts its pages: a bit that flipped in one can
 * make a value reach out of the file. A writer's own pages are not in the map. */
static bool is_in_page(const struct store_txn *txn, MDB_val what) {
    const struct store *store = txn->store;
    uintptr_t at = (uintptr_t)what.mv_data - store->map; /* beyond the map's end when below it */
    if (at >= store->map_bytes)
        return txn->writes;
    return pages_hold((const void *)store->map, store->page_bytes, at, what.mv_size);
}

/* Whose a value on overflow pages is, in short: of its key and length. */
static uint32_t owner_of(const struct store_txn *txn, enum store_table table, struct bytes key,
                         struct bytes value) {
    uint64_t len = value.len;
    return txn->store->sum_of(table, key.data, key.len, &len, sizeof len) | 1;
}

/* sum_fits, of a value on overflow pages once in a commit. */
static bool fits_once(const struct store_txn *txn, enum store_table table, struct bytes key,
                      struct bytes value, struct bytes *out) {
    _Atomic uint32_t *known = txn->writes ? NULL : view_owner(txn->view, value.data);
    const uint8_t *sum;
    if (!known)
        return sum_fits(txn->store->sum_of, table, key, value, out);
    uint32_t owner = owner_of(txn, table, key, value);
    if (atomic_load_explicit(known, memory_order_relaxed) == owner)
        return sum_strip(table, key, value, out, &sum);
    if (!sum_fits(txn->store->sum_of, table, key, value, out))
        return false;
    atomic_store_explicit(known, owner, memory_order_relaxed);
    return true;
}

/* Takes the sum off a value that was read. ERROR_CORRUPT when it is another's. */
static bool check_sum(const struct store_txn *txn, enum store_table table, struct bytes key,
                      struct bytes value, struct bytes *out, struct error *err) {
    if (fits_once(txn, table, key, value, out))
        return true;
    char shown[2 * KEY_SHOWN + 1];
    print_key(table, key, shown);
    return store_corrupt(txn, table, err, "key %s: %zu bytes with a wrong checksum", shown,
                         value.len);
}

/* The same of what LMDB handed out. */
static bool take_value(const struct store_txn *txn, enum store_table table, MDB_val key,
                       MDB_val value, struct bytes *out, struct error *err) {
    if (!is_in_page(txn, value))
        return store_corrupt(txn, table, err, "a page is damaged");
    return check_sum(txn, table, bytes_of(key), bytes_of(value), out, err);
}

/* ---- the commit's own pages ---- */

/* Is the entry there the one it says it is? */
static bool entry_is_whole(const struct store_txn *txn, enum store_table table,
                           const struct tree_cursor *at, struct error *err) {
    struct bytes key, value;
    return at->ended ||
           (tree_entry(at, &key, &value, err) && check_sum(txn, table, key, value, &value, err));
}

/* There is no entry at the place that tree_find came to: those beside it say so. A bit that flipped
 * in a key would make one vanish. */
static bool is_absent(const struct store_txn *txn, enum store_table table,
                      const struct tree_cursor *at, struct error *err) {
    struct tree_cursor beside = *at;
    if (!tree_previous(&beside, err) || !entry_is_whole(txn, table, &beside, err))
        return false;
    beside = *at;
    return tree_settle(&beside, err) && entry_is_whole(txn, table, &beside, err);
}

static void cursor_init(struct tree_cursor *cursor, const struct store_txn *txn,
                        enum store_table table) {
    tree_cursor_init(cursor, txn->view, &txn->view->tables[table], table_names[table]);
}

static bool get_from_view(const struct store_txn *txn, enum store_table table, struct bytes key,
                          struct bytes *out, struct error *err) {
    struct tree_cursor at;
    struct bytes value;
    bool found;
    cursor_init(&at, txn, table);
    if (!tree_find(&at, key, &found, err))
        return false;
    if (found)
        return tree_entry(&at, &key, &value, err) && check_sum(txn, table, key, value, out, err);
    *out = (struct bytes){0};
    return txn->lenient || is_absent(txn, table, &at, err);
}

static bool get_salvaged(const struct store_txn *txn, enum store_table table, struct bytes key,
                         struct bytes *out) {
    size_t at = salvage_find(txn->salvage, table, key);
    struct bytes found, value;
    *out = (struct bytes){0};
    if (salvage_entry(txn->salvage, table, at, &found, &value) &&
        keys_compare(false, found, key) == 0)
        (void)sum_fits(txn->store->sum_of, table, found, value, out); /* it did */
    return true;
}

/* Before LMDB goes to a key of a commit that may be damaged: what is there is whole, and what is
 * not there was not lost. A batch's keys lie near each other: what the one before has had checked
 * is not checked again. */
static bool guard(const struct store_txn *txn, enum store_table table, struct bytes key,
                  struct guarded *near, struct error *err) {
    struct tree_cursor *at = &near->at;
    bool found, stayed = false, known = near->known;
    near->known = false; /* unless all goes well */
    if (!known)
        cursor_init(at, txn, table);
    if (!(known ? tree_find_near(at, key, &found, &stayed, err) : tree_find(at, key, &found, err)))
        return false;
    if (!stayed) {
        near->gap = NO_GAP;
        if (!tree_guard(at, &near->until, err))
            return false;
    }
    if (found) {
        struct bytes value;
        near->known = tree_entry(at, &key, &value, err);
        return near->known;
    }
    int gap = at->ended ? NO_GAP : at->path[at->tree->depth - 1].at;
    near->known = (gap != NO_GAP && gap == near->gap) || is_absent(txn, table, at, err);
    near->gap = gap;
    return near->known;
}

static bool guard_key(const struct store_txn *txn, enum store_table table, const void *key,
                      size_t key_len, struct error *err) {
    return guard(txn, table, (struct bytes){key, key_len}, &txn->guarded[table], err);
}

/* ---- values ---- */

bool store_get(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               struct bytes *out, struct error *err) {
    MDB_val k = val_of(key, key_len), v;
    if (txn->salvage)
        return get_salvaged(txn, table, (struct bytes){key, key_len}, out);
    if (!txn->writes)
        return get_from_view(txn, table, (struct bytes){key, key_len}, out, err);
    store_settle(txn);
    if (!guard_key(txn, table, key, key_len, err))
        return false;
    int rc = mdb_get(txn->txn, txn->store->tables[table], &k, &v);
    if (rc == 0)
        return take_value(txn, table, k, v, out, err);
    if (rc != MDB_NOTFOUND)
        return failed_in(txn, rc, table, "get", err);
    *out = (struct bytes){0};
    return true;
}

/* Room for a value, and its sum beside it. */
static int reserve(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                   size_t value_len, unsigned flags, uint8_t **out) {
    enum sum_kind kind = sum_kind_of(table, (struct bytes){key, key_len});
    MDB_val k = val_of(key, key_len);
    MDB_val v = val_of(NULL, value_len + (kind == SUM_NONE ? 0 : SUM_BYTES));
    int rc = mdb_put(txn->txn, txn->store->tables[table], &k, &v, MDB_RESERVE | flags);
    if (rc == 0)
        *out = (uint8_t *)v.mv_data + (kind == SUM_IN_FRONT ? SUM_BYTES : 0);
    return rc;
}

bool store_put(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               const void *value, size_t value_len, struct error *err) {
    uint8_t *at;
    store_settle(txn);
    if (!guard_key(txn, table, key, key_len, err))
        return false;
    int rc = reserve(txn, table, key, key_len, value_len, 0, &at);
    if (rc != 0)
        return failed_in(txn, rc, table, "put", err);
    if (value_len > 0)
        memcpy(at, value, value_len);
    put_sum(txn, table, key, key_len, at, value_len);
    return true;
}

bool store_append(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  size_t value_len, void **value_out, struct error *err) {
    uint8_t *at;
    store_settle(txn);
    if (!txn->end_guarded[table] && !guard_key(txn, table, key, key_len, err))
        return false;
    txn->end_guarded[table] = true;
    int rc = reserve(txn, table, key, key_len, value_len, MDB_APPEND, &at);
    if (rc == MDB_KEYEXIST)
        return store_corrupt(txn, table, err, "a key stands where only smaller ones can be");
    if (rc != 0)
        return failed_in(txn, rc, table, "put", err);
    txn->unsealed.table = table;
    txn->unsealed.at = at;
    txn->unsealed.len = value_len;
    txn->unsealed.key_len = key_len;
    memcpy(txn->unsealed.key, key, key_len);
    *value_out = at;
    return true;
}

bool store_delete(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  bool *found_out, struct error *err) {
    MDB_val k = val_of(key, key_len);
    store_settle(txn);
    if (!guard_key(txn, table, key, key_len, err))
        return false;
    int rc = mdb_del(txn->txn, txn->store->tables[table], &k, NULL);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return failed_in(txn, rc, table, "delete", err);
    if (found_out)
        *found_out = rc == 0;
    return true;
}

bool store_entries_n(struct store_txn *txn, enum store_table table, uint64_t *out,
                     struct error *err) {
    MDB_stat stat;
    if (txn->salvage) {
        *out = txn->salvage->ends[table] - (table > 0 ? txn->salvage->ends[table - 1] : 0);
        return true;
    }
    if (!txn->writes) {
        *out = txn->view->tables[table].entries_n;
        return true;
    }
    int rc = mdb_stat(txn->txn, txn->store->tables[table], &stat);
    if (rc != 0)
        return failed_in(txn, rc, table, "count", err);
    *out = stat.ms_entries;
    return true;
}

bool store_get_u32(struct store_txn *txn, enum store_table table, uint32_t key, struct bytes *out,
                   struct error *err) {
    uint8_t bytes[4];
    put_be32(bytes, key);
    return store_get(txn, table, bytes, sizeof bytes, out, err);
}

bool store_put_u32(struct store_txn *txn, enum store_table table, uint32_t key, const void *value,
                   size_t value_len, struct error *err) {
    uint8_t bytes[4];
    put_be32(bytes, key);
    return store_put(txn, table, bytes, sizeof bytes, value, value_len, err);
}

bool store_delete_u32(struct store_txn *txn, enum store_table table, uint32_t key,
                      struct error *err) {
    uint8_t bytes[4];
    put_be32(bytes, key);
    return store_delete(txn, table, bytes, sizeof bytes, NULL, err);
}

/* ---- cursors ---- */

/* What a cursor has in hand: the one or the other. */
struct handle {
    struct tree_cursor tree; /* of a read transaction */
    MDB_cursor *lmdb;        /* of one that writes */
    struct guarded near;     /* the same */
    size_t salvaged;         /* of what was salvaged */
};

static bool no_entry(struct store_cursor *cursor) {
    cursor->key = cursor->value = (struct bytes){0};
    return true;
}

/* The entry that the tree's cursor stands at. */
static bool show(struct store_cursor *cursor, bool ok, struct error *err) {
    const struct handle *handle = cursor->handle;
    struct bytes key, value;
    no_entry(cursor);
    if (!ok || handle->tree.ended)
        return ok;
    if (!tree_entry(&handle->tree, &key, &value, err))
        return false;
    cursor->key = key;
    return check_sum(cursor->txn, cursor->table, key, value, &cursor->value, err);
}

static bool show_salvaged(struct store_cursor *cursor) {
    const struct handle *handle = cursor->handle;
    struct bytes key, value;
    no_entry(cursor);
    if (salvage_entry(cursor->txn->salvage, cursor->table, handle->salvaged, &key, &value)) {
        cursor->key = key;
        (void)sum_fits(cursor->txn->store->sum_of, cursor->table, key, value, &cursor->value);
    }
    return true;
}

/* Before LMDB's cursor leaves the key for the next one. */
static bool guard_cursor(struct store_cursor *cursor, struct bytes key, struct error *err) {
    struct guarded *near = &((struct handle *)cursor->handle)->near;
    if (near->known && (!near->until.data || keys_compare(false, key, near->until) < 0))
        return true;
    return guard(cursor->txn, cursor->table, key, near, err) || (no_entry(cursor) && false);
}

static bool move(struct store_cursor *cursor, MDB_val key, MDB_cursor_op op, struct error *err) {
    const struct handle *handle = cursor->handle;
    MDB_val value = {0};
    int rc = mdb_cursor_get(handle->lmdb, &key, &value, op);
    no_entry(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return failed_in(cursor->txn, rc, cursor->table, "read", err);
    if (rc == MDB_NOTFOUND)
        return true;
    if (!is_in_page(cursor->txn, key))
        return store_corrupt(cursor->txn, cursor->table, err, "a page is damaged");
    cursor->key = bytes_of(key);
    return take_value(cursor->txn, cursor->table, key, value, &cursor->value, err);
}

static bool find_in_view(struct store_cursor *cursor, struct bytes key, struct error *err) {
    struct handle *handle = cursor->handle;
    bool exact = true;
    cursor_init(&handle->tree, cursor->txn, cursor->table);
    bool ok = key.len ? tree_find(&handle->tree, key, &exact, err) : tree_first(&handle->tree, err);
    if (ok && !exact && cursor->txn->lenient) {
        ok = tree_settle(&handle->tree, err);
    } else if (ok && !exact) { /* the one before is none of those that are asked for */
        struct tree_cursor before = handle->tree;
        ok = tree_previous(&before, err) &&
             entry_is_whole(cursor->txn, cursor->table, &before, err) &&
             tree_settle(&handle->tree, err);
    }
    return show(cursor, ok, err);
}

bool store_cursor_open(struct store_txn *txn, enum store_table table, const void *key,
                       size_t key_len, struct store_cursor *out, struct error *err) {
    struct handle *handle = mem_alloc(1, sizeof *handle);
    *out = (struct store_cursor){.handle = handle, .txn = txn, .table = table};
    handle->lmdb = NULL;
    handle->near.known = false;
    if (txn->salvage) {
        handle->salvaged =
            salvage_find(txn->salvage, table, (struct bytes){key_len ? key : "", key_len});
        return show_salvaged(out);
    }
    if (!txn->writes)
        return find_in_view(out, (struct bytes){key, key_len}, err);
    store_settle(txn);
    int rc = mdb_cursor_open(txn->txn, txn->store->tables[table], &handle->lmdb);
    if (rc != 0)
        return failed_in(txn, rc, table, "open a cursor", err);
    return guard_cursor(out, (struct bytes){key_len ? key : "", key_len}, err) &&
           move(out, val_of(key, key_len), key_len ? MDB_SET_RANGE : MDB_FIRST, err);
}

bool store_cursor_next(struct store_cursor *cursor, struct error *err) {
    struct handle *handle = cursor->handle;
    if (cursor->txn->salvage) {
        handle->salvaged += cursor->key.data != NULL;
        return show_salvaged(cursor);
    }
    if (!cursor->txn->writes)
        return show(cursor, tree_next(&handle->tree, err), err);
    store_settle(cursor->txn);
    return (!cursor->key.data || guard_cursor(cursor, cursor->key, err)) &&
           move(cursor, (MDB_val){0}, MDB_NEXT, err);
}

bool store_cursor_refresh(struct store_cursor *cursor, struct error *err) {
    if (!cursor->txn->writes)
        return show(cursor, true, err);
    store_settle(cursor->txn);
    return move(cursor, (MDB_val){0}, MDB_GET_CURRENT, err);
}

bool store_cursor_delete(struct store_cursor *cursor, struct error *err) {
    struct handle *handle = cursor->handle;
    store_settle(cursor->txn);
    if (!guard(cursor->txn, cursor->table, cursor->key, &handle->near, err))
        return false;
    int rc = mdb_cursor_del(handle->lmdb, 0);
    if (rc != 0)
        return failed_in(cursor->txn, rc, cursor->table, "delete", err);
    /* After a delete LMDB's cursor stands on the following entry; GET_CURRENT at the end of a page
     * would fail, NEXT knows about the deletion (C_DEL) and does the right thing in both cases. */
    return move(cursor, (MDB_val){0}, MDB_NEXT, err);
}

void store_cursor_close(struct store_cursor *cursor) {
    struct handle *handle = cursor->handle;
    if (handle && handle->lmdb)
        mdb_cursor_close(handle->lmdb);
    free(handle);
    *cursor = (struct store_cursor){0};
}
