#include "index/care/check_postings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "index/forward.h"
#include "index/merges.h"
#include "index/sparse/postings.h"

enum { KEY_BYTES = 8 }; /* of postings: segment, term */

/* ---- sparse rows ---- */

bool check_sparse_row(struct check *check, struct bytes key, struct bytes value,
                      struct error *err) {
    struct sparse_row row;
    uint32_t docid = key.len == 4 ? get_be32(key.data) : 0;
    uint32_t terms_end = check->snapshot->state.term_next; /* 0: ids are a model's tokens */
    (void)value;
    if (key.len != 4 || !snapshot_is_live(check->snapshot, docid)) {
        check_problem(check, "table sparse: docid %u: a row, but no living document", docid);
        return true;
    }
    roaring_bitmap_add(check->rows, docid);
    if (!forward_sparse_row(check->snapshot->txn, docid, &row, err))
        return check_took(check, false, err);
    bool possible = row.length >= 0 && isfinite(row.length);
    for (size_t i = 0; possible && i < row.n; i++) {
        uint32_t id = get_u32(row.ids + 4 * i);
        float weight = get_f32(row.weights + 4 * i);
        possible = weight > 0 && isfinite(weight) && (terms_end == 0 || id < terms_end) &&
                   (i == 0 || get_u32(row.ids + 4 * (i - 1)) < id);
    }
    if (!possible)
        check_problem(check, "table sparse: docid %u: ids, weights or length that cannot be",
                      docid);
    return true;
}

/* ---- one segment: rows and postings must say the same ---- */

/* The scale of each term's list, by term id in pages: a byte a term, 0: no list. */
struct scales {
    uint8_t *pages[1 << 16];
};

struct part {
    struct check *check;
    const struct segment *segment;
    struct scales *scales;
    uint64_t *sums; /* [docids of the range]: hashes of row entries less those of postings */
    uint64_t length_sum, postings_n;
    uint32_t term; /* of the list under way */
    uint32_t live_n;
    uint8_t *table; /* of the list under way, made anew; [groups_n] */
};

static void set_scale(struct scales *scales, uint32_t term, uint8_t scale) {
    uint8_t **page = &scales->pages[term >> 16];
    if (!*page)
        *page = mem_zalloc(1 << 16, 1);
    (*page)[term & 0xffff] = scale;
}

static uint8_t scale_of(const struct scales *scales, uint32_t term) {
    const uint8_t *page = scales->pages[term >> 16];
    return page ? page[term & 0xffff] : 0;
}

static void scales_done(struct scales *scales) {
    for (size_t i = 0; i < sizeof scales->pages / sizeof *scales->pages; i++)
        free(scales->pages[i]);
    free(scales);
}

/* Sums of hashes do not depend on order: rows come by docid, postings by term. */
static uint64_t hash_of(uint32_t term, uint8_t code, float length) {
    const struct {
        uint32_t term, code;
        float length;
    } entry = {term, code, length};
    return XXH3_64bits(&entry, sizeof entry);
}

/* A row with a wrong checksum was told of before, and is passed over. */
static bool pass_over(bool ok, const struct store_cursor *cursor, const struct error *err) {
    return ok || (cursor->key.data && err->code == ERROR_CORRUPT);
}

/* The code that a row's weight must have in its list; 0: it cannot be there. */
static uint8_t code_of(const struct scales *scales, uint32_t term, float weight) {
    uint8_t scale = scale_of(scales, term);
    bool possible = weight > 0 && isfinite(weight) && scale >= posting_scale(weight);
    return possible ? posting_code(weight, scale) : 0;
}

static void add_row(struct part *part, uint32_t docid, const struct sparse_row *row) {
    uint64_t *sum = &part->sums[docid - part->segment->docid_begin];
    for (size_t i = 0; i < row->n; i++) {
        uint32_t term = get_u32(row->ids + 4 * i);
        *sum +=
            hash_of(term, code_of(part->scales, term, get_f32(row->weights + 4 * i)), row->length);
    }
    if (row->length >= 0 && isfinite(row->length))
        part->length_sum += segment_length_units(row->length);
}

static bool add_rows(struct part *part, struct error *err) {
    const struct segment *segment = part->segment;
    struct store_txn *txn = part->check->snapshot->txn;
    struct store_cursor cursor = {0};
    uint8_t key[4];
    put_be32(key, segment->docid_begin);
    bool ok = pass_over(store_cursor_open(txn, TABLE_SPARSE, key, sizeof key, &cursor, err),
                        &cursor, err);
    while (ok && cursor.key.len == 4 && get_be32(cursor.key.data) < segment->docid_end) {
        uint32_t docid = get_be32(cursor.key.data);
        struct sparse_row row;
        struct error told; /* by check_sparse_row */
        if (forward_sparse_row(txn, docid, &row, &told))
            add_row(part, docid, &row);
        ok = pass_over(store_cursor_next(&cursor, err), &cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

/* False: the block is damaged. *last: the docid before it in the list; -1: none. */
static bool take_block(struct part *part, const struct posting_list *list, uint32_t b,
                       int64_t *last) {
    const struct segment *segment = part->segment;
    struct posting_block block;
    if (!posting_list_block(list, b, &block))
        return false;
    for (uint32_t i = 0; i < block.n; i++) {
        uint32_t docid = posting_block_docid(&block, i);
        float weight = posting_block_weight(&block, i), length = posting_block_length(&block, i);
        uint32_t group = docid / POSTINGS_GROUP_N - list->group_first;
        if ((int64_t)docid <= *last || docid < segment->docid_begin ||
            docid >= segment->docid_end || block.codes[i] == 0 ||
            (block.codes[i] == 1 && !list->low) || !(length >= 0) ||
            (list->table && group >= list->groups_n))
            return false;
        *last = docid;
        if (list->table) {
            uint8_t code = posting_list_table_code(list, weight, length);
            part->table[group] = code > part->table[group] ? code : part->table[group];
        }
        if (segment->dead_n > 0 && roaring_bitmap_contains(segment->tombstones, docid))
            continue;
        part->live_n++;
        part->sums[docid - segment->docid_begin] -= hash_of(part->term, block.codes[i], length);
    }
    return posting_list_last(list, b) == (uint32_t)*last;
}

static bool take_blocks(struct part *part, const struct posting_list *list) {
    int64_t last = -1;
    bool ok = true;
    part->table = mem_zalloc(list->groups_n + 1, 1);
    for (uint32_t b = 0; ok && b < list->blocks_n; b++)
        ok = take_block(part, list, b, &last);
    ok = ok && (!list->table || memcmp(part->table, list->table, list->groups_n) == 0);
    free(part->table);
    return ok;
}

static bool take_list(struct part *part, struct bytes bytes, struct error *err) {
    struct check *check = part->check;
    struct posting_list list;
    struct bytes counted;
    part->live_n = 0;
    if (!posting_list_open(bytes, &list) || !take_blocks(part, &list)) {
        check_problem(check, "table postings: segment %u, term %u: not a posting list",
                      part->segment->id, part->term);
        return true;
    }
    set_scale(part->scales, part->term, list.scale);
    part->postings_n += list.n;
    if (check->index->settings.lexical != INDEX_LEXICAL_BM25 || part->live_n == 0)
        return true;
    if (!store_get_u32(check->snapshot->txn, TABLE_FREQUENCIES, part->term, &counted, err))
        return check_took(check, false, err);
    if (!counted.data)
        check_problem(check, "table frequencies: term %u is not counted", part->term);
    return true;
}

static bool take_postings(struct part *part, struct error *err) {
    struct store_cursor cursor = {0};
    uint8_t key[KEY_BYTES] = {0};
    put_be32(key, part->segment->id);
    bool ok = store_cursor_open(part->check->snapshot->txn, TABLE_POSTINGS, key, sizeof key,
                                &cursor, err);
    while (ok && cursor.key.len == KEY_BYTES && get_be32(cursor.key.data) == part->segment->id) {
        part->term = get_be32((const uint8_t *)cursor.key.data + 4);
        ok = take_list(part, cursor.value, err) && store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

static void compare(struct part *part) {
    const struct segment *segment = part->segment;
    struct check *check = part->check;
    for (uint32_t docid = segment->docid_begin; docid < segment->docid_end; docid++)
        if (part->sums[docid - segment->docid_begin] != 0)
            check_problem(check,
                          "table postings: segment %u: the postings of docid %u are not those of "
                          "its sparse row",
                          segment->id, docid);
    if (part->postings_n != segment->postings_n)
        check_problem(check, "table segments: %u: says %llu postings, has %llu", segment->id,
                      (unsigned long long)segment->postings_n,
                      (unsigned long long)part->postings_n);
    if (part->length_sum != segment->length_sum)
        check_problem(check, "table segments: %u: its documents' lengths do not add up",
                      segment->id);
    check->totals.postings_n += part->postings_n;
}

static bool check_part(struct check *check, const struct segment *segment, struct error *err) {
    size_t range = segment->docid_end - segment->docid_begin;
    struct part part = {.check = check, .segment = segment};
    part.sums = mem_zalloc(range, sizeof *part.sums);
    part.scales = mem_zalloc(1, sizeof *part.scales);
    bool ok = take_postings(&part, err) && add_rows(&part, err);
    if (ok)
        compare(&part);
    scales_done(part.scales);
    free(part.sums);
    return ok;
}

/* ---- all segments ---- */

static const struct segment *find(const struct segments *segments, uint32_t id) {
    for (size_t i = 0; i < segments->n; i++)
        if (segments->items[i].id == id)
            return &segments->items[i];
    return NULL;
}

/* Jumps from segment to segment through the postings' keys. What is being merged, or deleted, has
 * lists and no segment. */
static bool check_strangers(struct check *check, const struct merges *merges, struct error *err) {
    uint64_t next = 0;
    bool ok = true;
    while (ok && next <= UINT32_MAX) {
        struct store_cursor cursor = {0};
        uint8_t key[KEY_BYTES] = {0};
        put_be32(key, (uint32_t)next);
        ok = store_cursor_open(check->snapshot->txn, TABLE_POSTINGS, key, sizeof key, &cursor, err);
        bool more = ok && cursor.key.data;
        if (more && cursor.key.len != KEY_BYTES) {
            check_problem(check, "table postings: a key of %zu bytes, 8 expected", cursor.key.len);
            more = false;
        } else if (more) {
            uint32_t id = get_be32(cursor.key.data);
            next = (uint64_t)id + 1;
            if (!find(&check->snapshot->published->segments, id) && !merges_owns(merges, id))
                check_problem(check, "table postings: of segment %u, which there is not", id);
        }
        store_cursor_close(&cursor);
        if (!more)
            break;
    }
    return ok;
}

static void check_description(struct check *check, const struct segment *segment) {
    const struct index_state *state = &check->snapshot->state;
    uint64_t live = segment->docid_end - segment->docid_begin -
                    roaring_bitmap_get_cardinality(segment->tombstones);
    if (segment->id >= state->segment_next || segment->docid_end > state->docid_next)
        check_problem(check, "table segments: %u: an id or docids that were never given out",
                      segment->id);
    if (live != segment->docs_n - segment->dead_n)
        check_problem(check,
                      "table segments: %u: %llu docids without a tombstone, %u documents alive",
                      segment->id, (unsigned long long)live, segment->docs_n - segment->dead_n);
}

static bool check_merges(struct check *check, struct error *err) {
    struct merges merges;
    if (!merges_read(check->snapshot->txn, &check->snapshot->published->segments, &merges, err))
        return check_took(check, false, err);
    for (size_t i = 0; i < merges.n; i++)
        if (merges.items[i].id >= check->snapshot->state.segment_next)
            check_problem(check, "table meta: \"merge\": segment %u was never given out",
                          merges.items[i].id);
    bool ok = check_strangers(check, &merges, err);
    merges_done(&merges);
    return ok;
}

bool check_segments(struct check *check, struct error *err) {
    const struct segments *segments = &check->snapshot->published->segments;
    check->told_n = 0;
    for (size_t i = 0; i < segments->n; i++) {
        check_description(check, &segments->items[i]);
        if (check->index->settings.lexical != INDEX_LEXICAL_NONE &&
            !check_part(check, &segments->items[i], err))
            return false;
    }
    return check_merges(check, err);
}

/* ---- frequencies ---- */

static uint32_t live_postings(const struct posting_list *list, const struct segment *segment) {
    uint32_t n = 0;
    for (uint32_t b = 0; b < list->blocks_n; b++) {
        struct posting_block block;
        if (!posting_list_block(list, b, &block))
            return n; /* told by take_list */
        for (uint32_t i = 0; i < block.n; i++)
            n += !roaring_bitmap_contains(segment->tombstones, posting_block_docid(&block, i));
    }
    return n;
}

bool check_frequency(struct check *check, struct bytes key, struct bytes value, struct error *err) {
    const struct segments *segments = &check->snapshot->published->segments;
    uint32_t n = 0;
    if (key.len != 4 || value.len != 4) {
        check_problem(check, "table frequencies: a key of %zu bytes, a count of %zu, 4 expected",
                      key.len, value.len);
        return true;
    }
    uint32_t term = get_be32(key.data);
    for (size_t i = 0; i < segments->n; i++) {
        uint8_t at[KEY_BYTES];
        struct bytes bytes;
        struct posting_list list;
        put_be32(at, segments->items[i].id);
        put_be32(at + 4, term);
        if (!store_get(check->snapshot->txn, TABLE_POSTINGS, at, sizeof at, &bytes, err))
            return check_took(check, false, err);
        if (posting_list_open(bytes, &list))
            n += live_postings(&list, &segments->items[i]);
    }
    if (n != get_u32(value.data) || n == 0)
        check_problem(check, "table frequencies: term %u: says %u documents, %u hold it", term,
                      get_u32(value.data), n);
    return true;
}
