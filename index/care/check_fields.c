#include "index/care/check_fields.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "index/fields/fields.h"

enum { CHUNK_KEY_BYTES = 2, CONTAINER_BYTES = DOCID_CHUNK / 8, LIST_MAX = CONTAINER_BYTES / 2 };

void check_fields_begin(struct check *check) {
    const struct segments *segments = &check->snapshot->published->segments;
    struct check_fields *fields = mem_zalloc(1, sizeof *fields);
    for (size_t i = 0; i < segments->n; i++)
        fields->sums_n += segments->items[i].docid_end - segments->items[i].docid_begin;
    fields->sums = mem_zalloc(fields->sums_n + 1, sizeof *fields->sums);
    fields->read = roaring_bitmap_create();
    check->fields = fields;
}

void check_fields_done(struct check *check) {
    if (!check->fields)
        return;
    roaring_bitmap_free(check->fields->read);
    free(check->fields->sums);
    free(check->fields);
    check->fields = NULL;
}

/* Where a docid's sum lies; NULL: it is in no segment. */
static uint64_t *sum_of(const struct check *check, uint32_t docid) {
    const struct segments *segments = &check->snapshot->published->segments;
    size_t at = 0;
    for (size_t i = 0; i < segments->n; i++) {
        const struct segment *segment = &segments->items[i];
        if (docid >= segment->docid_begin && docid < segment->docid_end)
            return &check->fields->sums[at + (docid - segment->docid_begin)];
        at += segment->docid_end - segment->docid_begin;
    }
    return NULL;
}

void check_fields_add(struct check *check, uint32_t docid, const struct document *document) {
    struct error err;
    uint64_t sum;
    uint64_t *at = sum_of(check, docid);
    if (!fields_sum(document->fields, document->fields_len, &sum, &err)) {
        check_problem(check, "table documents: docid %u: %s", docid, err.message);
        return;
    }
    roaring_bitmap_add(check->fields->read, docid);
    if (at)
        *at += sum;
}

/* ---- the table ---- */

struct entry {
    struct check *check;
    const char *name; /* ends with a NUL: the key was checked */
    uint64_t hash;
    uint32_t first; /* docid of the chunk's begin */
    uint32_t dead_n;
};

static void take(struct entry *entry, uint32_t offset) {
    uint32_t docid = entry->first + offset;
    uint64_t *sum = sum_of(entry->check, docid);
    if (sum && snapshot_is_live(entry->check->snapshot, docid))
        *sum -= entry->hash;
    else if (entry->dead_n++ == 0)
        check_problem(entry->check,
                      "table fields: field \"%s\": lists docid %u, which is no living document",
                      entry->name, docid);
}

/* False: it is not how documents are written: too long a list, too few bits, out of order. */
static bool take_container(struct entry *entry, struct bytes value) {
    const uint8_t *at = value.data;
    uint32_t n = 0;
    if (value.len == CONTAINER_BYTES) {
        for (uint32_t i = 0; i < DOCID_CHUNK; i++)
            if (at[i / 8] >> (i % 8) & 1) {
                take(entry, i);
                n++;
            }
        return n >= LIST_MAX;
    }
    if (value.len == 0 || value.len > CONTAINER_BYTES || value.len % 2 != 0)
        return false;
    for (size_t i = 0; i < value.len; i += 2) {
        if (i > 0 && get_u16(at + i - 2) >= get_u16(at + i))
            return false;
        take(entry, get_u16(at + i));
    }
    return true;
}

static bool check_entry(struct check *check, struct bytes key, struct bytes value,
                        struct error *err) {
    const uint8_t *bytes = key.data;
    (void)err;
    if (!fields_key_valid(bytes, key.len)) {
        check_problem(check, "table fields: a key of %zu bytes that names no field and value",
                      key.len);
        return true;
    }
    size_t len = key.len - CHUNK_KEY_BYTES;
    struct entry entry = {.check = check,
                          .name = key.data,
                          .hash = fields_key_hash(bytes, len),
                          .first = (uint32_t)bytes[len] << 24 | (uint32_t)bytes[len + 1] << 16};
    if (!take_container(&entry, value))
        check_problem(check, "table fields: field \"%s\", docids from %u on: not a container",
                      entry.name, entry.first);
    return true;
}

bool check_fields_compare(struct check *check, struct error *err) {
    const struct segments *segments = &check->snapshot->published->segments;
    const uint64_t *sum = check->fields->sums;
    if (!check_each(check, TABLE_FIELDS, check_entry, err))
        return false;
    for (size_t i = 0; i < segments->n; i++)
        for (uint32_t docid = segments->items[i].docid_begin; docid < segments->items[i].docid_end;
             docid++, sum++)
            if (*sum != 0 && roaring_bitmap_contains(check->fields->read, docid))
                check_problem(check,
                              "table fields: the entries of docid %u are not those of its fields",
                              docid);
    return true;
}
