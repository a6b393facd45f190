/* store/inside.h - what the files of the store share; lmdb.h goes no further.
 *
 * open.c: the folder, its locks, the environment. txn.c: transactions, and what is known of the
 * commit they read. store.c: values, cursors. */
#ifndef TERCET_INDEX_STORE_INSIDE_H
#define TERCET_INDEX_STORE_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

#include "index/store/store.h"
#include "index/store/value_sum.h"

struct store {
    char *folder;
    MDB_env *env;
    MDB_dbi tables[TABLES_N];
    value_sum_kind *sum_of;
    uintptr_t map;    /* where the file lies in memory; 0: not known */
    size_t map_bytes; /* of address space */
    size_t page_bytes;
    int writer_lock; /* file descriptor; -1 when reading only */
    bool is_writer;  /* the lock is held; the writing thread's */
    int held_folder; /* descriptor: its inode is given to no other folder meanwhile; -1: none */
    dev_t device;    /* with inode: who has this folder open in this process */
    ino_t inode;
    struct store *next_open;
    pthread_mutex_t views_lock; /* newest, and its holders' number; view.h */
    struct view *newest;
};

/* What LMDB's code means, as an error of ours: "FOLDER/data.mdb: DOING: ...". Returns false. */
bool store_failed(const struct store *store, int rc, const char *doing, struct error *err);

/* The same of a call that wrote to another file as well. */
bool store_failed_copy(const struct store *store, int rc, const char *path, struct error *err);

/* Makes the file as long as its newest commit says (store/open.c says why it may not be). */
void store_extend(const struct store *store);

#endif
