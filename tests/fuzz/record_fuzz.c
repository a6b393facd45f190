/* record_fuzz - what tables hold of a document: damage is told, or what is read lies in bounds.
 *
 * The first byte of an input chooses a table (enum value); then come damages to the values that a
 * writer wrote there for the documents of an index (or, when the second byte is odd, a value of its
 * own), which the store then gives a right checksum, as no accident does it. Every reader of that
 * table must refuse with ERROR_CORRUPT or hand out texts within their sizes, rows of the right
 * width and passages in their text; what was not damaged reads as it was. The transaction is never
 * committed. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/documents.h"
#include "index/fields/fields.h"
#include "index/fixture.h"
#include "index/forward.h"
#include "index/inside.h"
#include "index/merges.h"
#include "index/passages.h"
#include "index/representation.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS_N = 6, PATCHES_MAX = 8, INPUT_MAX = 4096, ROUNDS_A_TXN = 2000 };

static const enum store_table tables[] = {TABLE_DOCUMENTS, TABLE_DENSE,    TABLE_SPARSE,
                                          TABLE_MULTI,     TABLE_PASSAGES, TABLE_META,
                                          TABLE_KEYS,      TABLE_TERMS,    TABLE_FIELDS};
enum { TABLES_TRIED = sizeof tables / sizeof *tables };

/* The values of meta that a snapshot or a writer reads. */
static const char *const meta_names[] = {"state", "settings", "merge", "note"};

static struct index *index_of(void) {
    static struct index *index;
    if (index)
        return index;
    char folder[64];
    struct error err;
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    settings.chunk_tokens = 100;
    fixture_memory_folder(folder);
    bool ok = index_create(folder, &settings, &index, &err);
    struct writer *writer = fixture_writer(index);
    uint32_t id;
    unsigned long long seed = 7;
    for (uint32_t i = 0; ok && i < DOCUMENTS_N; i++) {
        struct fixture_record record;
        fixture_record(&seed, INDEX_LEXICAL_BM25, FIXTURE_VOCABULARY, i, &record);
        fixture_passages(&record, strlen(record.text));
        struct record view = fixture_view(&record);
        ok = writer_put(writer, &view, &err) && writer_term_id(writer, record.key, 5, &id, &err);
    }
    ok = ok && writer_commit(writer, &err);
    writer_close(writer);
    fixture_remove(folder); /* it lives on while it is open */
    assert(ok);
    return index;
}

/* A snapshot of what one transaction has changed. */
static struct snapshot *seen_of(void) {
    static struct snapshot own, *seen;
    static unsigned rounds_n;
    struct error err;
    bool ok = seen || snapshot_open(index_of(), &seen, &err);
    if (rounds_n++ % ROUNDS_A_TXN == 0) {
        store_abort(own.txn);
        own = *seen;
        ok = ok && store_begin_write(index_of()->store, &own.txn, &err);
    }
    assert(ok);
    return &own;
}

/* ---- reading ---- */

static void check_refusal(const struct error *err) {
    assert(err->code == ERROR_CORRUPT || err->code == ERROR_UNSUPPORTED ||
           err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID);
    assert(err->message[0] && strlen(err->message) < sizeof err->message);
}

static uint64_t touch(const void *bytes, size_t len) {
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += ((const uint8_t *)bytes)[i];
    return sum;
}

static void read_document(struct snapshot *snapshot, uint32_t docid, struct arena *arena) {
    struct document document;
    struct document_passage passage;
    struct bytes key;
    struct buf fields = {0};
    struct error err;
    size_t len;
    if (document_get(snapshot, docid, arena, &document, &err)) {
        assert(document.key[document.key_len] == 0 && document.text[document.text_len] == 0);
        touch(document.title, document.title_len);
        touch(document.fields, document.fields_len);
        bool ok = document_fields(snapshot->txn, docid, &fields, &err) &&
                  document_key(snapshot->txn, docid, &key, &err) &&
                  document_text_len(snapshot->txn, docid, &len, &err);
        assert(ok && len == document.text_len && key.len == document.key_len);
        assert(fields.len == document.fields_len &&
               (len = fields.len, len == 0 || memcmp(fields.data, document.fields, len) == 0));
        for (uint32_t i = 0; i < FIXTURE_PASSAGES_MAX; i++)
            if (document_passage(snapshot, docid, i, &passage, &err))
                assert(passage.begin <= passage.end && passage.end <= document.text_len &&
                       passage.index == i && i < passage.n);
    } else {
        check_refusal(&err);
        if (!document_fields(snapshot->txn, docid, &fields, &err))
            check_refusal(&err);
    }
    buf_done(&fields);
}

static void read_rows(struct snapshot *snapshot, uint32_t docid, struct arena *arena) {
    struct record_passage *passages;
    struct representation representation;
    struct error err;
    size_t n;
    if (representation_of(snapshot, docid, 7, arena, &representation, &err)) {
        touch(representation.dense, FIXTURE_DIM * sizeof *representation.dense);
        touch(representation.sparse.ids, 4 * representation.sparse.n);
        touch(representation.multi, (size_t)representation.multi_n * FIXTURE_DIM * 4);
        assert(representation.multi_n <= 7 && representation.multi_step >= 1);
    } else {
        check_refusal(&err);
    }
    if (passages_read(snapshot->txn, &snapshot->index->settings, docid, arena, &passages, &n,
                      &err)) {
        assert(n >= 1 && n <= RECORD_PASSAGES_MAX);
        for (size_t i = 0; i < n; i++) {
            touch(passages[i].dense, FIXTURE_DIM * sizeof *passages[i].dense);
            touch(passages[i].multi_codes, passages[i].multi_codes_len);
        }
    } else {
        check_refusal(&err);
    }
}

/* A search in each mode, and scores of the document that was damaged. */
static void search(struct snapshot *snapshot, uint32_t docid, struct arena *arena) {
    static const float vector[FIXTURE_DIM] = {.5f, -.25f, .125f, 0, 1, -1, .75f, .3f};
    static const uint32_t ids[] = {0, 1, 2, 5, 9, 20};
    static const float weights[] = {1, 2, 3, 1, 2, 3};
    const struct sparse_vector sparse = {ids, weights, 6};
    struct scored_list list;
    struct error err;
    float score;
    uint32_t best[1];
    bool ok[] = {
        sparse_search(snapshot, &sparse, 4, NULL, arena, &list, &err),
        dense_search(snapshot, vector, 4, true, NULL, arena, &list, &err),
        multi_search(snapshot, vector, 1, 4, NULL, arena, &list, &err),
        sparse_score(snapshot, &sparse, &docid, 1, arena, &score, &err),
        dense_score(snapshot, vector, &docid, 1, &score, &err),
        multi_score(snapshot, vector, 1, &docid, 1, arena, &score, &err),
        multi_best_passages(snapshot, vector, 1, &docid, 1, arena, NULL, best, &err),
    };
    for (size_t i = 0; i < sizeof ok / sizeof *ok; i++)
        if (!ok[i])
            check_refusal(&err);
}

static void read_meta(struct snapshot *snapshot) {
    struct index_state state;
    struct index_settings settings;
    struct merges merges;
    struct buf note = {0};
    struct error err;
    if (!index_state_read(snapshot->txn, &state, &err))
        check_refusal(&err);
    if (!index_settings_read(snapshot->txn, &settings, &err))
        check_refusal(&err);
    else
        assert(memchr(settings.model, 0, sizeof settings.model) &&
               memchr(settings.instruction, 0, sizeof settings.instruction));
    if (merges_read(snapshot->txn, &snapshot->published->segments, &merges, &err))
        merges_done(&merges);
    else
        check_refusal(&err);
    if (!snapshot_note(snapshot, "note", &note, &err))
        check_refusal(&err);
    buf_done(&note);
}

/* ---- damage ---- */

static size_t key_of(struct snapshot *snapshot, enum store_table table, uint32_t which,
                     uint8_t key[64]) {
    struct store_cursor cursor;
    struct error err;
    put_be32(key, which);
    if (table == TABLE_META)
        return (size_t)snprintf((char *)key, 64, "%s", meta_names[which % 4]);
    if (table == TABLE_KEYS || table == TABLE_TERMS)
        return (size_t)snprintf((char *)key, 64, "doc-%u", which);
    if (table != TABLE_FIELDS)
        return 4;
    bool ok = store_cursor_open(snapshot->txn, table, NULL, 0, &cursor, &err);
    for (uint32_t i = 0; ok && cursor.key.data && i < which; i++)
        ok = store_cursor_next(&cursor, &err);
    size_t len = ok && cursor.key.data && cursor.key.len <= 64 ? cursor.key.len : 0;
    if (len)
        memcpy(key, cursor.key.data, len);
    store_cursor_close(&cursor);
    return len;
}

static void read_all(struct snapshot *snapshot, enum store_table table, uint32_t docid,
                     bool searching) {
    struct arena arena = {0};
    struct error err;
    uint64_t hash;
    uint32_t id;
    bool found;
    char key[16];
    size_t key_len = (size_t)snprintf(key, sizeof key, "doc-%u", docid);
    if (table == TABLE_META)
        read_meta(snapshot);
    if (table == TABLE_KEYS && !document_hash(snapshot, key, key_len, &hash) &&
        !document_find(snapshot, key, key_len, &id, &err))
        check_refusal(&err);
    if (table == TABLE_TERMS && !term_find(snapshot, key, key_len, &id, &found, &err))
        check_refusal(&err);
    struct field_value low = {.kind = FIELD_NUMBER, .len = 8};
    const struct field_range range = {.kind = FIELD_NUMBER, .low = &low};
    struct docid_set set = docid_set_new(DOCUMENTS_N, &arena);
    if (table == TABLE_FIELDS && !fields_collect(snapshot, "n", 1, &range, &set, &err))
        check_refusal(&err);
    read_document(snapshot, docid, &arena);
    read_rows(snapshot, docid, &arena);
    if (searching)
        search(snapshot, docid, &arena);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + (size < INPUT_MAX ? size : INPUT_MAX)};
    struct snapshot *snapshot = seen_of();
    enum store_table table = tables[fuzz_byte(&input) % TABLES_TRIED];
    uint32_t how = fuzz_byte(&input), docid = how / 2 % DOCUMENTS_N;
    struct bytes before = {0};
    struct error err;
    uint8_t key[64];
    size_t key_len = key_of(snapshot, table, how / 2 % 8, key), len;
    bool ok = key_len == 0 || store_get(snapshot->txn, table, key, key_len, &before, &err);
    assert(ok);
    if (key_len == 0)
        return 0;
    uint8_t *old = fuzz_copy(before.data, before.len), *value = NULL;
    size_t old_len = before.len;
    bool was = before.data != NULL;
    if (how & 1) {
        const char *own = fuzz_text(&input, INPUT_MAX, &len);
        value = fuzz_copy(own, len);
    } else {
        value = fuzz_copy(old, len = old_len);
        fuzz_damage(&input, PATCHES_MAX, value, len);
    }
    ok = store_put(snapshot->txn, table, key, key_len, value, len, &err);
    assert(ok);
    read_all(snapshot, table, docid, how & 128);
    ok = was ? store_put(snapshot->txn, table, key, key_len, old, old_len, &err)
             : store_delete(snapshot->txn, table, key, key_len, NULL, &err);
    assert(ok);
    free(old);
    free(value);
    return 0;
}
