/* txn.h - inside the store: a transaction, and the views (view.h) that transactions of one commit
 * share. */
#ifndef TERCET_INDEX_STORE_TXN_H
#define TERCET_INDEX_STORE_TXN_H

#include "index/store/inside.h"
#include "index/store/salvage.h"
#include "index/store/tree.h"

/* The place of the commit that LMDB was last led to in a table. */
struct guarded {
    struct tree_cursor at;
    struct bytes until; /* tree_guard's */
    bool known;
    int gap; /* in front of this entry of its leaf none was lost; NO_GAP */
};
enum { NO_GAP = -1 };

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    struct view *view;       /* of the commit that it reads, or changes */
    struct salvage *salvage; /* instead of both */
    bool writes;
    bool lenient;               /* an entry that is not found need not be vouched for */
    struct guarded *guarded;    /* [TABLES_N] of one that writes */
    bool end_guarded[TABLES_N]; /* LMDB may go to the table's end */
    struct { /* store_append's room, whose sum is added once it was filled; at NULL: none */
        enum store_table table;
        uint8_t *at;
        size_t len, key_len;
        uint8_t key[KEY_BYTES_MAX];
    } unsealed;
};

/* Every call that reads or changes something begins with this: after it the room that store_append
 * handed out may be moved. */
void store_settle(struct store_txn *txn);

/* The tables' records and the free pages of the commit that LMDB's transaction reads (or changes),
 * before LMDB looks at them: it is only opening, and the map is not known yet. */
bool store_check_lists(const struct store *store, MDB_txn *txn, bool writes, bool *moved_out,
                       struct error *err);

/* The seal of a copy that LMDB made. */
void store_seal_copy(const struct store *store, const char *path, int fd);

bool store_begin_salvage(struct store *store, struct store_txn **out, bool *with_old_out,
                         struct error *err);

void store_forget_views(struct store *store); /* at close */

#endif
