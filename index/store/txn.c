#include "index/store/txn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"

/* ---- views ---- */

static void release(struct store *store, struct view *view) {
    if (!view)
        return;
    pthread_mutex_lock(&store->views_lock);
    bool last = --view->holders_n == 0;
    pthread_mutex_unlock(&store->views_lock);
    if (last)
        view_close(view);
}

void store_forget_views(struct store *store) {
    struct view *view = store->newest;
    store->newest = NULL;
    release(store, view);
}

static bool open_view(struct store *store, uint64_t txn_id, struct view **out, bool *moved_out,
                      struct error *err) {
    mdb_filehandle_t fd;
    struct stat file;
    *moved_out = false;
    if (mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &file) != 0)
        return error_set_errno(err, "%s/data.mdb", store->folder);
    return view_open(store->folder, (const uint8_t *)store->map, store->page_bytes,
                     (uint64_t)file.st_size / store->page_bytes, txn_id, store->sum_of, out,
                     moved_out, err);
}

/* The caller holds the lock. */
static void keep(struct store *store, struct view *view) {
    struct view *before = store->newest;
    view->holders_n++;
    store->newest = view;
    if (before && --before->holders_n == 0)
        view_close(before);
}

static bool acquire(struct store *store, uint64_t txn_id, struct view **out, bool *moved_out,
                    struct error *err) {
    bool ok = true;
    *moved_out = false;
    pthread_mutex_lock(&store->views_lock);
    if (store->newest && store->newest->txn_id == txn_id) {
        *out = store->newest;
        (*out)->holders_n++;
    } else {
        ok = open_view(store, txn_id, out, moved_out, err);
        if (ok && (!store->newest || store->newest->txn_id < txn_id))
            keep(store, *out);
    }
    pthread_mutex_unlock(&store->views_lock);
    return ok;
}

bool store_check_lists(const struct store *store, MDB_txn *txn, bool writes, bool *moved_out,
                       struct error *err) {
    struct file_map file;
    struct view *view;
    MDB_stat stat;
    char path[4096];
    *moved_out = false;
    mdb_env_stat(store->env, &stat);
    snprintf(path, sizeof path, "%s/data.mdb", store->folder);
    if (!file_map_open(path, &file, err))
        return false;
    bool ok = view_open(store->folder, file.data, stat.ms_psize, file.len / stat.ms_psize,
                        mdb_txn_id(txn) - writes, store->sum_of, &view, moved_out, err);
    if (ok)
        view_close(view);
    file_map_close(&file);
    return ok;
}

/* Behind a commit: what it wrote is sealed (view.h). It is durable already, whatever becomes of
 * this, and the next commit's fsync takes it to the disk. */
static void seal(struct store *store, uint64_t txn_id) {
    uint8_t bytes[SEAL_BYTES];
    struct view *view;
    struct error ignored;
    mdb_filehandle_t fd;
    bool moved; /* a transaction that changed nothing has no commit of its own */
    if (!open_view(store, txn_id, &view, &moved, &ignored))
        return;
    seal_make(view, bytes);
    if (mdb_env_get_fd(store->env, &fd) == 0)
        (void)!pwrite(fd, bytes, sizeof bytes, (off_t)(txn_id % 2 * store->page_bytes + SEAL_AT));
    pthread_mutex_lock(&store->views_lock);
    keep(store, view);
    pthread_mutex_unlock(&store->views_lock);
    release(store, view);
}

void store_seal_copy(const struct store *store, const char *path, int fd) {
    enum { COPY_TXN = 1 }; /* LMDB's, of every copy */
    uint8_t bytes[SEAL_BYTES];
    struct file_map file;
    struct view *view;
    struct error ignored;
    bool moved;
    if (!file_map_open(path, &file, &ignored))
        return;
    if (view_open(path, file.data, store->page_bytes, file.len / store->page_bytes, COPY_TXN,
                  store->sum_of, &view, &moved, &ignored)) {
        seal_make(view, bytes);
        (void)!pwrite(fd, bytes, sizeof bytes, (off_t)(COPY_TXN * store->page_bytes + SEAL_AT));
        view_close(view);
    }
    file_map_close(&file);
}

/* ---- transactions ---- */

static struct store_txn *wrap_txn(struct store *store, MDB_txn *inner, struct view *view,
                                  bool writes) {
    struct store_txn *txn = mem_alloc(1, sizeof *txn);
    *txn = (struct store_txn){.store = store, .txn = inner, .view = view, .writes = writes};
    if (writes)
        txn->guarded = mem_zalloc(TABLES_N, sizeof *txn->guarded);
    return txn;
}

static void unwrap_txn(struct store_txn *txn) {
    release(txn->store, txn->view);
    free(txn->guarded);
    free(txn);
}

bool store_begin_read(struct store *store, struct store_txn **out, struct error *err) {
    enum { TRIES = 100 }; /* two commits of others between one line and the next are rare */
    bool moved = true;
    for (int i = 0; i < TRIES && moved; i++) {
        MDB_txn *inner;
        struct view *view;
        int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &inner);
        if (rc == MDB_READERS_FULL) { /* perhaps by processes that are dead */
            mdb_reader_check(store->env, &(int){0});
            rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &inner);
        }
        if (rc != 0)
            return store_failed(store, rc, "read", err);
        if (acquire(store, mdb_txn_id(inner), &view, &moved, err)) {
            *out = wrap_txn(store, inner, view, false);
            return true;
        }
        mdb_txn_abort(inner);
    }
    return false;
}

bool store_begin_write(struct store *store, struct store_txn **out, struct error *err) {
    MDB_txn *inner;
    struct view *view;
    bool moved;
    if (!store_is_writable(store))
        return error_set(err, ERROR_INVALID,
                         store->writer_lock < 0 ? "%s: opened for reading only"
                                                : "%s: the writer's lock was given back",
                         store->folder);
    int rc = mdb_txn_begin(store->env, NULL, 0, &inner);
    if (rc != 0)
        return store_failed(store, rc, "write", err);
    if (!acquire(store, mdb_txn_id(inner) - 1, &view, &moved, err)) {
        mdb_txn_abort(inner);
        return false;
    }
    *out = wrap_txn(store, inner, view, true);
    return true;
}

bool store_commit(struct store_txn *txn, struct error *err) {
    struct store *store = txn->store;
    uint64_t txn_id = mdb_txn_id(txn->txn);
    store_settle(txn);
    int rc = mdb_txn_commit(txn->txn);
    bool ok = rc == 0 || store_failed(store, rc, "commit", err);
    if (ok) {
        store_extend(store);
        seal(store, txn_id);
    }
    unwrap_txn(txn);
    return ok;
}

void store_abort(struct store_txn *txn) {
    if (!txn)
        return;
    if (txn->txn)
        mdb_txn_abort(txn->txn);
    salvage_close(txn->salvage);
    unwrap_txn(txn);
}

uint64_t store_txn_id(const struct store_txn *txn) {
    return mdb_txn_id(txn->txn);
}

bool store_begin_salvage(struct store *store, struct store_txn **out, bool *with_old_out,
                         struct error *err) {
    struct salvage *salvage;
    if (!salvage_open(store->folder, store->sum_of, &salvage, err))
        return false;
    *with_old_out = salvage->with_old;
    *out = wrap_txn(store, NULL, NULL, false);
    (*out)->salvage = salvage;
    return true;
}

void store_be_lenient(struct store_txn *txn) {
    txn->lenient = true;
}
