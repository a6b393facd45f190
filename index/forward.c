#include "index/forward.h"

#include <string.h>

#include "engine/base/vec.h"
#include "index/inside.h"
#include "index/multi/multivector.h"
#include "index/passages.h"
#include "index/record.h"

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

/* Rows in so many bytes; 0: they cannot be rows. */
static size_t dense_rows_n(const struct index_settings *settings, size_t bytes_n) {
    size_t row_bytes = (size_t)settings->dense_dim * F16_BYTES, n = bytes_n / row_bytes;
    size_t n_max = settings->chunk_tokens > 0 ? RECORD_PASSAGES_MAX : 1;
    return bytes_n % row_bytes == 0 && n <= n_max ? n : 0;
}

const void *forward_dense_rows(struct snapshot *snapshot, uint32_t docid, size_t *n_out) {
    struct error ignored;
    struct bytes value;
    if (!store_get_u32(snapshot->txn, TABLE_DENSE, docid, &value, &ignored) || !value.data)
        return NULL;
    *n_out = dense_rows_n(&snapshot->index->settings, value.len);
    return *n_out > 0 ? value.data : NULL;
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
                        bool (*visit)(void *context, uint32_t docid, const void *rows_f16,
                                      size_t rows_n),
                        void *context, struct error *err) {
    const struct index_settings *settings = &snapshot->index->settings;
    struct store_cursor cursor;
    uint8_t key[4];
    put_be32(key, begin);
    bool ok = store_cursor_open(snapshot->txn, TABLE_DENSE, key, sizeof key, &cursor, err);
    bool go_on = true;
    while (ok && go_on && cursor.key.data) {
        uint32_t docid = cursor.key.len == 4 ? get_be32(cursor.key.data) : 0;
        if (cursor.key.len == 4 && docid >= end)
            break;
        size_t rows_n = dense_rows_n(settings, cursor.value.len);
        if (cursor.key.len != 4 || rows_n == 0) {
            ok = store_corrupt(snapshot->txn, TABLE_DENSE, err,
                               "docid %u: %zu bytes, a row of %u dimensions expected", docid,
                               cursor.value.len, settings->dense_dim);
            break;
        }
        /* Rows of the dead are deleted with them, so whatever stands here is alive. */
        go_on = visit(context, docid, cursor.value.data, rows_n);
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

static bool append_dense(struct store_txn *txn, size_t dim, uint32_t docid,
                         const struct record_passage *passages, size_t n, struct error *err) {
    void *out;
    if (!append_u32_key(txn, TABLE_DENSE, docid, n * dim * F16_BYTES, &out, err))
        return false;
    for (size_t i = 0; i < n; i++)
        vec_to_f16(passages[i].dense, dim, (uint16_t *)out + i * dim);
    return true;
}

static bool append_sparse(struct store_txn *txn, uint32_t docid, const struct record *record,
                          struct error *err) {
    size_t n = record->sparse.n;
    void *out;
    if (!append_u32_key(txn, TABLE_SPARSE, docid, SPARSE_HEADER_BYTES + n * SPARSE_TERM_BYTES, &out,
                        err))
        return false;
    char *at = out;
    memcpy(at, &record->sparse_length, SPARSE_HEADER_BYTES);
    if (n > 0) {
        memcpy(at + SPARSE_HEADER_BYTES, record->sparse.ids, 4 * n);
        memcpy(at + SPARSE_HEADER_BYTES + 4 * n, record->sparse.weights, 4 * n);
    }
    return true;
}

static size_t codes_len_of(const struct record_passage *passage, uint32_t dim) {
    return passage->multi_codes ? passage->multi_codes_len
                                : multi_codes_bytes(dim, passage->multi_n);
}

/* No row when no passage has vectors; else codes of each, if need be of none. */
static bool append_multi(struct store_txn *txn, uint32_t dim, uint32_t docid,
                         const struct record_passage *passages, size_t n, struct error *err) {
    size_t len = 0;
    bool any = false;
    void *out;
    for (size_t i = 0; i < n; i++) {
        any = any || passages[i].multi_codes || passages[i].multi_n > 0;
        len += codes_len_of(&passages[i], dim);
    }
    if (!any)
        return true;
    if (!append_u32_key(txn, TABLE_MULTI, docid, len, &out, err))
        return false;
    uint8_t *at = out;
    for (size_t i = 0; i < n; i++) {
        if (passages[i].multi_codes)
            memcpy(at, passages[i].multi_codes, passages[i].multi_codes_len);
        else
            multi_encode(passages[i].multi, passages[i].multi_n, dim, at);
        at += codes_len_of(&passages[i], dim);
    }
    return true;
}

bool forward_append(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    const struct record *record, struct error *err) {
    struct record_passage alone;
    size_t n;
    const struct record_passage *passages = record_passages(record, &alone, &n);
    return passages_append(txn, docid, passages, n, err) &&
           (settings->dense_dim == 0 ||
            append_dense(txn, settings->dense_dim, docid, passages, n, err)) &&
           (settings->lexical == INDEX_LEXICAL_NONE || append_sparse(txn, docid, record, err)) &&
           (settings->multi_dim == 0 ||
            append_multi(txn, settings->multi_dim, docid, passages, n, err));
}

bool forward_delete(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    struct error *err) {
    return (settings->dense_dim == 0 || store_delete_u32(txn, TABLE_DENSE, docid, err)) &&
           (settings->lexical == INDEX_LEXICAL_NONE ||
            store_delete_u32(txn, TABLE_SPARSE, docid, err)) &&
           (settings->multi_dim == 0 || store_delete_u32(txn, TABLE_MULTI, docid, err)) &&
           (settings->chunk_tokens == 0 || store_delete_u32(txn, TABLE_PASSAGES, docid, err));
}
