/* pages_fuzz - the pages of data.mdb: whatever changes in them, entries are right or refused.
 *
 * A small file with a history (values of several pages, free pages, trees of two levels) is made
 * once, by the store. An input's bytes are damages to it; the first says which table is read and
 * whether the commit's seal is taken away, as no accident does it. Then the newest commit is opened
 * as readers do it, the table is walked from its first entry on and some keys are looked for.
 * Nothing may be read outside the file (its last page stands before a guard of the sanitizer's),
 * walks must end, and an entry whose checksum is right must hold a value that was put under that
 * key. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "index/fixture.h"
#include "index/store/store.h"
#include "index/store/sum.h"
#include "index/store/tree.h"
#include "tests/fuzz/fuzz.h"

enum {
    IDS_N = 300,
    COMMITS = 8,
    VALUE_MAX = 9000,
    PATCHES_MAX = 12,
    PATCH_BYTES = 4, /* in an input: which page, where in it (2), what */
    FILE_MAX = 4 << 20,
};
static const enum store_table tables[] = {TABLE_DOCUMENTS, TABLE_KEYS, TABLE_POSTINGS};
enum { TABLES = sizeof tables / sizeof *tables };

/* ---- the file ---- */

static size_t make_key(enum store_table table, uint32_t id, uint8_t out[32]) {
    if (table == TABLE_KEYS)
        return (size_t)snprintf((char *)out, 32, "%x-name-%u", id * 2654435761u >> 24, id);
    put_be32(out, id);
    return 4;
}

/* A value's bytes are all alike and say whose it is, in its eighth version at most. */
static uint8_t value_byte(uint32_t id, unsigned version) {
    return (uint8_t)(id * 7 + version);
}

static bool fill(struct store *store, unsigned version, struct error *err) {
    static uint8_t value[VALUE_MAX];
    struct store_txn *txn;
    uint8_t key[32];
    bool ok = store_begin_write(store, &txn, err);
    for (uint32_t id = 0; ok && id < IDS_N; id++)
        for (int t = 0; ok && t < TABLES; t++) {
            size_t key_len = make_key(tables[t], id, key),
                   len = id % 97 == 7 ? VALUE_MAX : 4 + id % 9;
            memset(value, value_byte(id, version), len);
            if (version > 0 && id * 31 % 8 != version)
                continue;
            ok = id % 5 == 4 && version > 0
                     ? store_delete(txn, tables[t], key, key_len, NULL, err)
                     : store_put(txn, tables[t], key, key_len, value, len, err);
        }
    return ok && store_commit(txn, err);
}

struct image {
    uint8_t *bytes; /* [len], in a block of their own */
    size_t len, page_bytes;
    uint64_t txn_id;
};

static struct image make_image(void) {
    char folder[64], path[96];
    struct store *store;
    struct buf file = {0};
    struct error err;
    fixture_memory_folder(folder);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    bool ok = store_open(folder, STORE_CREATE, &store, &err);
    for (unsigned version = 0; ok && version < COMMITS; version++)
        ok = fill(store, version, &err);
    store_close(store);
    ok = ok && file_read(path, FILE_MAX, &file, &err);
    fixture_remove(folder);
    assert(ok);
    struct meta first, second;
    struct image image = {.bytes = fuzz_copy(file.data, file.len), .len = file.len};
    ok = meta_read(image.bytes, &first);
    image.page_bytes = first.free.page_bytes;
    ok = ok && meta_read(image.bytes + image.page_bytes, &second);
    assert(ok && image.len % image.page_bytes == 0);
    image.txn_id = first.txn_id > second.txn_id ? first.txn_id : second.txn_id;
    buf_done(&file);
    return image;
}

/* ---- reading ---- */

static void check_entry(enum store_table table, struct bytes key, struct bytes stored) {
    struct bytes value;
    uint8_t expected[32];
    char name[32] = "";
    uint32_t id = 0;
    if (!sum_fits(value_sum_choose(), table, key, stored, &value))
        return;
    if (table != TABLE_KEYS && key.len == 4)
        id = get_be32(key.data);
    else if (key.len < sizeof name) {
        memcpy(name, key.data, key.len);
        id = (uint32_t)strtoul(name + strcspn(name, "-") + strlen("-name-"), NULL, 10);
    }
    assert(id < IDS_N && make_key(table, id, expected) == key.len &&
           memcmp(expected, key.data, key.len) == 0);
    if (table == TABLE_POSTINGS) /* has sums of its own, in its blocks */
        return;
    uint8_t version = (uint8_t)(*(const uint8_t *)value.data - id * 7);
    assert(value.len == (id % 97 == 7 ? VALUE_MAX : 4 + id % 9) && version < COMMITS);
}

static void walk(struct view *view, enum store_table table, size_t entries_max) {
    struct tree_cursor cursor;
    struct bytes key, value, until;
    struct error err;
    size_t n = 0;
    tree_cursor_init(&cursor, view, &view->tables[table], "fuzz");
    for (bool ok = tree_first(&cursor, &err); ok && !cursor.ended; ok = tree_next(&cursor, &err)) {
        if (tree_entry(&cursor, &key, &value, &err))
            check_entry(table, key, value);
        if (n % 16 == 0)
            tree_guard(&cursor, &until, &err);
        if (++n > entries_max) /* a branch may lead to the same leaf again and again */
            break;
    }
}

static void find(struct view *view, enum store_table table, uint32_t id) {
    struct tree_cursor cursor;
    struct bytes key, value;
    struct error err;
    uint8_t wanted[32];
    bool exact;
    tree_cursor_init(&cursor, view, &view->tables[table], "fuzz");
    const struct bytes name = {wanted, make_key(table, id, wanted)};
    if (tree_find(&cursor, name, &exact, &err) && exact &&
        tree_entry(&cursor, &key, &value, &err)) {
        assert(key.len == name.len && memcmp(key.data, wanted, key.len) == 0);
        check_entry(table, key, value);
    }
    if (tree_find(&cursor, name, &exact, &err) && tree_previous(&cursor, &err) && !cursor.ended)
        tree_entry(&cursor, &key, &value, &err);
}

static void use(const struct image *image, enum store_table table, uint32_t first) {
    struct view *view;
    struct error err;
    bool moved;
    if (!view_open("fuzz", image->bytes, image->page_bytes, image->len / image->page_bytes,
                   image->txn_id, value_sum_choose(), &view, &moved, &err)) {
        assert(moved || err.code == ERROR_CORRUPT);
        return;
    }
    walk(view, table, 2 * IDS_N);
    for (uint32_t id = first; id < IDS_N + 4; id += 41)
        find(view, table, id);
    view_close(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct image image;
    static struct {
        size_t at;
        uint8_t was;
    } patches[PATCHES_MAX + SEAL_BYTES];
    size_t n = 0;
    struct fuzz_input input = {data, data + size};
    if (!image.bytes)
        image = make_image();
    uint32_t how = fuzz_byte(&input);
    while (fuzz_left(&input) >= PATCH_BYTES && n < PATCHES_MAX) {
        size_t page = fuzz_byte(&input) % (image.len / image.page_bytes);
        size_t at = page * image.page_bytes + fuzz_u16(&input) % image.page_bytes;
        patches[n].at = at;
        patches[n++].was = image.bytes[at];
        image.bytes[at] ^= (uint8_t)fuzz_byte(&input);
    }
    /* Without a seal's first byte a commit counts as one that has none. */
    size_t seal = image.txn_id % 2 * image.page_bytes + SEAL_AT;
    if (how & 1) {
        patches[n].at = seal;
        patches[n++].was = image.bytes[seal];
        image.bytes[seal] ^= 1;
    }
    use(&image, tables[how / 2 % TABLES], how / 8);
    while (n-- > 0)
        image.bytes[patches[n].at] = patches[n].was;
    return 0;
}
