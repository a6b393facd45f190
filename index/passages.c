#include "index/passages.h"

#include <string.h>

#include "engine/base/vec.h"
#include "index/documents.h"
#include "index/inside.h"
#include "index/multi/multivector.h"

/* A passage's place: u32 begin, u32 end. */
enum { PLACE_BYTES = 8, F16_BYTES = 2 };

/* ---- the table ---- */

bool passages_get(struct store_txn *txn, uint32_t docid, struct passages *out, struct error *err) {
    struct bytes value;
    if (!store_get_u32(txn, TABLE_PASSAGES, docid, &value, err))
        return false;
    if (!value.data) {
        *out = (struct passages){.n = 1};
        return true;
    }
    if (value.len % PLACE_BYTES != 0 || value.len < 2 * PLACE_BYTES ||
        value.len > (size_t)RECORD_PASSAGES_MAX * PLACE_BYTES)
        return store_corrupt(txn, TABLE_PASSAGES, err, "docid %u: %zu bytes cannot be passages",
                             docid, value.len);
    *out = (struct passages){value.data, (uint32_t)(value.len / PLACE_BYTES)};
    return true;
}

void passages_at(const struct passages *passages, uint32_t index, uint32_t *begin_out,
                 uint32_t *end_out) {
    *begin_out = get_u32(passages->places + (size_t)index * PLACE_BYTES);
    *end_out = get_u32(passages->places + (size_t)index * PLACE_BYTES + 4);
}

bool passages_sound(const struct passages *passages, size_t text_len) {
    uint32_t begin, end, before = 0;
    for (uint32_t i = 0; passages->places && i < passages->n; i++) {
        passages_at(passages, i, &begin, &end);
        if (begin >= end || end > text_len || (i > 0 && begin <= before))
            return false;
        before = begin;
    }
    return true;
}

bool passages_append(struct store_txn *txn, uint32_t docid, const struct record_passage *passages,
                     size_t n, struct error *err) {
    uint8_t key[4];
    void *out;
    if (n == 1)
        return true;
    put_be32(key, docid);
    if (!store_append(txn, TABLE_PASSAGES, key, sizeof key, n * PLACE_BYTES, &out, err))
        return false;
    for (size_t i = 0; i < n; i++)
        memcpy((uint8_t *)out + i * PLACE_BYTES, (uint32_t[]){passages[i].begin, passages[i].end},
               PLACE_BYTES);
    return true;
}

bool document_passage(struct snapshot *snapshot, uint32_t docid, uint32_t index,
                      struct document_passage *out, struct error *err) {
    struct passages passages;
    size_t text_len;
    if (!passages_get(snapshot->txn, docid, &passages, err) ||
        !document_text_len(snapshot->txn, docid, &text_len, err))
        return false;
    if (index >= passages.n)
        return error_set(err, ERROR_INVALID, "docid %u: passage %u of %u", docid, index,
                         passages.n);
    if (!passages_sound(&passages, text_len))
        return store_corrupt(snapshot->txn, TABLE_PASSAGES, err,
                             "docid %u: not within its text of %zu bytes", docid, text_len);
    struct document_passage passage = {0, (uint32_t)text_len, index, passages.n};
    if (passages.places)
        passages_at(&passages, index, &passage.begin, &passage.end);
    *out = passage;
    return true;
}

/* ---- all rows of a docid ---- */

static bool read_dense(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                       size_t n, struct arena *arena, struct record_passage *out,
                       struct error *err) {
    size_t dim = settings->dense_dim;
    struct bytes value;
    if (dim == 0)
        return true;
    if (!store_get_u32(txn, TABLE_DENSE, docid, &value, err))
        return false;
    if (!value.data || value.len != n * dim * F16_BYTES)
        return store_corrupt(txn, TABLE_DENSE, err, "docid %u: its row has %zu bytes, %zu expected",
                             docid, value.len, n * dim * F16_BYTES);
    float *dense = ARENA_NEW(arena, float, n *dim);
    vec_from_f16(value.data, n * dim, dense);
    for (size_t i = 0; i < n; i++)
        out[i].dense = dense + i * dim;
    return true;
}

static bool read_multi(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                       size_t n, struct record_passage *out, struct error *err) {
    struct bytes value;
    struct multi_codes codes;
    if (settings->multi_dim == 0)
        return true;
    if (!store_get_u32(txn, TABLE_MULTI, docid, &value, err))
        return false;
    if (!value.data) /* a document may have no vectors */
        return true;
    const uint8_t *at = value.data, *end = at + value.len;
    for (size_t i = 0; i < n; i++) {
        out[i].multi_codes = at;
        if (!multi_codes_next(&at, end, settings->multi_dim, &codes, err))
            return error_wrap(err, "docid %u, passage %zu: ", docid, i);
        out[i].multi_codes_len = (size_t)(at - (const uint8_t *)out[i].multi_codes);
    }
    return at == end || store_corrupt(txn, TABLE_MULTI, err,
                                      "docid %u: codes of more passages than its %zu", docid, n);
}

bool passages_read(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                   struct arena *arena, struct record_passage **out, size_t *n_out,
                   struct error *err) {
    struct passages passages;
    if (!passages_get(txn, docid, &passages, err))
        return false;
    struct record_passage *all = ARENA_ZERO(arena, struct record_passage, passages.n);
    for (uint32_t i = 0; passages.places && i < passages.n; i++)
        passages_at(&passages, i, &all[i].begin, &all[i].end);
    if (!read_dense(txn, settings, docid, passages.n, arena, all, err) ||
        !read_multi(txn, settings, docid, passages.n, all, err))
        return false;
    *out = all;
    *n_out = passages.n;
    return true;
}
