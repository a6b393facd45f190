/* fields.h - which documents have which value in which field: the table `fields`.
 *
 * A document's fields are a JSON object. Every value in it (fields/value.h) is entered under its
 * field's name:
 *   array           each of its elements, under the array's name
 *   object          each of its members, under "name.member"
 *   null            not at all: it is as if the field were not there
 * A field with any value is entered once more as existing. Numbers and dates are entered under
 * their first 2, 3 and 4 bytes as well, all that begin so together: a range takes whole spans of
 * its middle and single values at its ends only, however many values there are.
 *
 * Key:   field, NUL, kind (1 byte), value in a form whose byte order is its order, chunk (u16,
 *        big-endian): the documents are those of the docids [65536 chunk, 65536 (chunk + 1)).
 *        Of a span: kind + 16 x bytes, the first bytes of its values.
 * Value: one roaring container of them (Chambi, Lemire, Kaser & Godin 2016): fewer than 4,096
 *        ascending u16, or 65,536 bits. Any bytes that pass the length check are safe to read.
 * So a commit rewrites at most 8 KiB for each value it touches, however large the index is.
 * Threads:  as the transaction's. */
#ifndef TERCET_INDEX_FIELDS_FIELDS_H
#define TERCET_INDEX_FIELDS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "index/fields/docid_set.h"
#include "index/fields/value.h"
#include "index/index.h"
#include "index/store/store.h"

enum {
    FIELD_NAME_BYTES_MAX = 128, /* with the names it is nested in; key: 387 of LMDB's 511 bytes */
    FIELD_VALUES_MAX = 4096,    /* of one document: bounds what it may cost to delete it */
};

/* ---- writing ---- */

struct field_change;

/* What has to be entered and struck out. A batch of zeros is a valid empty one. */
struct fields_batch {
    struct buf keys;
    struct field_change *items; /* [n] */
    size_t n, cap;
};

void fields_clear(struct fields_batch *batch);
void fields_done(struct fields_batch *batch);

/* Notes a document's values, as gained or (gone) as lost. json: an object as text, or nothing.
 * ERROR_INVALID, ERROR_LIMIT: the batch is as before. */
bool fields_note(struct fields_batch *batch, uint32_t docid, const char *json, size_t len,
                 bool gone, struct error *err);

/* The memory a batch holds, to be kept within bounds by writing it out early. */
size_t fields_batch_bytes(const struct fields_batch *batch);

/* Writes all that was noted and clears the batch. */
bool fields_write(struct store_txn *txn, struct fields_batch *batch, struct error *err);

/* ---- comparing (check.h) ---- */

/* What a document is entered under, as one number: the sum of fields_key_hash over its entries,
 * each once. 0 for a document without fields. */
bool fields_sum(const char *json, size_t len, uint64_t *out, struct error *err);

/* Of a key without its chunk. */
uint64_t fields_key_hash(const uint8_t *key, size_t key_len);

/* Whether a key of the table is one: a name, a kind, a value of that kind, a chunk. */
bool fields_key_valid(const uint8_t *key, size_t key_len);

/* ---- reading ---- */

/* Values of one kind between two bounds. Of numbers and dates a bound may be NULL: none there. Of
 * the other kinds, which have no order, both are the one value. */
struct field_range {
    enum field_kind kind;
    const struct field_value *low, *high;
    bool low_open, high_open; /* the bound itself is left out (numbers and dates) */
};

/* Adds the documents with a value of the field in the range. */
bool fields_collect(struct snapshot *snapshot, const char *field, size_t field_len,
                    const struct field_range *range, struct docid_set *set, struct error *err);

/* An entry of the table, borrowed from it. */
struct fields_entry {
    uint8_t kind; /* of enum field_kind */
    const uint8_t *value;
    size_t value_len;
    uint32_t chunk;
    struct bytes container;
};

/* Every entry of a field but the spans, by kind, value and chunk; until visit fails. */
bool fields_each(struct snapshot *snapshot, const char *field, size_t field_len,
                 bool (*visit)(void *context, const struct fields_entry *entry, struct error *err),
                 void *context, struct error *err);

/* How many docids of the entry are in the set (NULL: all of them), and the first of those. False:
 * it holds no container, or docids that the set has no room for. */
bool fields_entry_count(const struct fields_entry *entry, const struct docid_set *set,
                        uint32_t *n_out, uint32_t *first_out);

#endif
