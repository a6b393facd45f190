/* What LMDB does to the file that the rest must not trip over. */
#include "index/store.h"

#include <fcntl.h>

#include "index/fixture.h"

/* One transaction takes pages from the end and frees them again: they are counted, not written. */
static void freed_pages_are_no_damage(void) {
    enum { ROWS_N = 400, ROW_BYTES = 300 };
    static char row[ROW_BYTES];
    struct error err;
    struct store *store = NULL;
    struct store_txn *txn;
    char folder[64];
    fixture_folder(folder);
    CHECK_OK(store_open(folder, STORE_CREATE, &store, &err), err);
    for (int round = 0; store && round < 3; round++) {
        CHECK_OK(store_begin_write(store, &txn, &err), err);
        for (uint32_t i = 0; i < ROWS_N; i++)
            CHECK_OK(store_put_u32(txn, TABLE_DOCUMENTS, i, row, sizeof row, &err), err);
        for (uint32_t i = ROWS_N; i-- > 1;)
            CHECK_OK(store_delete_u32(txn, TABLE_DOCUMENTS, i, &err), err);
        CHECK_OK(store_commit(txn, &err), err);
        store_close(store);
        store = NULL;
        CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    }
    store_close(store);
    fixture_remove(folder);
}

/* Reads everything; false when something is refused. */
static bool read_all(const char *folder) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    if (!store_open(folder, STORE_READ, &store, &err))
        return false;
    bool ok = store_begin_read(store, &txn, &err);
    for (int table = 0; ok && table < TABLES_N; table++) {
        struct store_cursor cursor;
        ok = store_cursor_open(txn, (enum store_table)table, NULL, 0, &cursor, &err);
        while (ok && cursor.key.data)
            ok = store_cursor_next(&cursor, &err);
        store_cursor_close(&cursor);
    }
    if (!ok)
        CHECK_EQUAL(err.code, ERROR_CORRUPT);
    store_abort(txn);
    store_close(store);
    return ok;
}

/* Every bit of the sizes of entries, which LMDB believes: no value reaches out of its pages. */
static void sizes_of_entries_are_not_believed(void) {
    enum { PAGE = 4096, LEAF = 2, KIND_AT = 10, FIRST_AT = 16, SIZE_BITS = 32, ROW_BYTES = 9000 };
    static uint8_t row[ROW_BYTES], page[PAGE];
    struct error err;
    struct store *store;
    struct store_txn *txn;
    char folder[64], path[96];
    unsigned refused_n = 0, flips_n = 0;
    fixture_folder(folder);
    CHECK_OK(store_open(folder, STORE_CREATE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    for (uint32_t i = 0; i < 60; i++) {
        CHECK_OK(store_put_u32(txn, TABLE_DENSE, i, row, 768, &err), err);
        CHECK_OK(store_put_u32(txn, TABLE_POSTINGS, i, row, i % 2 ? ROW_BYTES : 50, &err), err);
    }
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    int fd = open(path, O_RDWR);
    CHECK(read_all(folder));
    for (off_t at = 2 * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        off_t node = at + get_u16(page + FIRST_AT); /* its size is the first 4 bytes */
        for (int bit = 0; get_u16(page + KIND_AT) == LEAF && bit < SIZE_BITS; bit++, flips_n++) {
            uint8_t was = page[node - at + bit / 8], is = (uint8_t)(was ^ 1 << bit % 8);
            CHECK(pwrite(fd, &is, 1, node + bit / 8) == 1);
            refused_n += !read_all(folder);
            CHECK(pwrite(fd, &was, 1, node + bit / 8) == 1);
        }
    }
    CHECK(flips_n > 300 && refused_n > flips_n / 2);
    CHECK(read_all(folder));
    close(fd);
    fixture_remove(folder);
}

int main(void) {
    sizes_of_entries_are_not_believed();
    freed_pages_are_no_damage();
    return check_result();
}
