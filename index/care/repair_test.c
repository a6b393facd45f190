/* Every table damaged in every way: afterwards the index is sound, and answers to the bit as one
 * does that never had the documents that were lost. */
#include "index/care/repair.h"

#include <fcntl.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/care/check.h"
#include "index/care/export.h"
#include "index/store/folder.h"
#include "index/store/page.h"
#include "index/inside.h"
#include "index/remove.h"

#include "index/fixture.h"

enum { FILE_MAX = 64 << 20 };

static void remove_keys(struct index *index, char (*keys)[32], size_t n) {
    struct error err;
    for (size_t i = 0; i < n; i++) {
        struct index_key key = {keys[i], strlen(keys[i])};
        bool found;
        CHECK_OK(index_remove(index, &key, 1, &found, &err), err);
        CHECK(found);
    }
}

/* ---- what an index answers ---- */

static bool add_line(void *context, const char *line, size_t len, struct error *err) {
    struct buf *out = context;
    (void)err;
    buf_append(out, line, len);
    buf_append(out, "\n", 1);
    return true;
}

static void add_list(struct snapshot *snapshot, struct scored_list list, struct arena *arena,
                     struct buf *out) {
    struct error err;
    for (size_t i = 0; i < list.n; i++) {
        struct document document;
        CHECK_OK(document_get(snapshot, list.entries[i].docid, arena, &document, &err), err);
        buf_format(out, "%s %a\n", document.key, (double)list.entries[i].score);
    }
}

/* Every document with its rows, in order, and whole rankings with the bits of every score. */
static struct buf answers_of(const char *folder) {
    struct error err;
    struct buf out = {0};
    struct index *index;
    struct snapshot *snapshot;
    struct arena arena = {0};
    unsigned long long seed = 99;
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    CHECK_OK(index_export(index, false, add_line, &out, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    for (int i = 0; i < 8; i++) {
        struct fixture_record query;
        struct scored_list list;
        fixture_record(&seed, index->settings.lexical, FIXTURE_LIVED_WORDS, 0, &query);
        struct sparse_vector sparse = {query.ids, query.weights, query.terms_n};
        if (index->settings.lexical != INDEX_LEXICAL_NONE) {
            CHECK_OK(
                sparse_search(snapshot, &sparse, FIXTURE_LIVED_PUTS, NULL, &arena, &list, &err),
                err);
            add_list(snapshot, list, &arena, &out);
        }
        CHECK_OK(dense_search(snapshot, query.dense, FIXTURE_LIVED_PUTS, true, NULL, &arena, &list,
                              &err),
                 err);
        add_list(snapshot, list, &arena, &out);
        for (size_t j = 0; j < list.n; j++)
            CHECK_OK(multi_score(snapshot, query.dense, 1, &list.entries[j].docid, 1, &arena,
                                 &list.entries[j].score, &err),
                     err);
        add_list(snapshot, list, &arena, &out);
    }
    snapshot_close(snapshot);
    index_close(index);
    arena_done(&arena);
    return out;
}

/* ---- damage ---- */

enum damage {
    FLIP, /* a value of which a bit was turned before it was written: its checksum is right */
    ROT,  /* a bit of it turned in the file */
    LOSE, /* an entry taken out */
    MORE, /* an entry too many */
    DAMAGES_N,
};

static const char *const damage_names[] = {"flip", "rot", "lose", "more"};

struct entry {
    uint8_t key[512], value[1 << 16];
    size_t key_len, value_len;
};

static void read_entry(struct store_txn *txn, enum store_table table, unsigned skip,
                       struct entry *out) {
    struct error err;
    struct store_cursor cursor;
    CHECK_OK(store_cursor_open(txn, table, NULL, 0, &cursor, &err), err);
    while (skip-- > 0)
        CHECK_OK(store_cursor_next(&cursor, &err), err);
    CHECK(cursor.key.data && cursor.value.len <= sizeof out->value);
    out->key_len = cursor.key.len;
    out->value_len = cursor.value.len;
    memcpy(out->key, cursor.key.data, cursor.key.len);
    memcpy(out->value, cursor.value.data, cursor.value.len);
    store_cursor_close(&cursor);
}

/* Wherever the file has key and value behind each other (postings' sum lies in between): old pages
 * that have them do not matter. */
static void rot(const char *folder, enum store_table table, const struct entry *entry, size_t at) {
    size_t key_len = table == TABLE_POSTINGS ? 0 : entry->key_len;
    struct error err;
    struct buf file = {0}, wanted = {0};
    char path[96];
    unsigned found_n = 0;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_OK(file_read(path, FILE_MAX, &file, &err), err);
    buf_append(&wanted, entry->key, key_len);
    buf_append(&wanted, entry->value, entry->value_len);
    for (char *from = file.data, *end = file.data + file.len, *hit;
         (hit = memmem(from, (size_t)(end - from), wanted.data, wanted.len)); from = hit + 1) {
        hit[key_len + at] ^= 0x10;
        found_n++;
    }
    CHECK(found_n > 0);
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, file.data, file.len, 0) == (ssize_t)file.len);
    close(fd);
    buf_done(&file);
    buf_done(&wanted);
}

/* *docid_out: what a key of four bytes says. */
static void damage_entry(const char *folder, enum store_table table, unsigned skip, size_t at,
                         enum damage damage, uint32_t *docid_out) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct entry *entry = mem_alloc(1, sizeof *entry);
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    read_entry(txn, table, skip, entry);
    *docid_out = entry->key_len == 4 ? get_be32(entry->key) : UINT32_MAX;
    if (damage == FLIP) {
        entry->value[at] ^= 0x10;
        CHECK_OK(
            store_put(txn, table, entry->key, entry->key_len, entry->value, entry->value_len, &err),
            err);
    } else if (damage == LOSE) {
        CHECK_OK(store_delete(txn, table, entry->key, entry->key_len, NULL, &err), err);
    } else if (damage == MORE) { /* of a docid, word, segment that there is not */
        entry->key[entry->key_len > 4 && table != TABLE_KEYS && table != TABLE_TERMS ? 1 : 0] ^= 1;
        CHECK_OK(
            store_put(txn, table, entry->key, entry->key_len, entry->value, entry->value_len, &err),
            err);
    }
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    if (damage == ROT)
        rot(folder, table, entry, at);
    free(entry);
}

/* ---- repair ---- */

static char told[1 << 14];

static void remember(void *context, const char *what) {
    size_t len = strlen(told);
    (void)context;
    snprintf(told + len, sizeof told - len, "%s\n", what);
}

static uint64_t problems_of(const char *folder) {
    struct error err;
    struct check_totals totals = {0};
    CHECK_OK(index_check(folder, &(struct check_listener){0}, &totals, &err), err);
    return totals.problems_n;
}

/* The key that stands first in what was told: document "KEY" (docid ... */
static bool told_key(char out[32]) {
    const char *at = strstr(told, "document \"");
    return at && sscanf(at, "document \"%31[^\"]\"", out) == 1 && strcmp(out, "?") != 0;
}

struct expected {
    uint64_t lost_n, words_lost_n;
};

static void is_repaired(const char *name, char *folder, char *whole, struct expected expected) {
    struct error err;
    struct repair_totals totals = {0};
    struct index *index;
    char gone[1][32];
    told[0] = '\0';
    int failed_before = check_failed;
    CHECK(problems_of(folder) > 0);
    CHECK_OK(index_repair(folder, &(struct repair_listener){NULL, remember}, &totals, &err), err);
    CHECK_EQUAL(problems_of(folder), 0);
    CHECK_EQUAL(totals.lost_n, expected.lost_n);
    CHECK_EQUAL(totals.words_lost_n, expected.words_lost_n);
    if (totals.lost_n == 1) { /* the whole one without it */
        CHECK(told_key(gone[0]));
        CHECK_OK(index_open(whole, INDEX_WRITE, &index, &err), err);
        remove_keys(index, gone, 1);
        index_close(index);
    }
    struct buf want = answers_of(whole), got = answers_of(folder);
    if (totals.words_lost_n == 0)
        CHECK(want.len == got.len && memcmp(want.data, got.data, want.len) == 0);
    buf_done(&want);
    buf_done(&got);
    if (check_failed > failed_before)
        fprintf(stderr, "%s: told %s\n", name, told);
}

static void repaired(enum store_table table, unsigned skip, size_t at, enum damage damage,
                     struct expected expected) {
    char folder[64], whole[64], name[64];
    uint32_t docid;
    fixture_lived(folder, INDEX_LEXICAL_BM25);
    fixture_lived(whole, INDEX_LEXICAL_BM25);
    damage_entry(folder, table, skip, at, damage, &docid);
    snprintf(name, sizeof name, "%s, %s", store_table_name(table), damage_names[damage]);
    is_repaired(name, folder, whole, expected);
    fixture_remove(folder);
    fixture_remove(whole);
}

static void derived_tables_come_back(void) {
    static const enum store_table tables[] = {TABLE_KEYS, TABLE_FREQUENCIES, TABLE_POSTINGS,
                                              TABLE_SEGMENTS, TABLE_FIELDS};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (int damage = 0; damage < DAMAGES_N; damage++)
            repaired(tables[i], tables[i] == TABLE_SEGMENTS ? 0 : 7, 1, (enum damage)damage,
                     (struct expected){0, 0});
    repaired(TABLE_META, 2, 1, ROT, (struct expected){0, 0}); /* "state" */
    repaired(TABLE_META, 2, 1, LOSE, (struct expected){0, 0});
}

static void unreadable_documents_are_named(void) {
    static const struct expected one = {1, 0}, none = {0, 0};
    repaired(TABLE_DOCUMENTS, 7, 40, FLIP, one); /* zstd's checksum says */
    repaired(TABLE_DOCUMENTS, 7, 26, ROT, one);  /* in its key */
    repaired(TABLE_DOCUMENTS, 7, 0, LOSE, one);
    repaired(TABLE_DOCUMENTS, 7, 0, MORE, none); /* a record without rows */
    CHECK(strstr(told, "another record of it is kept"));
    repaired(TABLE_DENSE, 7, 1, ROT, one);
    repaired(TABLE_DENSE, 7, 0, LOSE, one);
    repaired(TABLE_DENSE, 7, 0, MORE, none); /* a stray row */
    repaired(TABLE_SPARSE, 50, 5, ROT, one);
    repaired(TABLE_SPARSE, 50, 0, LOSE, one);
    repaired(TABLE_SPARSE, 50, 0, MORE, none);
    repaired(TABLE_MULTI, 7, 5, ROT, one);
    repaired(TABLE_MULTI, 7, 4, FLIP, one); /* its dimensions */
    repaired(TABLE_MULTI, 7, 0, MORE, none);
    repaired(TABLE_PASSAGES, 7, 5, ROT, one);
    repaired(TABLE_PASSAGES, 7, 0, LOSE, one); /* more rows than one passage has */
    repaired(TABLE_PASSAGES, 7, 0, MORE, none);
}

static void words(void) {
    repaired(TABLE_TERMS, 4, 0, ROT, (struct expected){0, 0}); /* one word, one id: it is clear */
    repaired(TABLE_TERMS, 4, 0, LOSE, (struct expected){0, 1});
    repaired(TABLE_TERMS, 4, 0, FLIP, (struct expected){0, 2}); /* two say that an id is theirs */
}

/* Settings are stored once, and a page of LMDB's is none of ours. */
static void what_cannot_be_repaired(void) {
    char folder[64], path[96];
    uint32_t docid;
    struct error err;
    struct repair_totals totals;
    struct repair_listener listener = {0};
    fixture_lived(folder, INDEX_LEXICAL_BM25);
    CHECK(!index_repair("/tmp/tercet-no-such-index", &listener, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    struct index *index;
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    CHECK(!index_repair(folder, &listener, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    index_close(index);
    damage_entry(folder, TABLE_META, 1, 9, ROT, &docid);
    CHECK(!index_repair(folder, &listener, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_CORRUPT);
    CHECK(strstr(err.message, "settings"));
    fixture_remove(folder);

    fixture_lived(folder, INDEX_LEXICAL_BM25);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK(truncate(path, 3 * 4096) == 0); /* no entry is left */
    CHECK(!index_repair(folder, &listener, &totals, &err));
    CHECK(strstr(err.message, "settings"));
    snprintf(path, sizeof path, "%s", folder);
    struct folder beside = {.lock = -1}; /* nothing is left beside it */
    CHECK_OK(folder_begin(path, true, &beside, &err), err);
    folder_end(&beside);
    fixture_remove(folder);
}

/* ---- pages ---- */

static unsigned draw(unsigned long long *seed, size_t n) {
    return (unsigned)((check_random(seed) >> 20) % n);
}

/* A bit of a page's head or offsets, or of a node's sizes and key. */
static void flip_in_page(const struct buf *file, const char *path, unsigned long long *seed) {
    size_t number = 2 + draw(seed, file->len / 4096 - 2), at = draw(seed, PAGE_HEADER_BYTES);
    const uint8_t *page = (const uint8_t *)file->data + number * 4096;
    if ((page_kind(page) == KIND_BRANCH || page_kind(page) == KIND_LEAF) && draw(seed, 3)) {
        unsigned node = draw(seed, page_nodes_n(page));
        at = draw(seed, 3) ? (size_t)(page_node(page, node) - page) + draw(seed, 12)
                           : PAGE_HEADER_BYTES + 2 * node;
    }
    char byte = (char)(page[at] ^ 1 << draw(seed, 8));
    int fd = open(path, O_WRONLY);
    CHECK(pwrite(fd, &byte, 1, (off_t)(number * 4096 + at)) == 1);
    close(fd);
}

/* Nothing is lost that is whole, and what is lost is named. */
static void flipped_pages(unsigned flips_n, unsigned long long seed) {
    char folder[64], whole[64], path[96], kept[128];
    unsigned damaged_n = 0, lost_n = 0;
    fixture_lived(whole, INDEX_LEXICAL_BM25);
    struct buf want = answers_of(whole), file = {0};
    struct error err;
    struct check_totals checked = {0};
    snprintf(path, sizeof path, "%s/data.mdb", whole);
    CHECK_OK(file_read(path, FILE_MAX, &file, &err), err);
    CHECK_OK(index_check(whole, &(struct check_listener){0}, &checked, &err), err);
    for (unsigned i = 0; i < flips_n; i++) {
        struct repair_totals totals = {0};
        fixture_lived(folder, INDEX_LEXICAL_BM25);
        snprintf(path, sizeof path, "%s/data.mdb", folder);
        snprintf(kept, sizeof kept, "%s/" FOLDER_DAMAGED, folder);
        flip_in_page(&file, path, &seed);
        if (problems_of(folder) > 0) {
            damaged_n++;
            told[0] = '\0';
            CHECK_OK(index_repair(folder, &(struct repair_listener){NULL, remember}, &totals, &err),
                     err);
            CHECK_EQUAL(problems_of(folder), 0);
            CHECK(totals.lost_n <= 1 && totals.documents_n + totals.lost_n >= checked.documents_n);
            lost_n += totals.lost_n > 0;
            if (totals.lost_n > 0)
                CHECK(strstr(told, "document \"doc-"));
            CHECK_EQUAL(access(kept, F_OK) == 0, totals.lost_n + totals.words_lost_n > 0);
            struct buf got = answers_of(folder);
            if (totals.lost_n + totals.words_lost_n == 0 && !strstr(told, "may be back"))
                CHECK(want.len == got.len && memcmp(want.data, got.data, want.len) == 0);
            buf_done(&got);
        }
        fixture_remove(folder);
    }
    printf("%u flips in pages: %u damaged, of which %u lost a document\n", flips_n, damaged_n,
           lost_n);
    CHECK(damaged_n > flips_n / 8 && lost_n < damaged_n);
    buf_done(&want);
    buf_done(&file);
    fixture_remove(whole);
}

/* Every page's head gone, the two first ones too. */
static void no_page_is_a_page(void) {
    char folder[64], path[96];
    struct error err;
    struct repair_totals totals = {0};
    struct check_totals whole = {0};
    struct buf file = {0};
    fixture_lived(folder, INDEX_LEXICAL_BM25);
    CHECK_OK(index_check(folder, &(struct check_listener){0}, &whole, &err), err);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    CHECK_OK(file_read(path, FILE_MAX, &file, &err), err);
    int fd = open(path, O_WRONLY);
    for (size_t at = 0; at < file.len; at += 4096)
        CHECK(pwrite(fd, "damaged page head", 17, (off_t)at) == 17);
    close(fd);
    told[0] = '\0';
    CHECK_OK(index_repair(folder, &(struct repair_listener){NULL, remember}, &totals, &err), err);
    CHECK(strstr(told, "may be back"));
    CHECK(totals.documents_n >= whole.documents_n);
    CHECK_EQUAL(problems_of(folder), 0);
    buf_done(&file);
    fixture_remove(folder);
}

/* A sound one stays what it is, in every kind of index. */
static void other_kinds(void) {
    static const enum index_lexical kinds[] = {INDEX_LEXICAL_LEARNED, INDEX_LEXICAL_NONE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char folder[64];
        struct error err;
        struct repair_totals totals;
        fixture_lived(folder, kinds[i]);
        struct buf before = answers_of(folder);
        CHECK_OK(index_repair(folder, &(struct repair_listener){0}, &totals, &err), err);
        CHECK_EQUAL(totals.lost_n + totals.words_lost_n, 0);
        struct buf after = answers_of(folder);
        CHECK(before.len == after.len && memcmp(before.data, after.data, before.len) == 0);
        CHECK_EQUAL(problems_of(folder), 0);
        buf_done(&before);
        buf_done(&after);
        fixture_remove(folder);
    }
}

int main(void) {
    derived_tables_come_back();
    unreadable_documents_are_named();
    words();
    what_cannot_be_repaired();
    const char *flips = getenv("TERCET_FLIPS");
    flipped_pages(flips ? (unsigned)strtoul(flips, NULL, 10) : 24, 3);
    no_page_is_a_page();
    other_kinds();
    return check_result();
}
