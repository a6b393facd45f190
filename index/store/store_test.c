/* What LMDB does to the file that the rest must not trip over. */
#include "index/store/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

static off_t file_size(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 ? file.st_size : -1;
}

static void put_rows(struct store *store, uint32_t from, uint32_t to) {
    static char row[300];
    struct store_txn *txn;
    struct error err;
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    for (uint32_t i = from; i < to; i++)
        CHECK_OK(store_put_u32(txn, TABLE_DOCUMENTS, i, row, sizeof row, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
}

enum { MANY = 400, PAGE = 4096 };

/* A file whose last pages are free: many rows are put, those from `kept` on deleted, and what is
 * left moves to the freed pages in front. Its size. */
static off_t make_with_free_end(char folder[64], char path[96], uint32_t kept) {
    struct error err;
    struct store *store;
    struct store_txn *txn;
    fixture_folder(folder);
    snprintf(path, 96, "%s/data.mdb", folder);
    CHECK_OK(store_open(folder, STORE_CREATE, &store, &err), err);
    put_rows(store, 0, MANY);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    for (uint32_t i = kept; i < MANY; i++)
        CHECK_OK(store_delete_u32(txn, TABLE_DOCUMENTS, i, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    for (int i = 0; i < 8; i++)
        put_rows(store, 0, kept + 1);
    store_close(store);
    return file_size(path);
}

/* A kill between such a commit and what makes the file whole: page by page less, the index is whole
 * as long as only free pages are missing, and refused from then on. */
static void missing_free_pages_are_no_damage(void) {
    enum { KEPT = 20 };
    struct error err;
    struct store *store;
    struct store_txn *txn;
    char folder[64], path[96];
    uint64_t pages_n;
    off_t whole = make_with_free_end(folder, path, KEPT), size = whole;
    while (size > 0 && read_all(folder) && store_check_pages(folder, &pages_n, &err)) {
        CHECK_OK(store_open(folder, STORE_READ, &store, &err), err);
        CHECK_OK(store_begin_read(store, &txn, &err), err);
        CHECK_OK(store_entries_n(txn, TABLE_DOCUMENTS, &pages_n, &err), err);
        CHECK_EQUAL(pages_n, KEPT + 1);
        store_abort(txn);
        store_close(store);
        size -= PAGE;
        CHECK_EQUAL(truncate(path, size), 0);
    }
    CHECK(size < whole - PAGE && size > 2 * PAGE); /* some were free, not all */
    CHECK(!store_open(folder, STORE_READ, &store, &err));
    CHECK(err.code == ERROR_CORRUPT && strstr(err.message, "cut short"));
    fixture_remove(folder);
}

/* The writer goes on with such a file, and makes it whole. */
static void a_short_file_is_made_whole(void) {
    struct error err;
    struct store *store;
    char folder[64], path[96];
    uint64_t pages_n;
    off_t whole = make_with_free_end(folder, path, 1);
    CHECK_EQUAL(truncate(path, whole - PAGE), 0);
    CHECK_OK(store_open(folder, STORE_WRITE, &store, &err), err);
    put_rows(store, 2, 300);
    store_close(store);
    CHECK(file_size(path) >= whole);
    CHECK(read_all(folder));
    CHECK_OK(store_check_pages(folder, &pages_n, &err), err);
    fixture_remove(folder);
}

/* Every bit of the sizes of entries, which LMDB believes: no value reaches out of its pages. */
static void sizes_of_entries_are_not_believed(void) {
    enum { LEAF = 2, KIND_AT = 10, FIRST_AT = 16, SIZE_BITS = 32, ROW_BYTES = 9000 };
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
    missing_free_pages_are_no_damage();
    a_short_file_is_made_whole();
    return check_result();
}
