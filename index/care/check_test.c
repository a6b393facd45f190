/* Every kind of damage is noticed, a sound index is called sound, and no flipped bit kills. */
#include "index/care/check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/file.h"
#include "index/dense/dense.h"
#include "index/fixture.h"
#include "index/inside.h"

/* With a generation. */
static void make(char folder[64], enum index_lexical lexical) {
    struct error err;
    struct index *index;
    fixture_lived(folder, lexical);
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    dense_index_set_limits(index_dense(index), (struct dense_limits){1, 1000, 1, 0, 1});
    struct writer *writer = fixture_writer(index);
    CHECK_OK(writer_build_dense(writer, 1, &err), err);
    writer_close(writer);
    index_close(index);
}

static char problems[1 << 16]; /* all that were told, a line each */

static void remember(void *context, const char *what) {
    size_t len = strlen(problems);
    (void)context;
    snprintf(problems + len, sizeof problems - len, "%s\n", what);
}

static uint64_t problems_of(const char *folder) {
    struct error err;
    struct check_totals totals = {0};
    struct check_listener listener = {NULL, remember};
    problems[0] = '\0';
    CHECK_OK(index_check(folder, &listener, &totals, &err), err);
    return totals.problems_n;
}

static void sound_is_sound(enum index_lexical lexical) {
    char folder[64];
    struct error err;
    struct check_totals totals;
    struct check_listener listener = {0};
    make(folder, lexical);
    CHECK_EQUAL(problems_of(folder), 0);
    CHECK_TEXT(problems, "");
    CHECK_OK(index_check(folder, &listener, &totals, &err), err);
    CHECK(totals.documents_n > 100 && totals.pages_n > 10);
    CHECK((totals.postings_n > 0) == (lexical != INDEX_LEXICAL_NONE));
    fixture_remove(folder);
    CHECK(!index_check(folder, &listener, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
}

/* ---- damage to one value, by LMDB's own means ---- */

enum damage { FLIP, CUT, LOSE };

/* The entry `skip` from the table's first one. */
static void damage_value(const char *folder, enum store_table table, unsigned skip, size_t at,
                         enum damage damage) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct store_cursor cursor;
    char key[512], value[1 << 16];
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_cursor_open(txn, table, NULL, 0, &cursor, &err), err);
    while (skip-- > 0)
        CHECK_OK(store_cursor_next(&cursor, &err), err);
    size_t key_len = cursor.key.len, len = cursor.value.len;
    CHECK(cursor.key.data && len <= sizeof value && at < len);
    memcpy(key, cursor.key.data, key_len);
    memcpy(value, cursor.value.data, len);
    store_cursor_close(&cursor);
    value[at] ^= 0x41;
    if (damage == LOSE)
        CHECK_OK(store_delete(txn, table, key, key_len, NULL, &err), err);
    else
        CHECK_OK(store_put(txn, table, key, key_len, value, len - (damage == CUT), &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
}

static void damage_is_told(enum store_table table, unsigned skip, size_t at, enum damage damage,
                           const char *where) {
    char folder[64];
    make(folder, INDEX_LEXICAL_BM25);
    damage_value(folder, table, skip, at, damage);
    bool told = problems_of(folder) > 0 && strstr(problems, where);
    CHECK(told);
    if (!told)
        fprintf(stderr, "table %s, damage %d: told \"%s\"\n", store_table_name(table), (int)damage,
                problems);
    fixture_remove(folder);
}

static void every_table_is_checked(void) {
    damage_is_told(TABLE_META, 2, 0, CUT, "meta");
    damage_is_told(TABLE_META, 2, 0, LOSE, "meta");
    damage_is_told(TABLE_KEYS, 9, 0, FLIP, "key");
    damage_is_told(TABLE_KEYS, 9, 6, FLIP, "hash");
    damage_is_told(TABLE_KEYS, 9, 0, CUT, "keys");
    damage_is_told(TABLE_KEYS, 9, 0, LOSE, "is not in table keys");
    damage_is_told(TABLE_TERMS, 4, 0, FLIP, "terms");
    damage_is_told(TABLE_TERMS, 4, 0, CUT, "terms");
    damage_is_told(TABLE_FREQUENCIES, 3, 0, FLIP, "frequencies");
    damage_is_told(TABLE_FREQUENCIES, 3, 0, LOSE, "is not counted");
    damage_is_told(TABLE_DOCUMENTS, 5, 0, FLIP, "hash");
    damage_is_told(TABLE_DOCUMENTS, 5, 12, FLIP, "documents");
    damage_is_told(TABLE_DOCUMENTS, 5, 45, FLIP, "documents");
    damage_is_told(TABLE_DOCUMENTS, 5, 0, CUT, "documents");
    damage_is_told(TABLE_DOCUMENTS, 5, 0, LOSE, "no document");
    damage_is_told(TABLE_DENSE, 5, 0, CUT, "dense");
    damage_is_told(TABLE_DENSE, 5, 0, LOSE, "table dense: no row");
    damage_is_told(TABLE_SPARSE, 50, 0, FLIP, "");
    damage_is_told(TABLE_SPARSE, 50, 0, CUT, "");
    damage_is_told(TABLE_SPARSE, 50, 0, LOSE, "");
    damage_is_told(TABLE_MULTI, 5, 4, FLIP, "multi");
    damage_is_told(TABLE_MULTI, 5, 0, CUT, "multi");
    damage_is_told(TABLE_PASSAGES, 5, 3, FLIP, "table passages");
    damage_is_told(TABLE_PASSAGES, 5, 0, CUT, "table passages");
    damage_is_told(TABLE_PASSAGES, 5, 0, LOSE, "counts");
    for (size_t at = 0; at < 27; at++) /* head, block head, block: but for its zero byte */
        damage_is_told(TABLE_POSTINGS, 7, at, FLIP, "");
    damage_is_told(TABLE_POSTINGS, 7, 0, CUT, "");
    damage_is_told(TABLE_POSTINGS, 7, 0, LOSE, "");
    damage_is_told(TABLE_FIELDS, 0, 0, FLIP, "table fields: the entries of docid");
    damage_is_told(TABLE_FIELDS, 7, 0, FLIP, "fields");
    damage_is_told(TABLE_FIELDS, 7, 0, CUT, "fields");
    damage_is_told(TABLE_FIELDS, 7, 0, LOSE, "fields: the entries of docid");
    damage_is_told(TABLE_TERMS, 4, 0, LOSE, "table terms: 59 words, but 60");
    damage_is_told(TABLE_SEGMENTS, 0, 8, FLIP, "segments");
    damage_is_told(TABLE_SEGMENTS, 0, 0, LOSE, "");
}

/* An entry of the table that no document asks for. */
static void extra_is_told(const void *key, size_t key_len, const void *value, size_t value_len,
                          const char *what) {
    char folder[64];
    struct error err;
    struct store *store;
    struct store_txn *txn;
    make(folder, INDEX_LEXICAL_BM25);
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_put(txn, TABLE_FIELDS, key, key_len, value, value_len, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    CHECK(problems_of(folder) > 0);
    CHECK(strstr(problems, what));
    if (!strstr(problems, what))
        fprintf(stderr, "told \"%s\", not \"%s\"\n", problems, what);
    fixture_remove(folder);
}

/* One that was put again since. */
static uint32_t a_dead_docid(void) {
    char folder[64];
    struct error err;
    struct index *index;
    struct snapshot *snapshot;
    uint32_t docid = 0;
    make(folder, INDEX_LEXICAL_BM25);
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    while (docid < snapshot_docid_end(snapshot) && snapshot_is_live(snapshot, docid))
        docid++;
    CHECK(docid < snapshot_docid_end(snapshot));
    snapshot_close(snapshot);
    index_close(index);
    fixture_remove(folder);
    return docid;
}

static void extra_entries_are_told(void) {
    static const uint8_t document[] = {0xff, 0}, zeros[2000] = {0};
    const uint16_t dead = (uint16_t)a_dead_docid();
    extra_is_told("n\0\2\1\0\0", 6, document, 2, "the entries of docid 255 are not");
    extra_is_told("z\0\5word\0\0\0", 10, document, 2, "the entries of docid 255 are not");
    extra_is_told("z\0\5word\0\0\0", 10, &dead, 2, "which is no living document");
    extra_is_told("z\0\5word\0\0\7", 10, document, 2, "lists docid 459007");
    extra_is_told("z\0\5wo\0rd\0\0\0", 11, document, 2, "names no field and value");
    extra_is_told("z\0\7word\0\0\0", 10, document, 2, "names no field and value");
    extra_is_told("z\0\3word\0\0\0", 10, document, 2, "names no field and value");
    extra_is_told("zzz", 3, document, 2, "names no field and value");
    extra_is_told("z\0\5word\0\0\0", 10, zeros, 4, "not a container");
    extra_is_told("z\0\5word\0\0\0", 10, zeros, 3, "not a container");
}

static void generation_is_checked(void) {
    char folder[64], path[96];
    struct stat info;
    make(folder, INDEX_LEXICAL_BM25);
    snprintf(path, sizeof path, "%s/dense/1.lists", folder);
    CHECK(stat(path, &info) == 0);
    CHECK(truncate(path, info.st_size - 1) == 0);
    CHECK_EQUAL(problems_of(folder), 1);
    CHECK(strstr(problems, "1.lists"));
    CHECK(unlink(path) == 0);
    CHECK_EQUAL(problems_of(folder), 1);
    fixture_remove(folder);
}

/* ---- damage to the file ---- */

/* Whatever is flipped: no crash; and the index answers as before, or the damage is told. */
static void flipped_bits_do_not_kill(void) {
    enum { FLIPS = 1500 };
    char folder[64], path[96];
    unsigned long long seed = 77;
    struct error err;
    struct buf file = {0};
    unsigned told_n = 0;
    make(folder, INDEX_LEXICAL_BM25);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_OK(file_read(path, 1 << 26, &file, &err), err);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    for (int i = 0; i < FLIPS; i++) {
        size_t at = check_random(&seed) % file.len;
        if (i % 3 == 0) /* heads of pages are a small part of a file and do most harm */
            at = at / 4096 * 4096 + check_random(&seed) % 64;
        char byte = (char)(file.data[at] ^ (1 << check_random(&seed) % 8));
        struct check_totals totals = {0};
        struct check_listener listener = {NULL, remember};
        CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
        problems[0] = '\0';
        bool ok = index_check(folder, &listener, &totals, &err);
        told_n += !ok || totals.problems_n > 0;
        CHECK(pwrite(fd, &file.data[at], 1, (off_t)at) == 1);
    }
    CHECK(told_n > FLIPS / 10); /* most of a small file is free pages and unused room */
    CHECK_EQUAL(problems_of(folder), 0);
    for (size_t len = 0; len < file.len; len += file.len / 20 + 1) {
        struct check_totals totals = {0};
        struct check_listener listener = {NULL, remember};
        CHECK(ftruncate(fd, (off_t)len) == 0);
        CHECK(!index_check(folder, &listener, &totals, &err) || totals.problems_n > 0);
        CHECK(pwrite(fd, file.data, file.len, 0) == (ssize_t)file.len);
    }
    CHECK_EQUAL(problems_of(folder), 0);
    close(fd);
    buf_done(&file);
    fixture_remove(folder);
}

/* Each bit of the kind of a page in use: LMDB believes those that are never written, too. */
static void kinds_of_pages_are_checked(void) {
    enum { PAGE = 4096, KIND_AT = 10, BITS = 16, STEP = 7 };
    char folder[64], path[96];
    struct error err;
    struct buf file = {0};
    unsigned told_n[BITS] = {0};
    make(folder, INDEX_LEXICAL_BM25);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_OK(file_read(path, 1 << 26, &file, &err), err);
    int fd = open(path, O_RDWR);
    for (size_t page = 2 * PAGE; page < file.len; page += STEP * PAGE)
        for (size_t bit = 0; bit < BITS; bit++) {
            size_t at = page + KIND_AT + bit / 8;
            char byte = (char)(file.data[at] ^ 1 << bit % 8);
            CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
            told_n[bit] += problems_of(folder) > 0;
            CHECK(pwrite(fd, &file.data[at], 1, (off_t)at) == 1);
        }
    CHECK(told_n[0] > 5);
    for (size_t bit = 1; bit < BITS; bit++)
        CHECK_EQUAL(told_n[bit], told_n[0]);
    close(fd);
    buf_done(&file);
    fixture_remove(folder);
}

int main(void) {
    sound_is_sound(INDEX_LEXICAL_BM25);
    sound_is_sound(INDEX_LEXICAL_LEARNED);
    sound_is_sound(INDEX_LEXICAL_NONE);
    every_table_is_checked();
    extra_entries_are_told();
    generation_is_checked();
    flipped_bits_do_not_kill();
    kinds_of_pages_are_checked();
    return check_result();
}
