/* fields.h - which documents have which value in which field: the table `fields`.
 *
 * A document's fields are a JSON object. Every value in it is entered under its field's name:
 *   bool, number    as they are
 *   date            a string that reads as one: 2024-02-29, 2024-02-29T12:30, ...:15.25, each with
 *                   Z, +01:00 or nothing (then UTC) behind the time; kept to the microsecond
 *   keyword         any other string, compared byte for byte
 *   array           each of its elements, under the array's name
 *   object          each of its members, under "name.member"
 *   null            not at all: it is as if the field were not there
 * A field with any value is entered once more as existing.
 *
 * Key:   field, NUL, kind (1 byte), value in a form whose byte order is its order, chunk (u16,
 *        big-endian): the documents are those of the docids [65536 chunk, 65536 (chunk + 1)).
 * Value: one roaring container of them (Chambi, Lemire, Kaser & Godin 2016): fewer than 4,096
 *        ascending u16, or 65,536 bits. Any bytes that pass the length check are safe to read.
 * So a commit rewrites at most 8 KiB for each value it touches, however large the index is.
 * Threads:  as the transaction's. */
#ifndef TERCET_INDEX_FIELDS_H
#define TERCET_INDEX_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "index/docid_set.h"
#include "index/index.h"
#include "index/store.h"

/* On disk: never renumbered. */
enum field_kind {
    FIELD_EXISTS = 1,
    FIELD_BOOL = 2,
    FIELD_NUMBER = 3,
    FIELD_DATE = 4,
    FIELD_KEYWORD = 5,
    FIELD_LONG = 6, /* a keyword that no key has room for, by its XXH3-128 */
};

enum {
    FIELD_NAME_BYTES_MAX = 128, /* with the names it is nested in; key: 387 of LMDB's 511 bytes */
    FIELD_KEYWORD_BYTES_MAX = 254, /* longer ones, and those that hold a NUL, are FIELD_LONG */
    FIELD_VALUES_MAX = 4096,       /* of one document: bounds what it may cost to delete it */
};

/* A value as it stands in a key. */
struct field_value {
    enum field_kind kind;
    size_t len;
    uint8_t bytes[FIELD_KEYWORD_BYTES_MAX + 1]; /* a keyword's end with a NUL */
};

/* False: null, an array or an object, which are no values. */
bool field_value_of(const struct json *json, struct field_value *out);

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

/* ---- reading ---- */

/* Values of one kind between two bounds; NULL: no bound there. */
struct field_range {
    enum field_kind kind;
    const struct field_value *low, *high;
    bool low_open, high_open; /* the bound itself is left out */
};

/* Adds the documents with a value of the field in the range. */
bool fields_collect(struct snapshot *snapshot, const char *field, size_t field_len,
                    const struct field_range *range, struct docid_set *set, struct error *err);

#endif
