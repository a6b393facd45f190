/* What LMDB does to the file that the rest must not trip over. */
#include "index/store.h"

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

int main(void) {
    freed_pages_are_no_damage();
    return check_result();
}
