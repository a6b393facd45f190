/* Bits that flip in what LMDB trusts: whatever is read or written afterwards is right or refused.
 * Two tables of some depth with a history, one with numbers for keys and one with names, some
 * values in overflow pages. A bit flips anywhere in the file, or in a page's head, offsets, sizes
 * and keys. Then entries are asked for that are there and that are not, ranges are walked, and
 * entries are put and deleted, all beside a plain array. It runs in one process: a crash is a
 * failure that sanitizers explain. TERCET_FLIPS=n; TERCET_SEED=n. */
#include "index/store/tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/fixture.h"
#include "index/store/store.h"
#include "index/store/txn.h"

enum {
    IDS_N = 24000,
    CHANGES = 600, /* in a commit */
    COMMITS = 24,
    FLIPS = 1500,
    VALUE_MAX = 9000,
    PAGE = 4096,
    ASKED = 60,
    WALKED = 80,
    NEAR_MAX = PAGE / 10,
    FILE_MAX = 64 << 20,
};

static const enum store_table tables[] = {TABLE_DOCUMENTS, TABLE_KEYS};
enum { TABLES = 2 };

struct fix {
    char folder[64], path[96];
    struct buf file; /* undamaged */
    unsigned long long seed;
    uint8_t is[TABLES][IDS_N]; /* 0: not there; else what was put last */
    uint32_t near[NEAR_MAX];   /* [near_n] ids whose keys are in the page that was damaged */
    unsigned near_n;
};

static unsigned draw(struct fix *fix, unsigned n) {
    return (unsigned)(check_random(&fix->seed) >> 20) % n;
}

/* More often than not one that the damage may have touched. */
static uint32_t draw_id(struct fix *fix) {
    if (fix->near_n == 0 || draw(fix, 3) == 0)
        return draw(fix, IDS_N);
    uint32_t id = fix->near[draw(fix, fix->near_n)] + draw(fix, 3) - 1;
    return id < IDS_N ? id : 0;
}

static size_t make_key(int table, uint32_t id, uint8_t out[32]) {
    if (tables[table] == TABLE_KEYS)
        return (size_t)snprintf((char *)out, 32, "%x-name-%u", id * 2654435761u >> 24, id);
    put_be32(out, id);
    return 4;
}

static size_t make_value(int table, uint32_t id, uint8_t version, uint8_t *out) {
    size_t len = id % 499 == 7 ? VALUE_MAX : 4 + id % 23 + version % 3u;
    memset(out, (int)(id * 7 + version + (unsigned)table), len);
    return len;
}

/* ---- an index with a history ---- */

/* Entries are put, again, and deleted. False: something was refused; nothing is committed. */
static bool change(struct fix *fix, struct store *store, unsigned n, struct error *err) {
    struct store_txn *txn;
    uint8_t key[32], *value = mem_alloc(VALUE_MAX, 1);
    bool ok = store_begin_write(store, &txn, err);
    for (unsigned i = 0; ok && i < n; i++) {
        int table = (int)draw(fix, TABLES);
        uint32_t id = draw(fix, 4) ? draw_id(fix) : draw(fix, IDS_N / 40);
        uint8_t *is = &fix->is[table][id];
        size_t key_len = make_key(table, id, key);
        bool found = false;
        if (draw(fix, 5) == 0) {
            ok = store_delete(txn, tables[table], key, key_len, &found, err);
            if (ok)
                CHECK_EQUAL(found, *is != 0);
            *is = 0;
        } else {
            *is = (uint8_t)(1 + draw(fix, 200));
            size_t len = make_value(table, id, *is, value);
            ok = store_put(txn, tables[table], key, key_len, value, len, err);
        }
    }
    free(value);
    if (ok)
        return store_commit(txn, err);
    store_abort(txn);
    return false;
}

static void make(struct fix *fix, unsigned long long seed) {
    struct error err;
    struct store *store;
    fix->seed = seed;
    fixture_memory_folder(fix->folder);
    snprintf(fix->path, sizeof fix->path, "%s/data.mdb", fix->folder);
    CHECK_OK(store_open(fix->folder, STORE_CREATE, &store, &err), err);
    CHECK_OK(change(fix, store, 3 * IDS_N, &err), err);
    for (int i = 0; i < COMMITS; i++)
        CHECK_OK(change(fix, store, CHANGES, &err), err);
    store_close(store);
    CHECK_OK(file_read(fix->path, FILE_MAX, &fix->file, &err), err);
}

static void unmake(struct fix *fix) {
    fixture_remove(fix->folder);
    buf_done(&fix->file);
    free(fix);
}

/* ---- what is read is right or refused ---- */

static void is_refusal(const struct error *err) {
    CHECK_EQUAL(err->code, ERROR_CORRUPT);
    CHECK(strstr(err->message, "data.mdb"));
}

static bool same(int table, uint32_t id, uint8_t version, struct bytes value) {
    uint8_t want[VALUE_MAX];
    if (version == 0 || !value.data)
        return version == 0 && !value.data;
    return make_value(table, id, version, want) == value.len &&
           memcmp(want, value.data, value.len) == 0;
}

/* False: refused. */
static bool asks(struct fix *fix, struct store_txn *txn, struct error *err) {
    bool ok = true;
    for (unsigned i = 0; ok && i < ASKED; i++) {
        uint8_t key[32];
        struct bytes value;
        int table = (int)draw(fix, TABLES);
        uint32_t id = draw_id(fix);
        size_t key_len = make_key(table, id, key);
        ok = store_get(txn, tables[table], key, key_len, &value, err);
        if (ok)
            CHECK(same(table, id, fix->is[table][id], value));
    }
    return ok;
}

/* The table of numbers from some number on, or all of both. */
static bool walks(struct fix *fix, struct store_txn *txn, bool all, struct error *err) {
    struct store_cursor cursor;
    uint8_t key[32];
    uint32_t id = all ? 0 : draw_id(fix), n = 0;
    put_be32(key, id);
    bool ok = store_cursor_open(txn, TABLE_DOCUMENTS, key, all ? 0 : 4, &cursor, err);
    for (; ok && (all || n < WALKED); n++) {
        while (id < IDS_N && fix->is[0][id] == 0)
            id++;
        CHECK_EQUAL(cursor.key.data ? get_be32(cursor.key.data) : IDS_N, id);
        if (!cursor.key.data || get_be32(cursor.key.data) != id)
            break;
        CHECK(same(0, id, fix->is[0][id], cursor.value));
        id++;
        ok = store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    if (!ok || !all)
        return ok;
    uint32_t want = 0, found = 0;
    for (id = 0; id < IDS_N; id++)
        want += fix->is[1][id] != 0;
    ok = store_cursor_open(txn, TABLE_KEYS, NULL, 0, &cursor, err);
    for (; ok && cursor.key.data; found++)
        ok = store_cursor_next(&cursor, err);
    store_cursor_close(&cursor);
    if (ok)
        CHECK_EQUAL(found, want);
    return ok;
}

static bool counts(const struct fix *fix, struct store_txn *txn, struct error *err) {
    bool ok = true;
    for (int t = 0; ok && t < TABLES; t++) {
        uint64_t found, want = 0;
        for (uint32_t id = 0; id < IDS_N; id++)
            want += fix->is[t][id] != 0;
        ok = store_entries_n(txn, tables[t], &found, err);
        if (ok)
            CHECK_EQUAL(found, want);
    }
    return ok;
}

/* False: refused. */
static bool reads(struct fix *fix, struct store *store, bool all) {
    struct error err;
    struct store_txn *txn;
    bool ok = store_begin_read(store, &txn, &err);
    if (ok) {
        bool asked = asks(fix, txn, &err);
        if (!asked)
            is_refusal(&err);
        ok = walks(fix, txn, all, &err) && counts(fix, txn, &err);
        store_abort(txn);
    }
    if (!ok)
        is_refusal(&err);
    return ok;
}

static bool writes(struct fix *fix, struct store *store) {
    struct error err;
    bool ok = true;
    for (int i = 0; ok && i < 3; i++)
        ok = change(fix, store, 20, &err) && reads(fix, store, false);
    return ok;
}

/* ---- flips ---- */

/* The root of LMDB's table of tables, of its free pages, or a branch; where there is none, page. */
static size_t draw_upper_page(struct fix *fix, size_t page) {
    const uint8_t *file = (const uint8_t *)fix->file.data;
    struct meta metas[2];
    CHECK(meta_read(file, &metas[0]) && meta_read(file + PAGE, &metas[1]));
    const struct meta *newest = &metas[metas[1].txn_id > metas[0].txn_id];
    if (draw(fix, 3) == 0)
        return draw(fix, 2) ? newest->tables.root : newest->free.root;
    for (size_t i = 0, n = fix->file.len / PAGE; i < n; i++, page = (page + 1) % n)
        if (page >= 2 && page_kind(file + page * PAGE) == KIND_BRANCH)
            return page;
    return page;
}

/* A bit of a page's head, of its offsets, or of a node's head and key; or of any byte. Pages that
 * lead to others are few and drawn as often as the rest, as are the two meta pages. */
static size_t draw_bit(struct fix *fix) {
    size_t number = draw(fix, (unsigned)(fix->file.len / PAGE));
    unsigned where = draw(fix, 8);
    if (where == 0)
        number = draw(fix, 2);
    else if (where < 4)
        number = draw_upper_page(fix, number);
    const uint8_t *page = (const uint8_t *)fix->file.data + number * PAGE;
    bool nodes = number >= 2 && (page_kind(page) == KIND_BRANCH || page_kind(page) == KIND_LEAF);
    size_t at = draw(fix, PAGE_HEADER_BYTES);
    if (draw(fix, 6) == 0) {
        at = draw(fix, PAGE);
    } else if (number < 2) {
        at = draw(fix, SEAL_AT + SEAL_BYTES);
    } else if (nodes && draw(fix, 8) == 0) {
        at = PAGE_HEADER_BYTES + draw(fix, 2 * page_nodes_n(page));
    } else if (nodes && draw(fix, 6)) {
        const uint8_t *node = page_node(page, draw(fix, page_nodes_n(page)));
        at = (size_t)(node - page) +
             draw(fix, 2 + (unsigned)draw(fix, 8 + (unsigned)node_key(node).len));
    }
    return 8 * (number * PAGE + at) + draw(fix, 8);
}

static void put_back(struct fix *fix, size_t bit, bool whole) {
    int fd = open(fix->path, O_WRONLY);
    if (whole) {
        CHECK_EQUAL(pwrite(fd, fix->file.data, fix->file.len, 0), fix->file.len);
        CHECK_EQUAL(ftruncate(fd, (off_t)fix->file.len), 0);
    } else {
        CHECK_EQUAL(pwrite(fd, &fix->file.data[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    close(fd);
}

/* The ids of the keys beside the bit. */
static void note_near(struct fix *fix, size_t bit) {
    enum { BESIDE = 3 };
    size_t number = bit / 8 / PAGE, at = bit / 8 % PAGE;
    const uint8_t *page = (const uint8_t *)fix->file.data + number * PAGE;
    fix->near_n = 0;
    if (number < 2 || (page_kind(page) != KIND_BRANCH && page_kind(page) != KIND_LEAF))
        return;
    unsigned n = page_nodes_n(page), hit = at < PAGE_HEADER_BYTES + 2 * n ? n : 0;
    for (; hit < n; hit++) /* n: its head, or none */
        if (at - (size_t)(page_node(page, hit) - page) < 8 + node_key(page_node(page, hit)).len)
            break;
    for (unsigned i = 0; i < n; i++) {
        struct bytes key = node_key(page_node(page, i));
        char text[32] = {0};
        if ((hit < n && (i + BESIDE < hit || i > hit + BESIDE)) || key.len == 0 || key.len > 31)
            continue;
        memcpy(text, key.data, key.len);
        fix->near[fix->near_n++] = key.len == 4 ? get_be32(key.data) % IDS_N
                                   : strrchr(text, '-')
                                       ? (uint32_t)strtoul(strrchr(text, '-') + 1, NULL, 10) % IDS_N
                                       : 0;
    }
}

static void flip(struct fix *fix, size_t bit) {
    char byte = (char)(fix->file.data[bit / 8] ^ 1 << bit % 8);
    int fd = open(fix->path, O_WRONLY);
    CHECK_EQUAL(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    close(fd);
}

/* False: something was refused. */
static bool survives(struct fix *fix, bool write, bool all) {
    struct error err;
    struct store *store;
    if (!store_open(fix->folder, write ? STORE_WRITE : STORE_READ, &store, &err)) {
        is_refusal(&err);
        return false;
    }
    bool ok = (!write || writes(fix, store)) && reads(fix, store, all);
    store_close(store);
    return ok;
}

static void flips(struct fix *fix, unsigned n) {
    struct fix *before = mem_alloc(1, sizeof *before);
    unsigned refused_n = 0, all_n = 0, missed_n = 0;
    for (unsigned i = 0; i < n; i++) {
        size_t bit = draw_bit(fix);
        bool write = i % 4 == 1, all = i % 4 == 2;
        int failed_before = check_failed;
        struct error err;
        uint64_t pages_n;
        note_near(fix, bit);
        flip(fix, bit);
        *before = *fix;
        bool refused = !survives(fix, write, all);
        refused_n += refused;
        if (all && !refused) {
            all_n++;
            missed_n += !store_check_pages(fix->folder, &pages_n, &err);
        }
        unsigned long long seed = fix->seed;
        *fix = *before; /* what was put */
        fix->seed = seed;
        put_back(fix, bit, write);
        if (check_failed > failed_before)
            fprintf(stderr, "flip %u: page %zu, byte %zu, bit %zu%s\n", i, bit / 8 / PAGE,
                    bit / 8 % PAGE, bit % 8, write ? ", written to" : "");
    }
    printf("%u flips: %u refused; %u of %u read in full harmless, but of note to check\n", n,
           refused_n, missed_n, all_n);
    CHECK(refused_n > n / 8);
    fix->near_n = 0;
    CHECK(survives(fix, false, true));
    free(before);
}

/* Each bit that LMDB reads of its two first pages, and each of the seals. */
static void bits_of_metas(struct fix *fix) {
    unsigned refused_n = 0, n = 0;
    for (size_t bit = 0; bit < 2 * 8 * PAGE; bit++) {
        size_t at = bit / 8 % PAGE;
        if (at >= PAGE_HEADER_BYTES + META_BYTES && (at < SEAL_AT || at >= SEAL_AT + SEAL_BYTES))
            continue;
        int failed_before = check_failed;
        flip(fix, bit);
        refused_n += !survives(fix, false, false);
        put_back(fix, bit, false);
        n++;
        if (check_failed > failed_before)
            fprintf(stderr, "meta page %zu, byte %zu, bit %zu\n", bit / 8 / PAGE, at, bit % 8);
    }
    printf("%u bits of meta pages: %u refused\n", n, refused_n);
    CHECK(refused_n > META_BYTES * 8);
}

/* From wherever it stands, tree_find_near comes to where tree_find comes. */
static void near_comes_where_find_comes(struct fix *fix) {
    enum { STEPS = 20000, STEP_MAX = 60 };
    struct store *store;
    struct store_txn *txn;
    struct error err;
    unsigned stayed_n = 0;
    CHECK(store_open(fix->folder, STORE_READ, &store, &err) && store_begin_read(store, &txn, &err));
    for (int t = 0; t < TABLES; t++) {
        const struct tree *tree = &txn->view->tables[tables[t]];
        struct tree_cursor near, fresh;
        uint32_t id = 0;
        bool exact, found, stayed;
        tree_cursor_init(&near, txn->view, tree, "near");
        CHECK(tree_find(&near, (struct bytes){"0", 1}, &exact, &err));
        for (unsigned i = 0; i < STEPS; i++) {
            uint8_t key[32];
            id = draw(fix, 8) ? (id + draw(fix, STEP_MAX)) % IDS_N : draw(fix, IDS_N);
            struct bytes at = {key, make_key(t, id, key)};
            tree_cursor_init(&fresh, txn->view, tree, "fresh");
            CHECK(tree_find(&fresh, at, &exact, &err) &&
                  tree_find_near(&near, at, &found, &stayed, &err));
            CHECK_EQUAL(found, exact);
            for (unsigned level = 0; level < tree->depth; level++)
                CHECK(near.path[level].page == fresh.path[level].page &&
                      near.path[level].at == fresh.path[level].at);
            stayed_n += stayed;
        }
    }
    CHECK(stayed_n > STEPS / 8 && stayed_n < 2 * STEPS);
    store_abort(txn);
    store_close(store);
}

int main(void) {
    struct fix *fix = mem_zalloc(1, sizeof *fix);
    const char *seed = getenv("TERCET_SEED"), *n = getenv("TERCET_FLIPS");
    make(fix, seed ? strtoull(seed, NULL, 10) : 1);
    CHECK(survives(fix, false, true));
    near_comes_where_find_comes(fix);
    bits_of_metas(fix);
    flips(fix, n ? (unsigned)strtoul(n, NULL, 10) : FLIPS);
    unmake(fix);
    return check_result();
}
