#include "index/fields/facets.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/documents.h"
#include "index/fields/fields.h"
#include "index/inside.h"

/* A value that may be among the most frequent; its bytes are borrowed from the table. */
struct candidate {
    uint8_t kind;
    const uint8_t *bytes;
    size_t len;
    uint64_t documents_n;
    size_t order;   /* the how many-th value it is */
    uint32_t docid; /* one that has it */
};

struct counting {
    struct snapshot *snapshot;
    const struct docid_set *allowed;
    const char *field;
    size_t field_len, limit, entries_n;
    struct candidate at; /* the value under way, whose chunks follow each other */
    struct candidate *best;
    size_t best_n;   /* at most twice the limit */
    uint64_t enough; /* fewer documents or as many cannot be among the best any more */
    struct facet facet;
};

static int by_count(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->documents_n != y->documents_n)
        return x->documents_n < y->documents_n ? 1 : -1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void keep_best(struct counting *counting) {
    if (counting->best_n > 1)
        qsort(counting->best, counting->best_n, sizeof *counting->best, by_count);
    if (counting->best_n < counting->limit)
        return;
    counting->best_n = counting->limit;
    counting->enough = counting->best[counting->limit - 1].documents_n;
}

/* The value under way has had its last chunk. */
static void end_value(struct counting *counting) {
    const struct candidate *at = &counting->at;
    if (at->documents_n == 0)
        return;
    counting->facet.distinct_n++;
    if (at->documents_n <= counting->enough)
        return;
    counting->best[counting->best_n++] = *at;
    if (counting->best_n == 2 * counting->limit)
        keep_best(counting);
}

static bool is_at(const struct candidate *at, const struct fields_entry *entry) {
    return at->bytes && at->kind == entry->kind && at->len == entry->value_len &&
           memcmp(at->bytes, entry->value, entry->value_len) == 0;
}

static bool count_entry(void *context, const struct fields_entry *entry, struct error *err) {
    struct counting *counting = context;
    struct candidate *at = &counting->at;
    uint32_t n, first;
    if (!fields_entry_count(entry, counting->allowed, &n, &first))
        return store_corrupt(counting->snapshot->txn, TABLE_FIELDS, err,
                             "field \"%.*s\": a container of %zu bytes", (int)counting->field_len,
                             counting->field, entry->container.len);
    if (entry->kind == FIELD_EXISTS) {
        counting->facet.documents_n += n;
        return true;
    }
    if (++counting->entries_n > FACET_ENTRIES_MAX)
        return error_set(err, ERROR_LIMIT,
                         "facets: field \"%.*s\" has too many values to be counted (%d entries of "
                         "the table are read); ask for a field that has fewer",
                         (int)counting->field_len, counting->field, FACET_ENTRIES_MAX);
    if (!is_at(at, entry)) {
        end_value(counting);
        *at = (struct candidate){.kind = entry->kind,
                                 .bytes = entry->value,
                                 .len = entry->value_len,
                                 .order = counting->entries_n};
    }
    if (at->documents_n == 0)
        at->docid = first;
    at->documents_n += n;
    return true;
}

/* ---- strings that the table has only the hash of ---- */

/* The string below `json` whose value that is; NULL: there is none. */
static const struct json *find_long(const struct json *json, const struct candidate *wanted) {
    struct field_value value;
    const struct json *found = NULL;
    if (json_kind_of(json) == JSON_KIND_ARRAY)
        for (size_t i = 0; !found && i < json_count(json); i++)
            found = find_long(json_at(json, i), wanted);
    for (void *at = json_first(json); !found && at; at = json_next(json, at))
        found = find_long(json_member_value(at), wanted);
    if (json_kind_of(json) == JSON_KIND_STRING && field_value_of(json, &value) &&
        value.kind == FIELD_LONG && value.len == wanted->len &&
        memcmp(value.bytes, wanted->bytes, value.len) == 0)
        found = json;
    return found;
}

/* From the fields of a document that has it. */
static bool read_long(struct counting *counting, const struct candidate *wanted,
                      struct arena *arena, struct facet_value *out, struct error *err) {
    struct buf text = {0};
    struct json *fields = NULL;
    const struct json *found = NULL;
    bool ok = document_fields(counting->snapshot->txn, wanted->docid, &text, err);
    if (ok && text.len > 0 && (fields = json_parse(text.data, text.len, err)))
        found = find_long(fields, wanted);
    if (found) {
        const char *string = json_string_of(found, &out->len);
        out->bytes = (const uint8_t *)arena_text(arena, string, out->len);
    } else if (ok) {
        ok = store_corrupt(counting->snapshot->txn, TABLE_FIELDS, err,
                           "field \"%.*s\": docid %u has not the long string it is entered under",
                           (int)counting->field_len, counting->field, wanted->docid);
    }
    json_release(fields);
    buf_done(&text);
    return ok;
}

static bool hand_out(struct counting *counting, struct arena *arena, struct facet *out,
                     struct error *err) {
    size_t n = counting->best_n < counting->limit ? counting->best_n : counting->limit;
    struct facet facet = counting->facet;
    facet.values = ARENA_ZERO(arena, struct facet_value, n);
    facet.values_n = n;
    for (size_t i = 0; i < n; i++) {
        const struct candidate *from = &counting->best[i];
        struct facet_value *to = &facet.values[i];
        *to = (struct facet_value){.kind = (enum field_kind)from->kind,
                                   .len = from->len,
                                   .documents_n = from->documents_n};
        if (from->kind != FIELD_LONG)
            to->bytes = (const uint8_t *)arena_text(arena, (const char *)from->bytes, from->len);
        else if (!read_long(counting, from, arena, to, err))
            return false;
    }
    *out = facet;
    return true;
}

bool facet_count(struct snapshot *snapshot, const char *field, size_t field_len, size_t limit,
                 const struct docid_set *allowed, struct arena *arena, struct facet *out,
                 struct error *err) {
    struct counting counting = {.snapshot = snapshot,
                                .allowed = allowed,
                                .field = field,
                                .field_len = field_len,
                                .limit = limit};
    if (limit == 0 || limit > FACET_LIMIT_MAX)
        return error_set(err, ERROR_LIMIT, "facets: %zu values; 1 to %d are possible", limit,
                         FACET_LIMIT_MAX);
    counting.best = mem_alloc(2 * limit, sizeof *counting.best);
    bool ok = fields_each(snapshot, field, field_len, count_entry, &counting, err);
    if (ok) {
        end_value(&counting);
        keep_best(&counting);
        ok = hand_out(&counting, arena, out, err);
    }
    free(counting.best);
    return ok;
}

struct json *facet_value_json(const struct facet_value *value) {
    struct json *json = value->kind == FIELD_LONG
                            ? json_new_string((const char *)value->bytes, value->len)
                            : field_value_json(value->kind, value->bytes, value->len);
    return json ? json : json_new_null(); /* a damaged key: check tells */
}
