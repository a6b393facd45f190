/* sum.h - inside the store: where a value's checksum stands, and of what it is. */
#ifndef TERCET_INDEX_STORE_SUM_H
#define TERCET_INDEX_STORE_SUM_H

#include <string.h>

#include "index/store/store.h"
#include "index/store/value_sum.h"

enum { SUM_BYTES = 4 };

/* A search reads a few blocks of a long list of postings, which has sums of its own: the store's
 * stands in front and is of its key and length. */
enum sum_kind { SUM_NONE, SUM_BEHIND, SUM_IN_FRONT };

static inline enum sum_kind sum_kind_of(enum store_table table, struct bytes key) {
    static const char format[] = "format"; /* a program of any version must be able to read it */
    if (table == TABLE_POSTINGS)
        return SUM_IN_FRONT;
    bool none = table == TABLE_META && key.len == sizeof format - 1 &&
                memcmp(key.data, format, sizeof format - 1) == 0;
    return none ? SUM_NONE : SUM_BEHIND;
}

/* at: the value without its sum. */
static inline uint32_t sum_make(value_sum_kind *sum_of, enum store_table table, struct bytes key,
                                const void *at, size_t len) {
    uint64_t length = len;
    return table == TABLE_POSTINGS ? sum_of(table, key.data, key.len, &length, sizeof length)
                                   : sum_of(table, key.data, key.len, at, len);
}

/* Takes the sum off a stored value, unread. False: it has no room for one. */
static inline bool sum_strip(enum store_table table, struct bytes key, struct bytes stored,
                             struct bytes *out, const uint8_t **sum_out) {
    enum sum_kind kind = sum_kind_of(table, key);
    const uint8_t *at = stored.data;
    size_t len = stored.len;
    *sum_out = NULL;
    if (kind != SUM_NONE) {
        if (len < SUM_BYTES)
            return false;
        len -= SUM_BYTES;
        *sum_out = kind == SUM_IN_FRONT ? at : at + len;
        at += kind == SUM_IN_FRONT ? SUM_BYTES : 0;
    }
    *out = (struct bytes){.data = at, .len = len};
    return true;
}

/* Takes it off and compares; false: it is another's, and *out is as it was. */
static inline bool sum_fits(value_sum_kind *sum_of, enum store_table table, struct bytes key,
                            struct bytes stored, struct bytes *out) {
    const uint8_t *sum;
    struct bytes value;
    if (!sum_strip(table, key, stored, &value, &sum) ||
        (sum && get_u32(sum) != sum_make(sum_of, table, key, value.data, value.len)))
        return false;
    *out = value;
    return true;
}

#endif
