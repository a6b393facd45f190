/* Values of a wrong length or content, a file cut short, another format: refused, by name. */
#include "index/fixture.h"
#include "index/rows.h"
#include "index/store/store.h"

/* ---- damaged values ---- */

/* Rewrites the first value of a table with its bytes changed. */
enum damage { CUT, GROWN, FLIPPED, EMPTY, DAMAGES_N };

static void damage_first(const char *folder, enum store_table table, const char *key,
                         enum damage damage) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct store_cursor cursor;
    uint8_t name[512], value[1 << 16] = {0};
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_cursor_open(txn, table, key, key ? strlen(key) : 0, &cursor, &err), err);
    CHECK(cursor.key.data && cursor.value.len + 8 < sizeof value);
    size_t name_len = cursor.key.len, len = cursor.value.len;
    memcpy(name, cursor.key.data, name_len);
    memcpy(value, cursor.value.data, len);
    store_cursor_close(&cursor);
    if (damage == FLIPPED)
        for (size_t i = 0; i < len; i++)
            value[i] ^= 0xa5;
    len = damage == CUT ? len - 1 : damage == GROWN ? len + 3 : damage == EMPTY ? 0 : len;
    CHECK_OK(store_put(txn, table, name, name_len, value, len, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
}

/* Uses everything; false with the error when something refused. */
static bool use_all(const char *folder, struct error *err) {
    struct index *index;
    struct snapshot *snapshot = NULL;
    struct arena arena = {0};
    struct document document;
    struct scored_list list;
    size_t rows_n;
    uint32_t docid = 0, ids[FIXTURE_VOCABULARY], docids[50];
    float weights[FIXTURE_VOCABULARY], scores[50];
    if (!index_open(folder, INDEX_READ, &index, err))
        return false;
    for (uint32_t i = 0; i < FIXTURE_VOCABULARY; i++)
        ids[i] = i, weights[i] = 1;
    for (uint32_t i = 0; i < 50; i++)
        docids[i] = i;
    struct sparse_vector query = {ids, weights, FIXTURE_VOCABULARY};
    bool ok =
        snapshot_open(index, &snapshot, err) && document_find(snapshot, "doc-0", 5, &docid, err) &&
        document_get(snapshot, 0, &arena, &document, err) &&
        sparse_search(snapshot, &query, 10, NULL, &arena, &list, err) &&
        sparse_score(snapshot, &query, docids, 50, &arena, scores, err) &&
        (forward_dense_rows(snapshot, 0, &rows_n) || error_set(err, ERROR_CORRUPT, "table dense"));
    snapshot_close(snapshot);
    index_close(index);
    arena_done(&arena);
    return ok;
}

static void damage_is_reported(void) {
    static const struct {
        enum store_table table;
        const char *key;
        bool flip_shows; /* not every wrong bit can be told from a right one yet */
    } cases[] = {
        {TABLE_META, "format", true},  {TABLE_META, "settings", true},
        {TABLE_META, "state", false},  {TABLE_KEYS, NULL, false},
        {TABLE_DOCUMENTS, NULL, true}, {TABLE_DENSE, NULL, false},
        {TABLE_SPARSE, NULL, false},   {TABLE_POSTINGS, NULL, true},
        {TABLE_SEGMENTS, NULL, true},  {TABLE_FREQUENCIES, NULL, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int damage = 0; damage < DAMAGES_N; damage++) {
            struct error err = {0};
            char folder[64];
            struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
            struct index *index = fixture_new(folder, &settings);
            fixture_fill(index, 1, 0, 50, 50);
            index_close(index);
            CHECK_OK(use_all(folder, &err), err);
            damage_first(folder, cases[c].table, cases[c].key, (enum damage)damage);
            bool ok = use_all(folder, &err);
            if (damage != FLIPPED || cases[c].flip_shows) {
                CHECK(!ok);
                CHECK(err.code == ERROR_CORRUPT || (c == 0 && err.code == ERROR_UNSUPPORTED));
                CHECK(strstr(err.message, store_table_name(cases[c].table)) || c == 0);
            }
            fixture_remove(folder);
        }
    }
}

static void cut_file_is_reported(void) {
    struct error err;
    char folder[64], path[128];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    fixture_fill(index, 1, 0, 200, 50);
    index_close(index);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_EQUAL(truncate(path, 64 << 10), 0);
    CHECK(!index_open(folder, INDEX_READ, &index, &err));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    CHECK_EQUAL(truncate(path, 100), 0);
    CHECK(!index_open(folder, INDEX_READ, &index, &err));
    fixture_remove(folder);
}

/* Another format version, and a file that is no LMDB at all. */
static void strangers_are_refused(void) {
    struct error err;
    char folder[64], path[128];
    struct index_settings settings = fixture_full_settings(INDEX_LEXICAL_BM25);
    struct index *index = fixture_new(folder, &settings);
    index_close(index);
    struct store *store;
    struct store_txn *txn;
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_put(txn, TABLE_META, "format", 6, &(uint32_t){99}, 4, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    CHECK(!index_open(folder, INDEX_READ, &index, &err));
    CHECK_EQUAL(err.code, ERROR_UNSUPPORTED);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 10000; i++)
        fputc(i * 7, file);
    fclose(file);
    CHECK(!index_open(folder, INDEX_READ, &index, &err));
    fixture_remove(folder);
}

int main(void) {
    damage_is_reported();
    cut_file_is_reported();
    strangers_are_refused();
    return check_result();
}
