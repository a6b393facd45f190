#include "index/forward.h"

#include <string.h>

#include "engine/base/vec.h"
#include "index/inside.h"
#include "index/multi/multivector.h"

/* A sparse row: f32 length, u32 ids [n], f32 weights [n]. */
enum { SPARSE_HEADER_BYTES = 4, SPARSE_TERM_BYTES = 8, F16_BYTES = 2 };

/* ---- reading ---- */

bool forward_sparse_row(struct store_txn *txn, uint32_t docid, struct sparse_row *out,
                        struct error *err) {
    struct bytes value;
    if (!store_get_u32(txn, TABLE_SPARSE, docid, &value, err))
        return false;
    if (!value.data)
        return store_corrupt(txn, TABLE_SPARSE, err, "docid %u: no row", docid);
    if (value.len < SPARSE_HEADER_BYTES ||
        (value.len - SPARSE_HEADER_BYTES) % SPARSE_TERM_BYTES != 0)
        return store_corrupt(txn, TABLE_SPARSE, err, "docid %u: %zu bytes cannot be a row", docid,
                             value.len);
    const uint8_t *at = value.data;
    size_t n = (value.len - SPARSE_HEADER_BYTES) / SPARSE_TERM_BYTES;
    *out = (struct sparse_row){
        .ids = at + SPARSE_HEADER_BYTES,
        .weights = at + SPARSE_HEADER_BYTES + 4 * n,
        .n = n,
        .length = get_f32(at),
    };
    return true;
}

const void *forward_dense_row(struct snapshot *snapshot, uint32_t docid) {
    struct error ignored;
    struct bytes value;
    size_t row_bytes = (size_t)snapshot->index->settings.dense_dim * F16_BYTES;
    if (!store_get_u32(snapshot->txn, TABLE_DENSE, docid, &value, &ignored) ||
        value.len != row_bytes)
        return NULL;
    return value.data;
}

const void *forward_multi_codes(struct snapshot *snapshot, uint32_t docid, size_t *bytes_out) {
    struct error ignored;
    struct bytes value;
    if (!store_get_u32(snapshot->txn, TABLE_MULTI, docid, &value, &ignored))
        value = (struct bytes){.data = "", .len = 0}; /* none would be a document without vectors */
    if (value.data)
        *bytes_out = value.len;
    return value.data;
}

bool forward_dense_each(struct snapshot *snapshot, uint32_t begin, uint32_t end,
                        bool (*visit)(void *context, uint32_t docid, const void *row_f16),
                        void *context, struct error *err) {
    size_t row_bytes = (size_t)snapshot->index->settings.dense_dim * F16_BYTES;
    struct store_cursor cursor;
    uint8_t key[4];
    put_be32(key, begin);
    bool ok = store_cursor_open(snapshot->txn, TABLE_DENSE, key, sizeof key, &cursor, err);
    bool go_on = true;
    while (ok && go_on && cursor.key.data) {
        uint32_t docid = cursor.key.len == 4 ? get_be32(cursor.key.data) : 0;
        if (cursor.key.len == 4 && docid >= end)
            break;
        if (cursor.key.len != 4 || cursor.value.len != row_bytes) {
            ok = store_corrupt(snapshot->txn, TABLE_DENSE, err,
                               "docid %u: a row of %zu bytes, %zu expected", docid,
                               cursor.value.len, row_bytes);
            break;
        }
        /* Rows of the dead are deleted with them, so whatever stands here is alive. */
        go_on = visit(context, docid, cursor.value.data);
        ok = store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

/* ---- writing ---- */

static bool append_u32_key(struct store_txn *txn, enum store_table table, uint32_t docid,
                           size_t len, void **out, struct error *err) {
    uint8_t key[4];
    put_be32(key, docid);
    return store_append(txn, table, key, sizeof key, len, out, err);
}

bool forward_append(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    const struct record *record, struct error *err) {
    void *out;
    if (settings->dense_dim > 0) {
        size_t len = (size_t)settings->dense_dim * F16_BYTES;
        if (!append_u32_key(txn, TABLE_DENSE, docid, len, &out, err))
            return false;
        vec_to_f16(record->dense, settings->dense_dim, out);
    }
    if (settings->lexical != INDEX_LEXICAL_NONE) {
        size_t n = record->sparse.n;
        size_t len = SPARSE_HEADER_BYTES + n * SPARSE_TERM_BYTES;
        if (!append_u32_key(txn, TABLE_SPARSE, docid, len, &out, err))
            return false;
        char *at = out;
        memcpy(at, &record->sparse_length, SPARSE_HEADER_BYTES);
        if (n > 0) {
            memcpy(at + SPARSE_HEADER_BYTES, record->sparse.ids, 4 * n);
            memcpy(at + SPARSE_HEADER_BYTES + 4 * n, record->sparse.weights, 4 * n);
        }
    }
    if (settings->multi_dim > 0 && record->multi_codes) {
        if (!append_u32_key(txn, TABLE_MULTI, docid, record->multi_codes_len, &out, err))
            return false;
        memcpy(out, record->multi_codes, record->multi_codes_len);
    } else if (settings->multi_dim > 0 && record->multi_n > 0) {
        size_t len = multi_codes_bytes(settings->multi_dim, record->multi_n);
        if (!append_u32_key(txn, TABLE_MULTI, docid, len, &out, err))
            return false;
        multi_encode(record->multi, record->multi_n, settings->multi_dim, out);
    }
    return true;
}

bool forward_delete(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    struct error *err) {
    return (settings->dense_dim == 0 || store_delete_u32(txn, TABLE_DENSE, docid, err)) &&
           (settings->lexical == INDEX_LEXICAL_NONE ||
            store_delete_u32(txn, TABLE_SPARSE, docid, err)) &&
           (settings->multi_dim == 0 || store_delete_u32(txn, TABLE_MULTI, docid, err));
}
