#include "index/care/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/file.h"
#include "index/care/check_fields.h"
#include "index/care/check_postings.h"
#include "index/dense/dense.h"
#include "index/dense/file.h"
#include "index/documents.h"
#include "index/inside.h"
#include "index/multi/multivector.h"
#include "index/passages.h"

/* ---- telling ---- */

void check_problem(struct check *check, const char *format, ...) {
    char what[ERROR_MESSAGE_MAX];
    va_list args;
    check->totals.problems_n++;
    if (check->told_n++ >= CHECK_TOLD_MAX || !check->listener->problem)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    check->listener->problem(check->listener->context, what);
}

bool check_took(struct check *check, bool ok, const struct error *err) {
    if (!ok && err->code == ERROR_CORRUPT)
        check_problem(check, "%s", err->message);
    return ok || err->code == ERROR_CORRUPT;
}

/* A value with a wrong checksum is told, and passed over: it has no data. */
static bool check_step(struct check *check, bool ok, const struct store_cursor *cursor,
                       const struct error *err) {
    return ok || (cursor->key.data && check_took(check, false, err));
}

bool check_each(struct check *check, enum store_table table,
                bool (*visit)(struct check *check, struct bytes key, struct bytes value,
                              struct error *err),
                struct error *err) {
    struct store_cursor cursor = {0};
    check->told_n = 0;
    bool ok = check_step(
        check, store_cursor_open(check->snapshot->txn, table, NULL, 0, &cursor, err), &cursor, err);
    while (ok && cursor.key.data)
        ok = (!cursor.value.data || visit(check, cursor.key, cursor.value, err)) &&
             check_step(check, store_cursor_next(&cursor, err), &cursor, err);
    store_cursor_close(&cursor);
    return ok;
}

/* The docid of a row's key; false, and told, when it is none or its document is dead. */
static bool live_docid(struct check *check, enum store_table table, struct bytes key,
                       uint32_t *out) {
    if (key.len != 4) {
        check_problem(check, "table %s: a key of %zu bytes, 4 expected", store_table_name(table),
                      key.len);
        return false;
    }
    *out = get_be32(key.data);
    if (snapshot_is_live(check->snapshot, *out))
        return true;
    check_problem(check, "table %s: docid %u: a row, but no living document",
                  store_table_name(table), *out);
    return false;
}

/* Every living document must have a row. rows: the docids that have one. */
static void all_have(struct check *check, enum store_table table, const roaring_bitmap_t *rows) {
    const struct segments *segments = &check->snapshot->published->segments;
    for (size_t i = 0; i < segments->n; i++) {
        const struct segment *segment = &segments->items[i];
        roaring_bitmap_t *missing =
            roaring_bitmap_from_range(segment->docid_begin, segment->docid_end, 1);
        roaring_bitmap_andnot_inplace(missing, segment->tombstones);
        roaring_bitmap_andnot_inplace(missing, rows);
        if (!roaring_bitmap_is_empty(missing))
            check_problem(check, "table %s: no row of docid %u, and of %llu in all, of segment %u",
                          store_table_name(table), roaring_bitmap_minimum(missing),
                          (unsigned long long)roaring_bitmap_get_cardinality(missing), segment->id);
        roaring_bitmap_free(missing);
    }
}

/* ---- documents and keys ---- */

static bool check_document(struct check *check, struct bytes key, struct bytes value,
                           struct error *err) {
    uint32_t docid;
    struct document document;
    struct key_entry entry;
    bool found;
    (void)value;
    if (!live_docid(check, TABLE_DOCUMENTS, key, &docid))
        return true;
    roaring_bitmap_add(check->rows, docid);
    arena_reset(&check->arena);
    bool ok = document_get(check->snapshot, docid, &check->arena, &document, err);
    if (!ok)
        return check_took(check, false, err);
    if (!key_get(check->snapshot->txn, document.key, document.key_len, &entry, &found, err))
        return check_took(check, false, err);
    if (!found || entry.docid != docid)
        check_problem(check, "table documents: docid %u: its key \"%.100s\" %s", docid,
                      document.key, found ? "leads to another document" : "is not in table keys");
    else if (entry.content_hash != document.content_hash)
        check_problem(check, "table keys: \"%.100s\": another content hash than docid %u has",
                      document.key, docid);
    check_fields_add(check, docid, &document);
    check->totals.documents_n++;
    return true;
}

static bool check_key(struct check *check, struct bytes key, struct bytes value,
                      struct error *err) {
    (void)err;
    int shown = key.len < 100 ? (int)key.len : 100;
    if (value.len != 12)
        check_problem(check, "table keys: \"%.*s\": %zu bytes, 12 expected", shown,
                      (const char *)key.data, value.len);
    else if (!roaring_bitmap_contains(check->rows, get_u32(value.data)))
        check_problem(check, "table keys: \"%.*s\" leads to docid %u, which is no document", shown,
                      (const char *)key.data, get_u32(value.data));
    else if (!roaring_bitmap_add_checked(check->claimed, get_u32(value.data)))
        check_problem(check, "table keys: \"%.*s\" leads to docid %u, as another key does", shown,
                      (const char *)key.data, get_u32(value.data));
    return true;
}

/* ---- rows ---- */

/* Passages of a docid; a damaged entry has been told already. */
static size_t passages_of(struct check *check, uint32_t docid) {
    struct passages passages;
    struct error ignored;
    bool ok = passages_get(check->snapshot->txn, docid, &passages, &ignored);
    return ok ? passages.n : 1;
}

static bool check_passages(struct check *check, struct bytes key, struct bytes value,
                           struct error *err) {
    uint32_t docid;
    struct passages passages;
    size_t text_len;
    (void)value;
    if (!live_docid(check, TABLE_PASSAGES, key, &docid))
        return true;
    if (!passages_get(check->snapshot->txn, docid, &passages, err) ||
        !document_text_len(check->snapshot->txn, docid, &text_len, err))
        return check_took(check, false, err);
    check->passages_n += passages.n - 1;
    if (!passages_sound(&passages, text_len))
        check_problem(check, "table passages: docid %u: not within its text of %zu bytes", docid,
                      text_len);
    return true;
}

/* Each living document has one passage, or as many as the table says. */
static bool check_passages_n(struct check *check) {
    uint64_t n = snapshot_documents_n(check->snapshot) + check->passages_n;
    if (n != snapshot_passages_n(check->snapshot))
        check_problem(check, "table meta: \"state\" counts %llu passages, found %llu",
                      (unsigned long long)snapshot_passages_n(check->snapshot),
                      (unsigned long long)n);
    return true;
}

static bool check_dense(struct check *check, struct bytes key, struct bytes value,
                        struct error *err) {
    uint32_t docid, dim = check->index->settings.dense_dim;
    (void)err;
    if (!live_docid(check, TABLE_DENSE, key, &docid))
        return true;
    roaring_bitmap_add(check->rows, docid);
    size_t values_n = passages_of(check, docid) * (size_t)dim;
    if (value.len != 2 * values_n) {
        check_problem(check, "table dense: docid %u: %zu bytes, %zu expected", docid, value.len,
                      2 * values_n);
        return true;
    }
    for (size_t i = 0; i < values_n; i++) /* an exponent of ones: no number */
        if ((get_u16((const char *)value.data + 2 * i) & 0x7c00) == 0x7c00) {
            check_problem(check, "table dense: docid %u: value %zu is no number", docid, i);
            break;
        }
    return true;
}

static bool check_multi(struct check *check, struct bytes key, struct bytes value,
                        struct error *err) {
    uint32_t docid;
    struct multi_codes codes;
    const uint8_t *at = value.data, *end = at + value.len;
    if (!live_docid(check, TABLE_MULTI, key, &docid))
        return true;
    size_t n = passages_of(check, docid);
    for (size_t i = 0; i < n; i++)
        if (!multi_codes_next(&at, end, check->index->settings.multi_dim, &codes, err)) {
            check_problem(check, "table multi: docid %u, passage %zu: %s", docid, i, err->message);
            return true;
        }
    if (at != end)
        check_problem(check, "table multi: docid %u: codes of more passages than its %zu", docid,
                      n);
    return true;
}

static bool check_term(struct check *check, struct bytes key, struct bytes value,
                       struct error *err) {
    int shown = key.len < 100 ? (int)key.len : 100;
    (void)err;
    if (value.len != 4)
        check_problem(check, "table terms: \"%.*s\": %zu bytes, 4 expected", shown,
                      (const char *)key.data, value.len);
    else if (get_u32(value.data) >= check->snapshot->state.term_next)
        check_problem(check, "table terms: \"%.*s\": id %u was never given out", shown,
                      (const char *)key.data, get_u32(value.data));
    else if (!roaring_bitmap_add_checked(check->claimed, get_u32(value.data)))
        check_problem(check, "table terms: \"%.*s\": id %u is another word's too", shown,
                      (const char *)key.data, get_u32(value.data));
    return true;
}

/* Ids are given one after the other and words are never taken out. */
static bool check_terms(struct check *check, struct error *err) {
    uint64_t words_n, ids_n = check->snapshot->state.term_next;
    roaring_bitmap_clear(check->claimed);
    if (!check_each(check, TABLE_TERMS, check_term, err) ||
        !store_entries_n(check->snapshot->txn, TABLE_TERMS, &words_n, err))
        return false;
    if (words_n != ids_n)
        check_problem(check, "table terms: %llu words, but %llu ids were given out",
                      (unsigned long long)words_n, (unsigned long long)ids_n);
    return true;
}

static bool no_entry(struct check *check, struct bytes key, struct bytes value, struct error *err) {
    (void)key, (void)value, (void)err;
    check_problem(check, "a table that this index has no use for holds something");
    return true;
}

/* A table that the index has use for, or one that must be empty. Documents, dense and sparse rows
 * are what every living document has. */
static bool check_rows(struct check *check, enum store_table table, bool used,
                       bool (*visit)(struct check *check, struct bytes key, struct bytes value,
                                     struct error *err),
                       struct error *err) {
    roaring_bitmap_clear(check->rows);
    if (!used)
        return check_each(check, table, no_entry, err);
    if (!check_each(check, table, visit, err))
        return false;
    if (table == TABLE_DOCUMENTS || table == TABLE_DENSE || table == TABLE_SPARSE)
        all_have(check, table, check->rows);
    return true;
}

/* ---- the dense generation ---- */

/* Every living row below covered_end must be in the file's table, under the docid it is of. */
static bool places_sound(const struct dense_lists *lists) {
    uint32_t documents_n = 0;
    if (lists->firsts[0] != 0 || lists->firsts[lists->covered_end] != lists->rows_n)
        return false;
    for (uint32_t docid = 0; docid < lists->covered_end; docid++) {
        uint32_t begin = lists->firsts[docid], end = lists->firsts[docid + 1];
        if (begin > end || end > lists->rows_n)
            return false;
        documents_n += end > begin;
        for (uint32_t i = begin; i < end; i++)
            if (lists->places[i] >= lists->rows_n || lists->docids[lists->places[i]] != docid)
                return false;
    }
    return documents_n == lists->documents_n;
}

static void check_generation_docids(struct check *check, const struct dense_lists *lists,
                                    struct index_generation named) {
    roaring_bitmap_t *covered = roaring_bitmap_create();
    roaring_bitmap_add_many(covered, named.rows_n, lists->docids);
    if (!places_sound(lists) || roaring_bitmap_get_cardinality(covered) != lists->documents_n ||
        (named.rows_n > 0 && roaring_bitmap_maximum(covered) >= named.covered_end))
        check_problem(check, "dense generation %llu: rows of no docid, or beyond what it covers",
                      (unsigned long long)named.number);
    roaring_bitmap_t *missing = roaring_bitmap_copy(check->rows); /* of the dense table */
    if (named.covered_end < UINT32_MAX)
        roaring_bitmap_remove_range(missing, named.covered_end, UINT32_MAX);
    roaring_bitmap_andnot_inplace(missing, covered);
    if (!roaring_bitmap_is_empty(missing))
        check_problem(check, "dense generation %llu: lacks docid %u, and %llu in all",
                      (unsigned long long)named.number, roaring_bitmap_minimum(missing),
                      (unsigned long long)roaring_bitmap_get_cardinality(missing));
    roaring_bitmap_free(missing);
    roaring_bitmap_free(covered);
}

static bool check_generation(struct check *check, struct error *err) {
    struct index_generation named = snapshot_generation(check->snapshot);
    struct dense_index *dense = check->index->dense;
    struct buf path = {0};
    (void)err;
    check->told_n = 0;
    if (named.covered_end > check->snapshot->state.docid_next)
        check_problem(check, "table meta: generation %llu covers docids that were never given out",
                      (unsigned long long)named.number);
    if (named.number == 0 || !dense)
        return true;
    dense_path(dense, named.number, &path);
    struct dense_generation *generation =
        dense_usable(dense, named) ? dense_acquire(dense, named) : NULL;
    if (generation)
        check_generation_docids(check, &dense_generation_file(generation)->lists, named);
    else
        check_problem(check,
                      "%s: missing, damaged, or another generation than data.mdb names (searches "
                      "are right without it, and slower)",
                      path.data);
    dense_release(dense, generation);
    buf_done(&path);
    return true;
}

/* ---- all of it ---- */

static bool check_tables(struct check *check, struct error *err) {
    const struct index_settings *settings = &check->index->settings;
    return check_rows(check, TABLE_DOCUMENTS, true, check_document, err) &&
           check_fields_compare(check, err) && check_each(check, TABLE_KEYS, check_key, err) &&
           check_terms(check, err) &&
           check_rows(check, TABLE_PASSAGES, settings->chunk_tokens > 0, check_passages, err) &&
           check_passages_n(check) &&
           check_rows(check, TABLE_MULTI, settings->multi_dim > 0, check_multi, err) &&
           check_rows(check, TABLE_SPARSE, settings->lexical != INDEX_LEXICAL_NONE,
                      check_sparse_row, err) &&
           check_segments(check, err) &&
           check_rows(check, TABLE_FREQUENCIES, settings->lexical == INDEX_LEXICAL_BM25,
                      check_frequency, err) &&
           check_rows(check, TABLE_DENSE, settings->dense_dim > 0, check_dense, err) &&
           check_generation(check, err);
}

static bool check_opened(struct check *check, struct error *err) {
    check->rows = roaring_bitmap_create();
    check->claimed = roaring_bitmap_create();
    check_fields_begin(check);
    bool ok = check_tables(check, err);
    check_fields_done(check);
    roaring_bitmap_free(check->rows);
    roaring_bitmap_free(check->claimed);
    arena_done(&check->arena);
    return ok;
}

bool index_check(const char *folder, const struct check_listener *listener,
                 struct check_totals *out, struct error *err) {
    struct check check = {.listener = listener};
    bool ok = false;
    if (!index_exists(folder))
        return error_set(err, ERROR_NOT_FOUND, "%s: there is no index (no data.mdb)", folder);
    if (store_check_pages(folder, &check.totals.pages_n, err) &&
        index_open(folder, INDEX_READ, &check.index, err) &&
        snapshot_open(check.index, &check.snapshot, err))
        ok = check_opened(&check, err);
    snapshot_close(check.snapshot);
    index_close(check.index);
    if (!check_took(&check, ok, err))
        return false;
    *out = check.totals;
    return true;
}
