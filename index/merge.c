#include "index/merge.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { KEY_BYTES = 8 }; /* segment, term: both u32, big-endian */

static void make_key(uint8_t key[KEY_BYTES], uint32_t segment_id, uint32_t term) {
    put_be32(key, segment_id);
    put_be32(key + 4, term);
}

/* ---- sorting what is fresh ---- */

static void swap_with_spare(struct fresh *fresh) {
    struct fresh_posting *items = fresh->items;
    size_t cap = fresh->cap;
    fresh->items = fresh->spare;
    fresh->cap = fresh->spare_cap;
    fresh->spare = items;
    fresh->spare_cap = cap;
}

/* Least significant digit first, 11 bits a pass: stable, and linear where qsort took ten times as
 * long as the rest of a commit. A digit that all have in common (the highest, nearly always) takes
 * no pass. */
void fresh_sort(struct fresh *fresh) {
    enum { BITS = 11, DIGITS = 1 << BITS };
    if (fresh->spare_cap < fresh->n) {
        free(fresh->spare);
        fresh->spare_cap = fresh->cap;
        fresh->spare = mem_alloc(fresh->spare_cap, sizeof *fresh->spare);
    }
    for (unsigned shift = 0; fresh->n > 0 && shift < 32; shift += BITS) {
        const struct fresh_posting *from = fresh->items;
        size_t starts[DIGITS + 1] = {0};
        for (size_t i = 0; i < fresh->n; i++)
            starts[(from[i].term >> shift & (DIGITS - 1)) + 1]++;
        if (starts[(from[0].term >> shift & (DIGITS - 1)) + 1] == fresh->n)
            continue;
        for (size_t d = 0; d < DIGITS; d++)
            starts[d + 1] += starts[d];
        for (size_t i = 0; i < fresh->n; i++)
            fresh->spare[starts[from[i].term >> shift & (DIGITS - 1)]++] = from[i];
        swap_with_spare(fresh);
    }
}

/* ---- one older segment, term by term ---- */

struct source {
    const struct segment *segment;
    struct store_cursor cursor;
    uint32_t term;
    bool done;
};

static bool source_settle(struct source *source, struct error *err) {
    struct bytes key = source->cursor.key;
    if (key.data && key.len != KEY_BYTES)
        return store_corrupt(source->cursor.txn, TABLE_POSTINGS, err, "a key of %zu bytes",
                             key.len);
    source->done = !key.data || get_be32(key.data) != source->segment->id;
    if (!source->done)
        source->term = get_be32((const uint8_t *)key.data + 4);
    return true;
}

static bool source_open(struct store_txn *txn, const struct segment *segment, uint32_t term,
                        struct source *out, struct error *err) {
    uint8_t key[KEY_BYTES];
    make_key(key, segment->id, term);
    out->segment = segment;
    return store_cursor_open(txn, TABLE_POSTINGS, key, sizeof key, &out->cursor, err) &&
           source_settle(out, err);
}

/* ---- one term's list out of all ---- */

struct merge {
    struct store_txn *txn;
    struct source *sources; /* [sources_n], oldest first */
    size_t sources_n;
    const struct fresh *fresh;
    size_t fresh_at; /* the first fresh posting not merged yet */
    struct posting *postings;
    size_t n, cap;
    struct buf list;
    uint64_t postings_n;
    struct posting_context context; /* its first two: of the term under way */
    size_t work;                    /* bytes, about (merge.h) */
    bool amid;                      /* newer segments have lists already */
};

static void push(struct merge *merge, struct posting posting) {
    if (merge->n == merge->cap) {
        merge->cap = merge->cap ? 2 * merge->cap : 1024;
        merge->postings = mem_realloc(merge->postings, merge->cap, sizeof posting);
    }
    merge->postings[merge->n++] = posting;
}

static bool damaged(const struct source *source, struct error *err) {
    return store_corrupt(source->cursor.txn, TABLE_POSTINGS, err,
                         "segment %u, term %u: not a posting list", source->segment->id,
                         source->term);
}

static bool push_live(struct merge *merge, struct source *source, const struct posting_list *list,
                      struct error *err) {
    const struct segment *segment = source->segment;
    for (uint32_t b = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        if (!posting_list_block(list, b, &block))
            return damaged(source, err);
        for (uint32_t i = 0; i < block.n; i++) {
            struct posting posting = {
                .docid = posting_block_docid(&block, i),
                .weight = posting_block_weight(&block, i),
                .length = posting_block_length(&block, i),
            };
            if (merge->n > 0 && merge->postings[merge->n - 1].docid >= posting.docid)
                return damaged(source, err);
            if (segment->dead_n == 0 ||
                !roaring_bitmap_contains(segment->tombstones, posting.docid))
                push(merge, posting);
        }
    }
    return true;
}

/* The smallest term not merged yet; false: there is none. */
static bool next_term(const struct merge *merge, uint32_t *term_out, size_t *holders_n_out) {
    bool any = merge->fresh_at < merge->fresh->n;
    uint32_t term = any ? merge->fresh->items[merge->fresh_at].term : UINT32_MAX;
    size_t holders_n = any;
    for (size_t i = 0; i < merge->sources_n; i++) {
        const struct source *source = &merge->sources[i];
        if (source->done)
            continue;
        if (!any || source->term < term) {
            term = source->term;
            holders_n = 0;
        }
        any = true;
        holders_n += source->term == term;
    }
    *term_out = term;
    *holders_n_out = holders_n;
    return any;
}

static bool take_source(struct merge *merge, struct source *source, bool alone, struct error *err) {
    struct posting_list list;
    if (!store_cursor_refresh(&source->cursor, err))
        return false;
    if (!posting_list_open(source->cursor.value, &list))
        return damaged(source, err);
    if (alone && source->segment->dead_n == 0) { /* docids stay: the bytes are the new list */
        buf_append(&merge->list, source->cursor.value.data, source->cursor.value.len);
        merge->postings_n += list.n;
    } else if (!push_live(merge, source, &list, err)) {
        return false;
    }
    if (list.scale > merge->context.scale_min)
        merge->context.scale_min = list.scale;
    merge->context.rounded = merge->context.rounded || list.rounded;
    return store_cursor_next(&source->cursor, err) && source_settle(source, err);
}

static void take_fresh(struct merge *merge, uint32_t term) {
    const struct fresh *fresh = merge->fresh;
    for (; merge->fresh_at < fresh->n && fresh->items[merge->fresh_at].term == term;
         merge->fresh_at++) {
        struct posting posting = fresh->items[merge->fresh_at].posting;
        if (fresh->dead_n == 0 || !roaring_bitmap_contains(fresh->dead, posting.docid))
            push(merge, posting);
    }
}

static bool put_list(struct merge *merge, uint32_t id, uint32_t term, struct error *err) {
    uint8_t key[KEY_BYTES];
    void *value;
    make_key(key, id, term);
    if (merge->amid)
        return store_put(merge->txn, TABLE_POSTINGS, key, sizeof key, merge->list.data,
                         merge->list.len, err);
    if (!store_append(merge->txn, TABLE_POSTINGS, key, sizeof key, merge->list.len, &value, err))
        return false;
    memcpy(value, merge->list.data, merge->list.len);
    return true;
}

static bool merge_term(struct merge *merge, uint32_t id, uint32_t term, size_t holders_n,
                       struct error *err) {
    merge->n = 0;
    merge->context.scale_min = 0;
    merge->context.rounded = false;
    buf_clear(&merge->list);
    for (size_t i = 0; i < merge->sources_n; i++) {
        struct source *source = &merge->sources[i];
        if (!source->done && source->term == term &&
            !take_source(merge, source, holders_n == 1, err))
            return false;
    }
    take_fresh(merge, term);
    if (merge->n > 0)
        postings_encode(merge->postings, merge->n, &merge->context, &merge->list);
    merge->postings_n += merge->n;
    merge->work += MERGE_LIST_WORK + merge->list.len;
    if (merge->list.len == 0) /* all dead */
        return true;
    return put_list(merge, id, term, err);
}

static bool open_sources(struct merge *merge, const struct segment *olds, uint32_t term,
                         struct error *err) {
    merge->sources = mem_zalloc(merge->sources_n + 1, sizeof *merge->sources);
    for (size_t i = 0; i < merge->sources_n; i++)
        if (!source_open(merge->txn, &olds[i], term, &merge->sources[i], err))
            return false;
    return true;
}

static void merge_done(struct merge *merge) {
    for (size_t i = 0; i < merge->sources_n; i++)
        store_cursor_close(&merge->sources[i].cursor);
    free(merge->sources);
    free(merge->postings);
    buf_done(&merge->list);
}

/* The mean length of the documents that come together; 0: they have none. Each fresh document of
 * length L has term frequencies that add up to about L, and tf / L to 1. */
static double length_mean(const struct segment *olds, size_t olds_n, const struct fresh *fresh) {
    double lengths = 0, documents = 0;
    for (size_t i = 0; i < olds_n; i++) {
        lengths += (double)olds[i].length_sum / SEGMENT_LENGTH_UNIT;
        documents += olds[i].docs_n - olds[i].dead_n;
    }
    for (size_t i = 0; i < fresh->n; i++) {
        const struct posting *posting = &fresh->items[i].posting;
        if (!(posting->length > 0))
            continue;
        lengths += (double)posting->weight;
        documents += (double)posting->weight / (double)posting->length;
    }
    return documents > 0 ? lengths / documents : 0;
}

bool merge_postings(struct store_txn *txn, uint32_t id, const struct segment *olds, size_t olds_n,
                    const struct fresh *fresh, struct merge_totals *out, struct error *err) {
    struct merge merge = {.txn = txn, .fresh = fresh, .sources_n = olds_n};
    merge.context.length_mean = length_mean(olds, olds_n, fresh);
    uint32_t term;
    size_t holders_n;
    bool ok = open_sources(&merge, olds, 0, err);
    while (ok && next_term(&merge, &term, &holders_n))
        ok = merge_term(&merge, id, term, holders_n, err);
    merge_done(&merge);
    if (ok)
        *out = (struct merge_totals){.postings_n = merge.postings_n, .work = merge.work};
    return ok;
}

bool merge_slice(struct store_txn *txn, uint32_t id, const struct segment *olds, size_t olds_n,
                 struct merge_place *place, size_t *budget, struct error *err) {
    static const struct fresh none = {0};
    struct merge merge = {.txn = txn, .fresh = &none, .sources_n = olds_n, .amid = true};
    merge.context.length_mean = length_mean(olds, olds_n, &none);
    uint32_t term;
    size_t holders_n;
    bool ok = open_sources(&merge, olds, (uint32_t)place->term_next, err), more = true;
    while (ok && merge.work < *budget && (more = next_term(&merge, &term, &holders_n))) {
        ok = merge_term(&merge, id, term, holders_n, err);
        if (ok)
            place->term_next = (uint64_t)term + 1;
    }
    merge_done(&merge);
    if (ok && !more)
        place->term_next = MERGE_PLACE_END;
    place->postings_n += merge.postings_n;
    *budget -= merge.work < *budget ? merge.work : *budget;
    return ok;
}

bool merge_delete_postings(struct store_txn *txn, uint32_t segment_id, size_t *budget,
                           bool *done_out, struct error *err) {
    struct store_cursor cursor = {0};
    uint8_t key[KEY_BYTES];
    bool there = false;
    make_key(key, segment_id, 0);
    bool ok = store_cursor_open(txn, TABLE_POSTINGS, key, sizeof key, &cursor, err);
    while (ok && (there = cursor.key.data && get_be32(cursor.key.data) == segment_id) &&
           *budget > 0) {
        size_t work = MERGE_DELETED_LIST_WORK + cursor.value.len / MERGE_DELETED_BYTES;
        *budget -= work < *budget ? work : *budget;
        ok = store_cursor_delete(&cursor, err);
    }
    store_cursor_close(&cursor);
    if (ok)
        *done_out = !there;
    return ok;
}
