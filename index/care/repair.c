#include "index/care/repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "index/care/backup.h"
#include "index/documents.h"
#include "index/store/folder.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/passages.h"
#include "index/care/repair_words.h"

/* Documents to a commit: its pages lie in memory (writer.h). */
enum { BATCH = 4096 };

/* A document that is left out. */
struct loss {
    uint32_t docid;
    const char *key; /* NULL: not known; lies in the arena, as what does */
    const char *what;
};

struct repair {
    const struct repair_listener *listener;
    struct repair_totals totals;
    struct snapshot old; /* of its transaction and settings only: nothing else can be relied on */
    struct index old_index;
    struct index *made;
    struct writer *writer;
    struct repair_words words;
    roaring_bitmap_t *wordless; /* term ids in rows beyond every word that is left */
    roaring_bitmap_t *seen;     /* docids that have a record, whatever it is worth */
    struct loss *losses;
    size_t losses_n;
    struct arena kept, scratch; /* of losses; of the document at hand */
};

/* ---- losses ---- */

static void lose(struct repair *repair, uint32_t docid, const char *key, const char *what) {
    repair->losses = mem_realloc(repair->losses, repair->losses_n + 1, sizeof *repair->losses);
    repair->losses[repair->losses_n++] = (struct loss){
        .docid = docid,
        .key = key ? arena_text(&repair->kept, key, strlen(key)) : NULL,
        .what = arena_text(&repair->kept, what, strlen(what)),
    };
}

static int by_docid(const void *a, const void *b) {
    const struct loss *x = a, *y = b;
    return (x->docid > y->docid) - (x->docid < y->docid);
}

static bool name_loss(struct repair *repair, struct bytes key, struct bytes value) {
    struct loss wanted = {.docid = value.data && value.len >= 4 ? get_u32(value.data) : UINT32_MAX};
    struct loss *loss = repair->losses_n ? bsearch(&wanted, repair->losses, repair->losses_n,
                                                   sizeof wanted, by_docid)
                                         : NULL;
    if (loss && !loss->key)
        loss->key = arena_text(&repair->kept, key.data, key.len);
    return true;
}

/* Every entry of a table of the old index that can be read. */
static bool each(struct repair *repair, enum store_table table,
                 bool (*visit)(struct repair *repair, struct bytes key, struct bytes value),
                 struct error *err) {
    struct store_cursor cursor = {0};
    bool ok =
        repair_step(store_cursor_open(repair->old.txn, table, NULL, 0, &cursor, err), &cursor, err);
    while (ok && cursor.key.data)
        ok = visit(repair, cursor.key, cursor.value) &&
             repair_step(store_cursor_next(&cursor, err), &cursor, err);
    store_cursor_close(&cursor);
    return ok;
}

/* Another record of the same id was carried over: the document is not lost. */
static bool is_kept(struct repair *repair, const struct loss *loss) {
    uint64_t hash;
    return loss->key && writer_hash(repair->writer, loss->key, strlen(loss->key), &hash);
}

/* Keys still name documents whose record cannot be read. */
static bool tell_losses(struct repair *repair, struct error *err) {
    char what[ERROR_MESSAGE_MAX];
    if (repair->losses_n == 0)
        return true;
    qsort(repair->losses, repair->losses_n, sizeof *repair->losses, by_docid);
    if (!each(repair, TABLE_KEYS, name_loss, err))
        return false;
    for (size_t i = 0; i < repair->losses_n; i++) {
        const struct loss *loss = &repair->losses[i];
        bool kept = is_kept(repair, loss);
        repair->totals.lost_n += !kept;
        snprintf(what, sizeof what, "document \"%.100s\" (docid %u%s): %s",
                 loss->key ? loss->key : "?", loss->docid,
                 kept ? "; another record of it is kept" : "", loss->what);
        if (repair->listener->lost)
            repair->listener->lost(repair->listener->context, what);
    }
    return true;
}

/* ---- one document ---- */

/* Each fails with why the row cannot be read. */

static bool read_passages(struct repair *repair, uint32_t docid, struct record *record,
                          struct error *err) {
    struct record_passage *passages;
    size_t n;
    if (!passages_read(repair->old.txn, &repair->old_index.settings, docid, &repair->scratch,
                       &passages, &n, err))
        return false;
    if (n > 1) {
        record->passages = passages;
        record->passages_n = n;
        return true;
    }
    record->dense = passages->dense;
    record->multi_codes = passages->multi_codes;
    record->multi_codes_len = passages->multi_codes_len;
    return true;
}

static bool read_sparse(struct repair *repair, uint32_t docid, struct record *record,
                        struct error *err) {
    const struct repair_words *words = &repair->words;
    struct sparse_row row;
    size_t n = 0;
    if (repair->old_index.settings.lexical == INDEX_LEXICAL_NONE)
        return true;
    if (!forward_sparse_row(repair->old.txn, docid, &row, err))
        return false;
    uint32_t *ids = ARENA_NEW(&repair->scratch, uint32_t, row.n);
    float *weights = ARENA_NEW(&repair->scratch, float, row.n);
    for (size_t i = 0; i < row.n; i++) {
        uint32_t id = get_u32(row.ids + 4 * i);
        if (!words->none && id >= words->ids_n)
            roaring_bitmap_add(repair->wordless, id);
        if (!words->none)
            id = id < words->ids_n ? words->ids[id] : (uint32_t)REPAIR_NO_WORD;
        if (id == (uint32_t)REPAIR_NO_WORD) /* nobody can ask for it */
            continue;
        ids[n] = id;
        weights[n++] = get_f32(row.weights + 4 * i);
    }
    record->sparse = (struct sparse_vector){ids, weights, n};
    record->sparse_length = row.length;
    return true;
}

static bool read_document(struct repair *repair, uint32_t docid, struct record *record,
                          struct error *err) {
    struct document document;
    if (!document_get(&repair->old, docid, &repair->scratch, &document, err))
        return false;
    *record = (struct record){
        .key = document.key,
        .key_len = document.key_len,
        .title = document.title,
        .title_len = document.title_len,
        .text = document.text,
        .text_len = document.text_len,
        .fields = document.fields,
        .fields_len = document.fields_len,
        .content_hash = document.content_hash,
    };
    return read_passages(repair, docid, record, err) && read_sparse(repair, docid, record, err);
}

/* False: the new index cannot be written. What is wrong with the old one is a loss. */
static bool carry_over(struct repair *repair, uint32_t docid, struct error *err) {
    struct record record = {0};
    struct error why;
    uint64_t hash;
    arena_reset(&repair->scratch);
    if (!read_document(repair, docid, &record, &why)) {
        lose(repair, docid, record.key, why.message);
        return true;
    }
    if (writer_hash(repair->writer, record.key, record.key_len, &hash))
        lose(repair, docid, record.key, "an older record of the same id gave way");
    if (writer_put(repair->writer, &record, err)) {
        repair->totals.documents_n++;
        return true;
    }
    if (err->code != ERROR_INVALID && err->code != ERROR_LIMIT)
        return false;
    lose(repair, docid, record.key, err->message);
    return true;
}

/* ---- all of them ---- */

static bool note_seen(struct repair *repair, struct bytes key, struct bytes value) {
    (void)value;
    if (key.len == 4)
        roaring_bitmap_add(repair->seen, get_be32(key.data));
    return true;
}

static bool carry_over_all(struct repair *repair, struct error *err) {
    uint32_t since_commit = 0;
    bool ok = each(repair, TABLE_DOCUMENTS, note_seen, err);
    roaring_uint32_iterator_t *at = roaring_create_iterator(repair->seen);
    for (; ok && at->has_value; roaring_advance_uint32_iterator(at)) {
        ok = carry_over(repair, at->current_value, err);
        if (ok && ++since_commit % BATCH == 0)
            ok = writer_commit(repair->writer, err);
    }
    roaring_free_uint32_iterator(at);
    return ok && writer_commit(repair->writer, err);
}

/* ---- documents of which no record is left ---- */

/* docids without a record that some other table names, and those that two of them do: a single row
 * may be a stray, two are what is left of a document. */
struct traces {
    roaring_bitmap_t *one, *two;
};

static void note_trace(struct repair *repair, struct traces *traces, uint32_t docid) {
    if (!roaring_bitmap_contains(repair->seen, docid) &&
        !roaring_bitmap_add_checked(traces->one, docid))
        roaring_bitmap_add(traces->two, docid);
}

static bool find_traces(struct repair *repair, struct traces *traces, struct error *err) {
    static const enum store_table tables[] = {TABLE_KEYS, TABLE_DENSE, TABLE_SPARSE, TABLE_MULTI};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof tables / sizeof *tables; i++) {
        struct store_cursor cursor = {0};
        ok = repair_step(store_cursor_open(repair->old.txn, tables[i], NULL, 0, &cursor, err),
                         &cursor, err);
        while (ok && cursor.key.data) {
            if (tables[i] != TABLE_KEYS && cursor.key.len == 4)
                note_trace(repair, traces, get_be32(cursor.key.data));
            else if (tables[i] == TABLE_KEYS && cursor.value.data && cursor.value.len >= 4)
                note_trace(repair, traces, get_u32(cursor.value.data));
            ok = repair_step(store_cursor_next(&cursor, err), &cursor, err);
        }
        store_cursor_close(&cursor);
    }
    return ok;
}

static bool find_recordless(struct repair *repair, struct error *err) {
    const struct index_settings *settings = &repair->old_index.settings;
    struct traces traces = {roaring_bitmap_create(), roaring_bitmap_create()};
    bool keys_only = settings->dense_dim == 0 && settings->lexical == INDEX_LEXICAL_NONE;
    bool ok = find_traces(repair, &traces, err);
    roaring_uint32_iterator_t *at = roaring_create_iterator(keys_only ? traces.one : traces.two);
    for (; ok && at->has_value; roaring_advance_uint32_iterator(at))
        lose(repair, at->current_value, NULL, "table documents: no record of it");
    roaring_free_uint32_iterator(at);
    roaring_bitmap_free(traces.one);
    roaring_bitmap_free(traces.two);
    return ok;
}

/* ---- from the old folder to the new one ---- */

/* The dictionary's end was lost together with the state that tells how long it was. */
static void tell_wordless(struct repair *repair) {
    char what[ERROR_MESSAGE_MAX];
    uint64_t n = roaring_bitmap_get_cardinality(repair->wordless);
    if (n == 0)
        return;
    repair->totals.words_lost_n += n;
    snprintf(what, sizeof what, "%llu words more: documents hold their ids and nothing else does",
             (unsigned long long)n);
    if (repair->listener->lost)
        repair->listener->lost(repair->listener->context, what);
}

static bool write_new(struct repair *repair, struct error *err) {
    struct index_state state;
    struct error ignored;
    bool known = index_state_read(repair->old.txn, &state, &ignored);
    if (!repair_words(repair->old.txn, known ? state.term_next : 0, repair->writer,
                      repair->listener, &repair->totals.words_lost_n, &repair->words, err) ||
        !carry_over_all(repair, err) || !find_recordless(repair, err) || !tell_losses(repair, err))
        return false;
    tell_wordless(repair);
    return writer_build_dense(repair->writer, 0, err);
}

static bool make_new(struct repair *repair, const char *making, struct error *err) {
    if (!index_create(making, &repair->old_index.settings, &repair->made, err))
        return false;
    repair->seen = roaring_bitmap_create();
    repair->wordless = roaring_bitmap_create();
    bool ok = writer_open(repair->made, &repair->writer, err) && write_new(repair, err);
    writer_close(repair->writer);
    index_close(repair->made);
    repair_words_done(&repair->words);
    roaring_bitmap_free(repair->seen);
    roaring_bitmap_free(repair->wordless);
    free(repair->losses);
    arena_done(&repair->kept);
    arena_done(&repair->scratch);
    return ok;
}

/* With LMDB's pages damaged, too: what is whole in them. */
static bool open_old(struct repair *repair, const char *folder, struct store **out,
                     struct error *err) {
    struct error ignored;
    uint64_t pages_n;
    bool with_old;
    if (store_check_pages(folder, &pages_n, &ignored) &&
        store_open(folder, STORE_READ, out, &ignored)) {
        if (store_begin_read(*out, &repair->old.txn, err)) {
            store_be_lenient(repair->old.txn);
            return true;
        }
        store_close(*out);
        return false;
    }
    if (ignored.code == ERROR_BUSY ||
        !store_open_salvage(folder, out, &repair->old.txn, &with_old, err)) {
        *err = ignored.code == ERROR_BUSY ? ignored : *err;
        return false;
    }
    if (with_old && repair->listener->lost)
        repair->listener->lost(repair->listener->context,
                               "which pages are free cannot be read: documents that were deleted "
                               "lately may be back");
    return true;
}

static bool read_old(struct repair *repair, const char *folder, const char *making,
                     struct error *err) {
    struct store *store;
    if (!open_old(repair, folder, &store, err))
        return false;
    repair->old.index = &repair->old_index;
    bool ok = index_settings_read(repair->old.txn, &repair->old_index.settings, err)
                  ? make_new(repair, making, err)
                  : error_wrap(err, "cannot be repaired without its settings: ");
    store_abort(repair->old.txn);
    store_close(store);
    return ok;
}

/* Where anything was lost, the old file stays beside the new one. */
static bool keep_damaged(const struct repair *repair, const struct folder *folder,
                         struct error *err) {
    char from[PATH_MAX + 32], to[PATH_MAX + 32];
    if (repair->totals.lost_n + repair->totals.words_lost_n == 0)
        return true;
    snprintf(from, sizeof from, "%s/data.mdb", folder->target);
    snprintf(to, sizeof to, "%s/" FOLDER_DAMAGED, folder->making);
    return link(from, to) == 0 || error_set_errno(err, "%.200s", to);
}

static bool repair_into(struct repair *repair, struct folder *folder, struct error *err) {
    struct backup_totals totals;
    folder_release(folder);
    if (!read_old(repair, folder->target, folder->making, err) || !folder_retake(folder, err) ||
        !backup_verify(folder->making, folder->making, &totals, err) ||
        !keep_damaged(repair, folder, err) || !folder_place(folder, err))
        return false;
    repair->totals.documents_n = totals.documents_n;
    repair->totals.bytes = totals.bytes;
    return true;
}

bool index_repair(const char *folder, const struct repair_listener *listener,
                  struct repair_totals *out, struct error *err) {
    struct folder beside = {.lock = -1};
    struct repair *repair = mem_zalloc(1, sizeof *repair);
    int old_lock = -1;
    repair->listener = listener;
    bool ok = index_exists(folder) ||
              error_set(err, ERROR_NOT_FOUND, "%s: there is no index (no data.mdb)", folder);
    ok = ok && folder_begin(folder, true, &beside, err) &&
         folder_lock_target(&beside, &old_lock, err) && repair_into(repair, &beside, err);
    folder_end(&beside);
    if (old_lock >= 0)
        close(old_lock);
    if (ok)
        *out = repair->totals;
    free(repair);
    return ok;
}
