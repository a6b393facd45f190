/* Puts, deletes and commits.
 *
 * One LMDB write transaction holds everything since the last commit. Keys, texts and forward rows
 * go into it at once; postings gather in memory and become a segment at the commit (or earlier,
 * when there are too many: still in the same transaction, so still all or nothing). */
#include "index/writer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/documents.h"
#include "index/fields/fields.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/merges.h"
#include "index/passages.h"
#include "index/record.h"

enum {
    /* Postings held in memory, 16 bytes each: 64 MiB, some 30,000 documents. */
    FRESH_MAX = 4 << 20,
    /* Field values held in memory: some 300,000, and half of what postings may take. */
    FIELDS_BYTES_MAX = 32 << 20,
    /* Merging between commits: so much at a time, some 20 ms, and then its own commit. */
    IDLE_WORK = 8 << 20,
};

struct writer {
    struct index *index;
    struct store_txn *txn; /* NULL: nothing since the last commit */
    struct documents_writer *documents;
    bool loaded;              /* state and segments are those of the newest commit, or the txn's */
    struct index_state state; /* as this transaction leaves it */
    struct index_state state_before;
    struct segments segments;
    struct merges merges; /* of the same moment */
    size_t work;          /* of the lists written since the transaction began */
    size_t slice_work;    /* what a commit merges; 0, but in tests: as merges.h says */

    /* Documents since the transaction began or fresh postings were last written. */
    struct fresh fresh;
    size_t fresh_max;     /* written out early beyond this; FRESH_MAX but in tests */
    uint32_t fresh_begin; /* docids [fresh_begin, state.docid_next) */
    uint64_t fresh_length_sum;

    bool changed;   /* a put, delete or word since the transaction began */
    uint32_t *lost; /* [lost_n] terms of documents that died in older segments (BM25) */
    size_t lost_n, lost_cap;

    struct fields_batch fields; /* values to enter and to strike out */
    struct buf buried_fields;   /* scratch */

    bool broken; /* the batch was lost to `why`; said again until writer_commit */
    struct error why;
};

/* ---- open, close, begin, give up ---- */

bool writer_open(struct index *index, struct writer **out, struct error *err) {
    if (!store_is_writable(index->store))
        return error_set(err, ERROR_INVALID,
                         "%s: opened for reading only, or its lock was given back", index->folder);
    if (atomic_exchange(&index->writing, true))
        return error_set(err, ERROR_BUSY, "%s: a writer is open already", index->folder);
    struct writer *writer = mem_zalloc(1, sizeof *writer);
    writer->index = index;
    writer->documents = documents_writer_new();
    writer->fresh_max = FRESH_MAX;
    writer->fresh.dead = roaring_bitmap_create();
    *out = writer;
    return true;
}

struct index *writer_index(const struct writer *writer) {
    return writer->index;
}

void writer_limit_postings(struct writer *writer, size_t postings_n) {
    writer->fresh_max = postings_n;
}

void writer_limit_merging(struct writer *writer, size_t work) {
    writer->slice_work = work;
}

static void fresh_clear(struct writer *writer) {
    writer->fresh.n = 0;
    writer->fresh.dead_n = 0;
    roaring_bitmap_clear(writer->fresh.dead);
    writer->fresh_begin = writer->state.docid_next;
    writer->fresh_length_sum = 0;
    writer->lost_n = 0;
}

/* Drops what was not committed; state and segments are read again when needed. */
static void forget(struct writer *writer) {
    store_abort(writer->txn);
    writer->txn = NULL;
    writer->loaded = false;
    segments_done(&writer->segments);
    merges_done(&writer->merges);
    fresh_clear(writer);
    fields_clear(&writer->fields);
}

void writer_close(struct writer *writer) {
    if (!writer)
        return;
    forget(writer);
    documents_writer_free(writer->documents);
    roaring_bitmap_free(writer->fresh.dead);
    free(writer->fresh.items);
    free(writer->fresh.spare);
    free(writer->lost);
    fields_done(&writer->fields);
    buf_done(&writer->buried_fields);
    atomic_store(&writer->index->writing, false);
    free(writer);
}

/* The one thing that somebody else may have committed meanwhile (index_tend). */
static bool read_generation(struct writer *writer, struct error *err) {
    struct index_state state;
    if (!index_state_read(writer->txn, &state, err))
        return false;
    writer->state.generation_number = state.generation_number;
    writer->state.generation_covered_end = state.generation_covered_end;
    writer->state.generation_rows_n = state.generation_rows_n;
    return true;
}

bool writer_rest(struct writer *writer, struct error *err) {
    if (writer->txn && writer->changed)
        return error_set(err, ERROR_INVALID, "commit before a dense generation is built");
    if (writer->txn)
        forget(writer);
    return true;
}

static bool writer_begin(struct writer *writer, struct error *err) {
    if (writer->broken) {
        *err = writer->why;
        return error_wrap(err, "everything since the last commit was dropped: ");
    }
    if (writer->txn)
        return true;
    if (!store_begin_write(writer->index->store, &writer->txn, err))
        return false;
    if (!writer->loaded) {
        if (!index_state_read(writer->txn, &writer->state, err) ||
            !segments_read(writer->txn, &writer->segments, err) ||
            !merges_read(writer->txn, &writer->segments, &writer->merges, err)) {
            forget(writer);
            return false;
        }
        writer->loaded = true;
    }
    if (!read_generation(writer, err)) {
        forget(writer);
        return false;
    }
    writer->state_before = writer->state;
    writer->changed = false;
    writer->work = 0;
    fresh_clear(writer);
    return true;
}

/* A change failed half-way: what the transaction holds is no whole batch any more. */
bool writer_give_up(struct writer *writer, const struct error *err) {
    writer->broken = true;
    writer->why = *err;
    forget(writer);
    return false;
}

struct store_txn *writer_txn(struct writer *writer, struct error *err) {
    return writer_begin(writer, err) ? writer->txn : NULL;
}

void writer_note_change(struct writer *writer) {
    writer->changed = true;
}

/* ---- what a document's death takes with it ---- */

static void push_lost(struct writer *writer, uint32_t term) {
    if (writer->lost_n == writer->lost_cap) {
        writer->lost_cap = writer->lost_cap ? 2 * writer->lost_cap : 4096;
        writer->lost = mem_realloc(writer->lost, writer->lost_cap, sizeof term);
    }
    writer->lost[writer->lost_n++] = term;
}

/* Entombs a docid: in its segment, or among the fresh. */
static bool entomb(struct writer *writer, uint32_t docid, const struct sparse_row *row,
                   struct error *err) {
    if (docid >= writer->fresh_begin) { /* its postings were never written or counted */
        roaring_bitmap_add(writer->fresh.dead, docid);
        writer->fresh.dead_n++;
        writer->fresh_length_sum -= segment_length_units(row->length);
        return true;
    }
    struct segment *segment = segments_find(&writer->segments, docid);
    uint64_t units = segment_length_units(row->length);
    if (!segment || roaring_bitmap_contains(segment->tombstones, docid) ||
        segment->dead_n >= segment->docs_n || segment->length_sum < units)
        return store_corrupt(writer->txn, TABLE_SEGMENTS, err,
                             "docid %u: a key names it, its segment counts it as dead", docid);
    roaring_bitmap_add(segment->tombstones, docid);
    segment->dead_n++;
    segment->length_sum -= units;
    segment->dirty = true;
    if (writer->index->settings.lexical == INDEX_LEXICAL_BM25)
        for (size_t i = 0; i < row->n; i++)
            push_lost(writer, get_u32(row->ids + 4 * i));
    return true;
}

static bool count_passages_out(struct writer *writer, uint32_t docid, struct error *err) {
    struct passages passages = {.n = 1};
    if (writer->index->settings.chunk_tokens > 0 &&
        !passages_get(writer->txn, docid, &passages, err))
        return false;
    if (writer->state.passages_n < passages.n)
        return store_corrupt(writer->txn, TABLE_META, err,
                             "\"state\": %u passages, docid %u has %u", writer->state.passages_n,
                             docid, passages.n);
    writer->state.passages_n -= passages.n;
    return true;
}

static bool bury(struct writer *writer, uint32_t docid, struct error *err) {
    const struct index_settings *settings = &writer->index->settings;
    struct sparse_row row = {0};
    return (settings->lexical == INDEX_LEXICAL_NONE ||
            forward_sparse_row(writer->txn, docid, &row, err)) &&
           count_passages_out(writer, docid, err) &&
           document_fields(writer->txn, docid, &writer->buried_fields, err) &&
           fields_note(&writer->fields, docid, writer->buried_fields.data,
                       writer->buried_fields.len, true, err) &&
           entomb(writer, docid, &row, err) && forward_delete(writer->txn, settings, docid, err) &&
           store_delete_u32(writer->txn, TABLE_DOCUMENTS, docid, err);
}

/* ---- fresh postings become a segment ---- */

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool count_term(struct writer *writer, uint32_t term, uint32_t gained, uint32_t lost,
                       struct error *err) {
    struct bytes value;
    if (gained == lost)
        return true;
    if (!store_get_u32(writer->txn, TABLE_FREQUENCIES, term, &value, err))
        return false;
    uint64_t before = value.data && value.len == 4 ? get_u32(value.data) : 0;
    if ((value.data && value.len != 4) || before + gained < lost)
        return store_corrupt(writer->txn, TABLE_FREQUENCIES, err,
                             "term %u: %zu bytes saying %u, %u documents fewer now", term,
                             value.len, (unsigned)before, lost);
    uint32_t after = (uint32_t)(before + gained - lost);
    return after > 0 ? store_put_u32(writer->txn, TABLE_FREQUENCIES, term, &after, 4, err)
                     : store_delete_u32(writer->txn, TABLE_FREQUENCIES, term, err);
}

/* How many live documents hold each term: kept to the document, so that idf and with it every score
 * does not depend on which of the dead were already merged away. */
static bool count_terms(struct writer *writer, struct error *err) {
    const struct fresh *fresh = &writer->fresh;
    size_t f = 0, l = 0;
    if (writer->index->settings.lexical != INDEX_LEXICAL_BM25)
        return true;
    if (writer->lost_n > 0)
        qsort(writer->lost, writer->lost_n, sizeof *writer->lost, by_value);
    while (f < fresh->n || l < writer->lost_n) {
        uint32_t term = f < fresh->n ? fresh->items[f].term : UINT32_MAX;
        uint32_t gained = 0, lost = 0;
        if (l < writer->lost_n && writer->lost[l] < term)
            term = writer->lost[l];
        for (; f < fresh->n && fresh->items[f].term == term; f++)
            gained += fresh->dead_n == 0 ||
                      !roaring_bitmap_contains(fresh->dead, fresh->items[f].posting.docid);
        for (; l < writer->lost_n && writer->lost[l] == term; l++)
            lost++;
        if (!count_term(writer, term, gained, lost, err))
            return false;
    }
    return true;
}

/* The fresh postings as a segment. */
static bool write_segment(struct writer *writer, uint32_t live_n, struct error *err) {
    struct merge_totals totals;
    struct segment made = {
        .id = writer->state.segment_next,
        .docid_begin = writer->fresh_begin,
        .docid_end = writer->state.docid_next,
        .docs_n = live_n,
        .length_sum = writer->fresh_length_sum,
        .tombstones = roaring_bitmap_copy(writer->fresh.dead),
    };
    if (!merge_postings(writer->txn, made.id, NULL, 0, &writer->fresh, &totals, err))
        goto failed;
    made.postings_n = totals.postings_n;
    if (!segment_write(writer->txn, &made, err))
        goto failed;
    writer->work += totals.work;
    writer->state.segment_next++;
    segments_push(&writer->segments, made);
    return true;
failed:
    roaring_bitmap_free(made.tombstones);
    return false;
}

static bool write_fresh(struct writer *writer, struct error *err) {
    uint32_t live_n = writer->state.docid_next - writer->fresh_begin - writer->fresh.dead_n;
    if (writer->fresh_begin == writer->state.docid_next && writer->lost_n == 0)
        return true; /* nothing new */
    fresh_sort(&writer->fresh);
    if (!count_terms(writer, err) || (live_n > 0 && !write_segment(writer, live_n, err)))
        return false;
    fresh_clear(writer);
    return true;
}

/* A segment whose documents are all dead goes; one that is being merged goes when that is done. */
static bool write_tombstones(struct writer *writer, struct error *err) {
    struct segments *segments = &writer->segments;
    for (size_t i = segments->n; i-- > 0;) {
        struct segment *segment = &segments->items[i];
        if (segment->dead_n == segment->docs_n && !merges_has(&writer->merges, segment->id)) {
            if (!store_delete_u32(writer->txn, TABLE_SEGMENTS, segment->id, err))
                return false;
            merges_leave(&writer->merges, segment->id);
            segments_remove(segments, i, 1);
        } else if (segment->dirty) {
            if (!segment_write(writer->txn, segment, err))
                return false;
            segment->dirty = false;
        }
    }
    return true;
}

/* Merges on, and ends the transaction. */
static bool finish(struct writer *writer, size_t work, struct error *err) {
    bool ok =
        merges_run(writer->txn, &writer->merges, &writer->segments, &writer->state, work, err) &&
        merges_write(writer->txn, &writer->merges, err) &&
        (memcmp(&writer->state, &writer->state_before, sizeof writer->state) == 0 ||
         index_state_write(writer->txn, &writer->state, err));
    if (ok) {
        ok = store_commit(writer->txn, err);
        writer->txn = NULL;
    }
    if (!ok)
        forget(writer);
    return ok;
}

static size_t work_of_commit(const struct writer *writer) {
    size_t work = MERGES_FACTOR * writer->work;
    if (writer->slice_work > 0)
        return writer->slice_work;
    return work > MERGES_WORK_MIN ? work : MERGES_WORK_MIN;
}

bool writer_commit(struct writer *writer, struct error *err) {
    if (writer->broken) {
        *err = writer->why;
        writer->broken = false; /* said; a new batch may begin */
        return error_wrap(err, "everything since the last commit was dropped: ");
    }
    if (!writer->txn)
        return true;
    if (write_fresh(writer, err) && write_tombstones(writer, err) &&
        fields_write(writer->txn, &writer->fields, err))
        return finish(writer, writer->changed ? work_of_commit(writer) : 0, err);
    forget(writer);
    return false;
}

bool writer_merge(struct writer *writer, bool *more_out, struct error *err) {
    if (writer->txn && writer->changed)
        return error_set(err, ERROR_INVALID, "commit before segments are merged");
    if (!writer_begin(writer, err))
        return false;
    bool pending = merges_pending(&writer->merges, &writer->segments);
    if (pending && !finish(writer, IDLE_WORK, err))
        return false;
    if (!pending) { /* nothing was changed; and nobody waits with a transaction open */
        store_abort(writer->txn);
        writer->txn = NULL;
    }
    *more_out = pending && merges_pending(&writer->merges, &writer->segments);
    return true;
}

/* ---- put, delete, and what they ask ---- */

static void push_fresh(struct writer *writer, uint32_t docid, const struct record *record) {
    struct fresh *fresh = &writer->fresh;
    size_t n = record->sparse.n;
    if (fresh->cap - fresh->n < n) {
        while (fresh->cap - fresh->n < n)
            fresh->cap = fresh->cap ? 2 * fresh->cap : 4096;
        fresh->items = mem_realloc(fresh->items, fresh->cap, sizeof *fresh->items);
    }
    for (size_t i = 0; i < n; i++)
        fresh->items[fresh->n++] = (struct fresh_posting){
            .term = record->sparse.ids[i],
            .posting = {docid, record->sparse.weights[i], record->sparse_length},
        };
}

static bool put(struct writer *writer, const struct record *record, struct error *err) {
    const struct index_settings *settings = &writer->index->settings;
    struct key_entry before, entry = {writer->state.docid_next, record->content_hash};
    struct record_passage alone;
    size_t passages_n;
    bool found;
    record_passages(record, &alone, &passages_n);
    writer->changed = true;
    if (!key_get(writer->txn, record->key, record->key_len, &before, &found, err) ||
        (found && !bury(writer, before.docid, err)) ||
        !key_put(writer->txn, record->key, record->key_len, entry, err) ||
        !documents_append(writer->documents, writer->txn, entry.docid, record, err) ||
        !forward_append(writer->txn, settings, entry.docid, record, err))
        return false;
    writer->state.docid_next++;
    writer->state.passages_n += (uint32_t)passages_n;
    if (settings->lexical != INDEX_LEXICAL_NONE)
        push_fresh(writer, entry.docid, record);
    writer->fresh_length_sum += segment_length_units(record->sparse_length);
    return (writer->fresh.n < writer->fresh_max || write_fresh(writer, err)) &&
           (fields_batch_bytes(&writer->fields) < FIELDS_BYTES_MAX ||
            fields_write(writer->txn, &writer->fields, err));
}

bool writer_put(struct writer *writer, const struct record *record, struct error *err) {
    const struct index_settings *settings = &writer->index->settings;
    struct record fit = *record;
    if (!record_fits(settings, record, err) || !writer_begin(writer, err))
        return false;
    if (writer->state.docid_next == UINT32_MAX)
        return error_set(err, ERROR_LIMIT, "%s: all %u docids are used; ingest into a new index",
                         writer->index->folder, UINT32_MAX);
    if (writer->state.passages_n > UINT32_MAX - RECORD_PASSAGES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: it holds %u passages; ingest into a new index",
                         writer->index->folder, writer->state.passages_n);
    if (settings->lexical != INDEX_LEXICAL_BM25)
        fit.sparse_length = 0; /* nobody asks for it */
    if (!fields_note(&writer->fields, writer->state.docid_next, record->fields, record->fields_len,
                     false, err))
        return false;
    return put(writer, &fit, err) || writer_give_up(writer, err);
}

static bool delete_key(struct writer *writer, const char *key, size_t key_len, bool *found_out,
                       struct error *err) {
    struct key_entry entry;
    bool found;
    if (!key_get(writer->txn, key, key_len, &entry, &found, err) ||
        (found && (!bury(writer, entry.docid, err) ||
                   !store_delete(writer->txn, TABLE_KEYS, key, key_len, NULL, err))))
        return false;
    writer->changed = writer->changed || found;
    *found_out = found;
    return true;
}

bool writer_delete(struct writer *writer, const char *key, size_t key_len, bool *found_out,
                   struct error *err) {
    return writer_begin(writer, err) &&
           (delete_key(writer, key, key_len, found_out, err) || writer_give_up(writer, err));
}

bool writer_hash(struct writer *writer, const char *key, size_t key_len, uint64_t *hash_out) {
    struct error ignored;
    struct key_entry entry;
    bool found;
    if (!writer_begin(writer, &ignored) ||
        !key_get(writer->txn, key, key_len, &entry, &found, &ignored) || !found)
        return false;
    *hash_out = entry.content_hash;
    return true;
}

bool writer_term_id(struct writer *writer, const char *word, size_t word_len, uint32_t *id_out,
                    struct error *err) {
    bool found;
    if (word_len == 0 || word_len > WRITER_KEY_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a word of %zu bytes; 1 to %d are possible", word_len,
                         WRITER_KEY_BYTES_MAX);
    if (!writer_begin(writer, err))
        return false;
    uint32_t id = writer->state.term_next;
    if (!term_get(writer->txn, word, word_len, &id, &found, err))
        return writer_give_up(writer, err);
    if (!found) {
        if (id == UINT32_MAX)
            return error_set(err, ERROR_LIMIT, "%s: all %u term ids are used",
                             writer->index->folder, UINT32_MAX);
        if (!store_put(writer->txn, TABLE_TERMS, word, word_len, &id, sizeof id, err))
            return writer_give_up(writer, err);
        writer->state.term_next++;
        writer->changed = true;
    }
    *id_out = id;
    return true;
}

bool writer_name_generation(struct writer *writer, struct index_generation generation,
                            struct error *err) {
    if (writer->txn && writer->changed)
        return error_set(err, ERROR_INVALID, "commit before a dense generation is named");
    if (!writer_begin(writer, err))
        return false;
    writer->state.generation_number = generation.number;
    writer->state.generation_covered_end = generation.covered_end;
    writer->state.generation_rows_n = generation.rows_n;
    return writer_commit(writer, err);
}
