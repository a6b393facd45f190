/* passages.h - what parts of its text a document is searched by: the table `passages`.
 *
 * A long text is several passages, each with a dense row and token vectors of its own; they are one
 * document all the same, with one docid, so that counts, filters, facets and tombstones know
 * nothing of passages. The rows of a docid's passages stand one behind the other in its one value
 * of `dense` and of `multi`. A document of one passage, which is all of its text, has no entry
 * here. Bytes on disk: docs/disk-format.md; why: docs/passages.md. */
#ifndef TERCET_INDEX_PASSAGES_H
#define TERCET_INDEX_PASSAGES_H

#include "engine/base/arena.h"
#include "index/index.h"
#include "index/store/store.h"
#include "index/writer.h"

/* What the table holds of a docid. Borrowed, unaligned: read with passages_at. */
struct passages {
    const uint8_t *places; /* NULL: one passage, the whole text */
    uint32_t n;
};
bool passages_get(struct store_txn *txn, uint32_t docid, struct passages *out, struct error *err);
void passages_at(const struct passages *passages, uint32_t index, uint32_t *begin_out,
                 uint32_t *end_out);

/* False: not what a writer wrote for a text of text_len bytes. */
bool passages_sound(const struct passages *passages, size_t text_len);

/* docid must be larger than every one before it. */
bool passages_append(struct store_txn *txn, uint32_t docid, const struct record_passage *passages,
                     size_t n, struct error *err);

/* All that a docid's rows say, as a record has it: what `export` prints and `repair` carries over.
 * Numbers lie in the arena, codes are borrowed; of a passage alone begin and end are 0.
 * ERROR_CORRUPT when one of them is missing or does not fit the others. */
bool passages_read(struct store_txn *txn, const struct index_settings *settings, uint32_t docid,
                   struct arena *arena, struct record_passage **out, size_t *n_out,
                   struct error *err);

#endif
