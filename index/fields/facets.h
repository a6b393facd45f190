/* facets.h - which values a field has, and how many documents have each: counted in the table
 * `fields`, over all documents or those that a filter allows, not over what a search found.
 *
 * Cost: one entry of the table for each value and 65,536 docids it is spread over; at most
 * FACET_ENTRIES_MAX of them, so that a field with a value for every document cannot hold up a
 * search. Measured: docs/filters.md.
 * Memory: results lie in the arena. */
#ifndef TERCET_INDEX_FIELDS_FACETS_H
#define TERCET_INDEX_FIELDS_FACETS_H

#include "index/fields/docid_set.h"
#include "index/fields/value.h"
#include "index/index.h"

enum {
    FACET_LIMIT_DEFAULT = 10,
    FACET_LIMIT_MAX = 1000,      /* values of one field: they are read by people */
    FACET_ENTRIES_MAX = 1 << 20, /* some 20 ms */
};

struct facet_value {
    enum field_kind kind;
    const uint8_t *bytes; /* [len] as in a key; of a long keyword the string itself */
    size_t len;
    uint64_t documents_n;
};

struct facet {
    struct facet_value *values; /* [values_n] most documents first, then in the values' order:
                                 * false, true, numbers, dates, strings by their bytes, long ones */
    size_t values_n;            /* at most the limit */
    uint64_t distinct_n;        /* values that any document has */
    uint64_t documents_n;       /* with any value; an array has several */
};

/* allowed: NULL for every live document. A field that nobody has is no error. ERROR_LIMIT: it has
 * more values than are counted. */
bool facet_count(struct snapshot *snapshot, const char *field, size_t field_len, size_t limit,
                 const struct docid_set *allowed, struct arena *arena, struct facet *out,
                 struct error *err);

/* The value as JSON: a filter with it passes the documents that were counted. */
struct json *facet_value_json(const struct facet_value *value);

#endif
