#include "index/store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/mem.h"
#include "index/store/pages.h"
#include "index/store/inside.h"

static const char *const table_names[TABLES_N] = {
    [TABLE_META] = "meta",           [TABLE_KEYS] = "keys",
    [TABLE_TERMS] = "terms",         [TABLE_FREQUENCIES] = "frequencies",
    [TABLE_DOCUMENTS] = "documents", [TABLE_DENSE] = "dense",
    [TABLE_SPARSE] = "sparse",       [TABLE_MULTI] = "multi",
    [TABLE_POSTINGS] = "postings",   [TABLE_SEGMENTS] = "segments",
    [TABLE_FIELDS] = "fields",       [TABLE_PASSAGES] = "passages",
};

enum {
    SUM_BYTES = 4,       /* behind every value but postings' */
    KEY_BYTES_MAX = 511, /* LMDB's */
    KEY_SHOWN = 40,      /* of one that is no number, in messages */
};

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    bool writes;
    struct { /* store_append's room, whose sum is added once it was filled; at NULL: none */
        enum store_table table;
        uint8_t *at;
        size_t len, key_len;
        uint8_t key[KEY_BYTES_MAX];
    } unsealed;
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

static bool has_sum(enum store_table table, const void *key, size_t key_len) {
    static const char format[] = "format"; /* a program of any version must be able to read it */
    return table != TABLE_POSTINGS && !(table == TABLE_META && key_len == sizeof format - 1 &&
                                        memcmp(key, format, sizeof format - 1) == 0);
}

static void put_sum(const struct store_txn *txn, enum store_table table, const void *key,
                    size_t key_len, uint8_t *value, size_t len) {
    uint32_t sum = txn->store->sum_of(table, key, key_len, value, len);
    memcpy(value + len, &sum, SUM_BYTES);
}

/* Every call that reads or changes something begins with this: after it the room that
 * store_append handed out may be moved. */
static void settle(struct store_txn *txn) {
    if (!txn->unsealed.at)
        return;
    put_sum(txn, txn->unsealed.table, txn->unsealed.key, txn->unsealed.key_len, txn->unsealed.at,
            txn->unsealed.len);
    txn->unsealed.at = NULL;
}

/* Numbers as such, names as text; what else there is in hexadecimal. */
static void print_key(enum store_table table, MDB_val key, char out[2 * KEY_SHOWN + 1]) {
    const uint8_t *at = key.mv_data;
    size_t n = key.mv_size < KEY_SHOWN ? key.mv_size : KEY_SHOWN;
    if (table == TABLE_META || table == TABLE_KEYS || table == TABLE_TERMS) {
        snprintf(out, 2 * KEY_SHOWN + 1, "\"%.*s\"", (int)n, (const char *)at);
    } else if (key.mv_size == 4) {
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

/* Takes the sum off a value that was read. ERROR_CORRUPT when it is another's. */
static bool check_sum(const struct store_txn *txn, enum store_table table, MDB_val key,
                      MDB_val value, struct bytes *out, struct error *err) {
    size_t len = value.mv_size;
    const uint8_t *at = value.mv_data;
    if (!is_in_page(txn, value))
        return store_corrupt(txn, table, err, "a page is damaged");
    if (has_sum(table, key.mv_data, key.mv_size)) {
        if (len < SUM_BYTES ||
            get_u32(at + len - SUM_BYTES) !=
                txn->store->sum_of(table, key.mv_data, key.mv_size, at, len - SUM_BYTES)) {
            char shown[2 * KEY_SHOWN + 1];
            print_key(table, key, shown);
            return store_corrupt(txn, table, err, "key %s: %zu bytes with a wrong checksum", shown,
                                 len);
        }
        len -= SUM_BYTES;
    }
    *out = (struct bytes){.data = at, .len = len};
    return true;
}

/* ---- transactions ---- */

static struct store_txn *wrap_txn(struct store *store, MDB_txn *inner, bool writes) {
    struct store_txn *txn = mem_alloc(1, sizeof *txn);
    *txn = (struct store_txn){.store = store, .txn = inner, .writes = writes};
    return txn;
}

bool store_begin_read(struct store *store, struct store_txn **out, struct error *err) {
    MDB_txn *inner;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &inner);
    if (rc == MDB_READERS_FULL) { /* perhaps by processes that are dead */
        mdb_reader_check(store->env, &(int){0});
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &inner);
    }
    if (rc != 0)
        return store_failed(store, rc, "read", err);
    *out = wrap_txn(store, inner, false);
    return true;
}

bool store_begin_write(struct store *store, struct store_txn **out, struct error *err) {
    MDB_txn *inner;
    if (!store_is_writable(store))
        return error_set(err, ERROR_INVALID,
                         store->writer_lock < 0 ? "%s: opened for reading only"
                                                : "%s: the writer's lock was given back",
                         store->folder);
    int rc = mdb_txn_begin(store->env, NULL, 0, &inner);
    if (rc != 0)
        return store_failed(store, rc, "write", err);
    *out = wrap_txn(store, inner, true);
    return true;
}

bool store_commit(struct store_txn *txn, struct error *err) {
    settle(txn);
    int rc = mdb_txn_commit(txn->txn);
    bool ok = rc == 0 || store_failed(txn->store, rc, "commit", err);
    if (ok)
        store_extend(txn->store);
    free(txn);
    return ok;
}

void store_abort(struct store_txn *txn) {
    if (!txn)
        return;
    mdb_txn_abort(txn->txn);
    free(txn);
}

uint64_t store_txn_id(const struct store_txn *txn) {
    return mdb_txn_id(txn->txn);
}

/* ---- values ---- */

static MDB_val val_of(const void *data, size_t len) {
    return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)data};
}

static struct bytes bytes_of(MDB_val val) {
    return (struct bytes){.data = val.mv_data, .len = val.mv_size};
}

bool store_get(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               struct bytes *out, struct error *err) {
    MDB_val k = val_of(key, key_len), v;
    settle(txn);
    int rc = mdb_get(txn->txn, txn->store->tables[table], &k, &v);
    if (rc == 0)
        return check_sum(txn, table, k, v, out, err);
    if (rc != MDB_NOTFOUND)
        return failed_in(txn, rc, table, "get", err);
    *out = (struct bytes){0};
    return true;
}

/* Room for a value and its sum. */
static int reserve(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                   size_t value_len, unsigned flags, uint8_t **out) {
    bool sum = has_sum(table, key, key_len);
    MDB_val k = val_of(key, key_len), v = val_of(NULL, value_len + (sum ? SUM_BYTES : 0));
    settle(txn);
    int rc = mdb_put(txn->txn, txn->store->tables[table], &k, &v, MDB_RESERVE | flags);
    if (rc == 0)
        *out = v.mv_data;
    return rc;
}

bool store_put(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
               const void *value, size_t value_len, struct error *err) {
    uint8_t *at;
    int rc = reserve(txn, table, key, key_len, value_len, 0, &at);
    if (rc != 0)
        return failed_in(txn, rc, table, "put", err);
    if (value_len > 0)
        memcpy(at, value, value_len);
    if (has_sum(table, key, key_len))
        put_sum(txn, table, key, key_len, at, value_len);
    return true;
}

bool store_append(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  size_t value_len, void **value_out, struct error *err) {
    uint8_t *at;
    int rc = reserve(txn, table, key, key_len, value_len, MDB_APPEND, &at);
    if (rc == MDB_KEYEXIST)
        return error_set(err, ERROR_CORRUPT,
                         "%s/data.mdb: table %s: a key stands where only "
                         "smaller ones can be",
                         txn->store->folder, table_names[table]);
    if (rc != 0)
        return failed_in(txn, rc, table, "put", err);
    if (has_sum(table, key, key_len)) {
        txn->unsealed.table = table;
        txn->unsealed.at = at;
        txn->unsealed.len = value_len;
        txn->unsealed.key_len = key_len;
        memcpy(txn->unsealed.key, key, key_len);
    }
    *value_out = at;
    return true;
}

bool store_delete(struct store_txn *txn, enum store_table table, const void *key, size_t key_len,
                  bool *found_out, struct error *err) {
    MDB_val k = val_of(key, key_len);
    settle(txn);
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

static bool cursor_move(struct store_cursor *cursor, MDB_val key, MDB_cursor_op op,
                        struct error *err) {
    MDB_val value = {0};
    settle(cursor->txn);
    int rc = mdb_cursor_get(cursor->handle, &key, &value, op);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return failed_in(cursor->txn, rc, cursor->table, "read", err);
    cursor->key = rc == 0 ? bytes_of(key) : (struct bytes){0};
    cursor->value = (struct bytes){0};
    if (rc == 0 && !is_in_page(cursor->txn, key)) {
        cursor->key = (struct bytes){0};
        return store_corrupt(cursor->txn, cursor->table, err, "a page is damaged");
    }
    return rc == MDB_NOTFOUND ||
           check_sum(cursor->txn, cursor->table, key, value, &cursor->value, err);
}

bool store_cursor_open(struct store_txn *txn, enum store_table table, const void *key,
                       size_t key_len, struct store_cursor *out, struct error *err) {
    MDB_cursor *handle;
    *out = (struct store_cursor){.txn = txn, .table = table};
    int rc = mdb_cursor_open(txn->txn, txn->store->tables[table], &handle);
    if (rc != 0)
        return failed_in(txn, rc, table, "open a cursor", err);
    out->handle = handle;
    return cursor_move(out, val_of(key, key_len), key_len ? MDB_SET_RANGE : MDB_FIRST, err);
}

bool store_cursor_next(struct store_cursor *cursor, struct error *err) {
    return cursor_move(cursor, (MDB_val){0}, MDB_NEXT, err);
}

bool store_cursor_refresh(struct store_cursor *cursor, struct error *err) {
    return cursor_move(cursor, (MDB_val){0}, MDB_GET_CURRENT, err);
}

bool store_cursor_delete(struct store_cursor *cursor, struct error *err) {
    settle(cursor->txn);
    int rc = mdb_cursor_del(cursor->handle, 0);
    if (rc != 0)
        return failed_in(cursor->txn, rc, cursor->table, "delete", err);
    /* After a delete LMDB's cursor stands on the following entry; GET_CURRENT at the end of a page
     * would fail, NEXT knows about the deletion (C_DEL) and does the right thing in both cases. */
    return cursor_move(cursor, (MDB_val){0}, MDB_NEXT, err);
}

void store_cursor_close(struct store_cursor *cursor) {
    if (cursor->handle)
        mdb_cursor_close(cursor->handle);
    *cursor = (struct store_cursor){0};
}
