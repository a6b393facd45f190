/* documents.h - stored records, keys and words: how they are written.
 *
 * Reading is in index.h. Title, fields and text are compressed together (zstd with its own
 * checksum); the key and the sizes are not. Bytes on disk: docs/disk-format.md. */
#ifndef TERCET_INDEX_DOCUMENTS_H
#define TERCET_INDEX_DOCUMENTS_H

#include "engine/base/buf.h"
#include "index/index.h"
#include "index/store/store.h"
#include "index/writer.h"

/* What one text may be: far above real ones, and a bound for what damaged bytes may ask for. */
enum { DOCUMENT_TEXT_BYTES_MAX = 256 << 20 };

/* Compression state and scratch, reused from record to record; one for each writer. */
struct documents_writer;
struct documents_writer *documents_writer_new(void);
void documents_writer_free(struct documents_writer *writer);

/* docid must be larger than every one before it. Sizes were checked by the caller. */
bool documents_append(struct documents_writer *writer, struct store_txn *txn, uint32_t docid,
                      const struct record *record, struct error *err);

/* The key of a document's record, borrowed from the transaction. */
bool document_key(struct store_txn *txn, uint32_t docid, struct bytes *out, struct error *err);

/* Bytes of the text of a document's record. */
bool document_text_len(struct store_txn *txn, uint32_t docid, size_t *out, struct error *err);

/* The fields of a document's record, into *out; nothing when it has none. */
bool document_fields(struct store_txn *txn, uint32_t docid, struct buf *out, struct error *err);

/* keys: doc_key -> docid, content hash. *found_out is false when there is none. */
struct key_entry {
    uint32_t docid;
    uint64_t content_hash;
};
bool key_get(struct store_txn *txn, const char *key, size_t key_len, struct key_entry *out,
             bool *found_out, struct error *err);
bool key_put(struct store_txn *txn, const char *key, size_t key_len, struct key_entry entry,
             struct error *err);

/* terms: word -> id. */
bool term_get(struct store_txn *txn, const char *word, size_t word_len, uint32_t *id_out,
              bool *found_out, struct error *err);

#endif
