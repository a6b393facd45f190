/* forward.h - the forward tables: what a docid's own representations are.
 *
 * dense, multi: rows.h says how they are read, passages.h what a docid's several rows are. Here:
 * the sparse row, and how all of them are written and deleted. Bytes on disk:
 * docs/disk-format.md. */
#ifndef TERCET_INDEX_FORWARD_H
#define TERCET_INDEX_FORWARD_H

#include "index/rows.h"
#include "index/index.h"
#include "index/store/store.h"
#include "index/writer.h"

/* Borrowed from the page and unaligned: read with get_u32 and get_f32. */
struct sparse_row {
    const uint8_t *ids;     /* [n] u32, ascending */
    const uint8_t *weights; /* [n] f32 */
    size_t n;
    float length; /* the document's, in words (BM25) */
};

/* A docid without a row, or one of a wrong length, is ERROR_CORRUPT. */
bool forward_sparse_row(struct store_txn *txn, uint32_t docid, struct sparse_row *out,
                        struct error *err);

/* docid must be larger than every one before it. */
bool forward_append(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    const struct record *record, struct error *err);
bool forward_delete(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                    struct error *err);

#endif
