/* fields/value.h - a value of a document's field, in bytes whose order is its order.
 *
 *   bool, number    as they are
 *   date            a string that reads as one: 2024-02-29, 2024-02-29T12:30, ...:15.25, each with
 *                   Z, +01:00 or nothing (then UTC) behind the time; kept to the microsecond
 *   keyword         any other string, compared byte for byte
 * Bytes on disk: docs/disk-format.md, "fields". */
#ifndef TERCET_INDEX_FIELDS_VALUE_H
#define TERCET_INDEX_FIELDS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/json.h"
#include "index/store/store.h"

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
    FIELD_KEYWORD_BYTES_MAX = 254, /* longer ones, and those that hold a NUL, are FIELD_LONG */
    FIELD_DATE_TEXT_MAX = 64,
};

/* A value as it stands in a key: numbers and dates are 8 bytes, big-endian. */
struct field_value {
    enum field_kind kind;
    size_t len;
    uint8_t bytes[FIELD_KEYWORD_BYTES_MAX + 1]; /* a keyword's end with a NUL */
};

/* False: null, an array or an object, which are no values. */
bool field_value_of(const struct json *json, struct field_value *out);

/* The value as JSON that reads as the same value again, a date as UTC. NULL: no value has such
 * bytes, or it is FIELD_LONG, whose string is not kept here. */
struct json *field_value_json(enum field_kind kind, const uint8_t *bytes, size_t len);

#endif
