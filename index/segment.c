#include "index/segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

/* A segment's value: docs/disk-format.md, "segments". */
enum {
    AT_BEGIN = 0,
    AT_END = 4,
    AT_DOCS_N = 8,
    AT_DEAD_N = 12,
    AT_POSTINGS_N = 16,
    AT_LENGTH_SUM = 24,
    AT_TOMBSTONES = 32,
};

uint64_t segment_length_units(float length) {
    return (uint64_t)llrintf(length * SEGMENT_LENGTH_UNIT);
}

/* ---- the list ---- */

void segments_done(struct segments *segments) {
    segments_remove(segments, 0, segments->n);
    free(segments->items);
    *segments = (struct segments){0};
}

void segments_push(struct segments *segments, struct segment segment) {
    if (segments->n == segments->cap) {
        segments->cap = segments->cap ? 2 * segments->cap : 16;
        segments->items = mem_realloc(segments->items, segments->cap, sizeof segment);
    }
    segments->items[segments->n++] = segment;
}

void segments_insert(struct segments *segments, size_t at, struct segment segment) {
    segments_push(segments, segment);
    memmove(segments->items + at + 1, segments->items + at,
            (segments->n - 1 - at) * sizeof *segments->items);
    segments->items[at] = segment;
}

void segments_remove(struct segments *segments, size_t first, size_t n) {
    for (size_t i = first; i < first + n; i++)
        roaring_bitmap_free(segments->items[i].tombstones);
    if (n > 0)
        memmove(segments->items + first, segments->items + first + n,
                (segments->n - first - n) * sizeof *segments->items);
    segments->n -= n;
}

struct segment *segments_find(const struct segments *segments, uint32_t docid) {
    size_t low = 0, high = segments->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct segment *segment = &segments->items[middle];
        if (docid < segment->docid_begin)
            high = middle;
        else if (docid >= segment->docid_end)
            low = middle + 1;
        else
            return segment;
    }
    return NULL;
}

bool segments_is_live(const struct segments *segments, uint32_t docid) {
    const struct segment *segment = segments_find(segments, docid);
    return segment && !roaring_bitmap_contains(segment->tombstones, docid);
}

uint64_t segments_live_n(const struct segments *segments) {
    uint64_t n = 0;
    for (size_t i = 0; i < segments->n; i++)
        n += segments->items[i].docs_n - segments->items[i].dead_n;
    return n;
}

uint64_t segments_length_sum(const struct segments *segments) {
    uint64_t sum = 0;
    for (size_t i = 0; i < segments->n; i++)
        sum += segments->items[i].length_sum;
    return sum;
}

/* ---- reading and writing ---- */

static bool bitmap_within(const roaring_bitmap_t *bitmap, uint32_t begin, uint32_t end) {
    return roaring_bitmap_is_empty(bitmap) ||
           (roaring_bitmap_minimum(bitmap) >= begin && roaring_bitmap_maximum(bitmap) < end);
}

/* CRoaring checks lengths but trusts what is inside: the store's checksum stands before it. */
static bool segment_parse(struct bytes key, struct bytes value, struct segment *out) {
    const uint8_t *at = value.data;
    if (key.len != 4 || value.len < AT_TOMBSTONES)
        return false;
    struct segment segment = {
        .id = get_be32(key.data),
        .docid_begin = get_u32(at + AT_BEGIN),
        .docid_end = get_u32(at + AT_END),
        .docs_n = get_u32(at + AT_DOCS_N),
        .dead_n = get_u32(at + AT_DEAD_N),
        .postings_n = get_u64(at + AT_POSTINGS_N),
        .length_sum = get_u64(at + AT_LENGTH_SUM),
    };
    if (segment.docid_begin >= segment.docid_end || segment.dead_n > segment.docs_n ||
        segment.docs_n > segment.docid_end - segment.docid_begin)
        return false;
    const char *bitmap = (const char *)at + AT_TOMBSTONES;
    size_t bitmap_len = value.len - AT_TOMBSTONES;
    if (roaring_bitmap_portable_deserialize_size(bitmap, bitmap_len) != bitmap_len)
        return false;
    segment.tombstones = roaring_bitmap_portable_deserialize_safe(bitmap, bitmap_len);
    if (!segment.tombstones)
        return false;
    if (!bitmap_within(segment.tombstones, segment.docid_begin, segment.docid_end)) {
        roaring_bitmap_free(segment.tombstones);
        return false;
    }
    *out = segment;
    return true;
}

static int by_docid(const void *a, const void *b) {
    uint32_t x = ((const struct segment *)a)->docid_begin;
    uint32_t y = ((const struct segment *)b)->docid_begin;
    return x < y ? -1 : x > y;
}

bool segments_read(struct store_txn *txn, struct segments *out, struct error *err) {
    struct segments segments = {0};
    struct store_cursor cursor = {0};
    bool ok = store_cursor_open(txn, TABLE_SEGMENTS, NULL, 0, &cursor, err);
    while (ok && cursor.key.data) {
        struct segment segment = {0};
        ok = segment_parse(cursor.key, cursor.value, &segment) ||
             store_corrupt(txn, TABLE_SEGMENTS, err, "segment %u: bad length or range",
                           cursor.key.len == 4 ? get_be32(cursor.key.data) : 0);
        if (ok) {
            segments_push(&segments, segment);
            ok = store_cursor_next(&cursor, err);
        }
    }
    store_cursor_close(&cursor);
    if (segments.n > 1)
        qsort(segments.items, segments.n, sizeof *segments.items, by_docid);
    for (size_t i = 1; ok && i < segments.n; i++)
        ok = segments.items[i - 1].docid_end <= segments.items[i].docid_begin ||
             store_corrupt(txn, TABLE_SEGMENTS, err, "segments %u and %u overlap",
                           segments.items[i - 1].id, segments.items[i].id);
    if (ok)
        *out = segments;
    else
        segments_done(&segments);
    return ok;
}

bool segment_write(struct store_txn *txn, const struct segment *segment, struct error *err) {
    roaring_bitmap_run_optimize(segment->tombstones); /* docids of one update are neighbours */
    size_t len = AT_TOMBSTONES + roaring_bitmap_portable_size_in_bytes(segment->tombstones);
    char *value = mem_zalloc(len, 1);
    memcpy(value + AT_BEGIN, &segment->docid_begin, 4);
    memcpy(value + AT_END, &segment->docid_end, 4);
    memcpy(value + AT_DOCS_N, &segment->docs_n, 4);
    memcpy(value + AT_DEAD_N, &segment->dead_n, 4);
    memcpy(value + AT_POSTINGS_N, &segment->postings_n, 8);
    memcpy(value + AT_LENGTH_SUM, &segment->length_sum, 8);
    roaring_bitmap_portable_serialize(segment->tombstones, value + AT_TOMBSTONES);
    bool ok = store_put_u32(txn, TABLE_SEGMENTS, segment->id, value, len, err);
    free(value);
    return ok;
}

/* ---- when to merge ---- */

/* floor(log_8 docs_n) */
static unsigned tier_of(uint64_t docs_n) {
    unsigned tier = 0;
    while (docs_n >= SEGMENT_FANOUT) {
        docs_n /= SEGMENT_FANOUT;
        tier++;
    }
    return tier;
}

size_t segments_merge_n(const struct segments *segments, size_t begin, size_t end) {
    size_t taken = 1;
    uint64_t size = segments->items[end - 1].docs_n;
    for (;;) {
        /* The segments before it not above its tier. Taken together when they fill the tier, or
         * when one of them is below it: small ones must not be buried under large ones. */
        unsigned tier = tier_of(size);
        size_t more = taken;
        uint64_t sum = size;
        bool below = false;
        while (more < end - begin) {
            const struct segment *older = &segments->items[end - 1 - more];
            if (tier_of(older->docs_n) > tier)
                break;
            below = below || tier_of(older->docs_n) < tier;
            sum += older->docs_n;
            more++;
        }
        if (more == taken || (!below && more - taken < SEGMENT_FANOUT - 1))
            return taken > 1 ? taken : 0;
        taken = more;
        size = sum;
    }
}
