/* A folder is opened and closed: its locks, LMDB's environment, and what a damaged or half-made
 * file is refused for. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/store/lock.h"
#include "index/store/pages.h"
#include "index/store/txn.h"

enum {
    /* Read transactions open at once over all processes; a slot is 64 bytes of lock.mdb. */
    READERS_MAX = 1024,
    PATH_BYTES_MAX = 4096,
};

/* The map is address space, not disk and not memory: data.mdb grows only as pages are written.
 * Reserving more than any index needs means that it never has to be enlarged, which LMDB allows
 * only while no transaction is open. 1 TiB is 1/128 of an x86-64 address space, so only a process'
 * first indexes get so much; of a thousand the others get 64 GiB, or four times what they are.
 * Where that is refused (ulimit -v, a sanitizer) less is tried. */
static const size_t map_bytes_first = (size_t)1 << 40;
static const size_t map_bytes_further = (size_t)1 << 36;
static const size_t map_bytes_least = (size_t)1 << 30;
enum { ROOMY_STORES_MAX = 32, MAP_GROWTH = 4 };

/* The folders that this process has open. */
static pthread_mutex_t open_stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *open_stores;

/* ---- locks ---- */

static bool join_path(const char *folder, const char *name, char out[PATH_BYTES_MAX],
                      struct error *err) {
    int length = snprintf(out, PATH_BYTES_MAX, "%s/%s", folder, name);
    if (length < 0 || length >= PATH_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "folder name longer than %d bytes: %.100s...",
                         PATH_BYTES_MAX, folder);
    return true;
}

static bool open_writer_lock(struct store *store, struct error *err) {
    char path[PATH_BYTES_MAX];
    if (!join_path(store->folder, "writer.lock", path, err))
        return false;
    store->writer_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return store->writer_lock >= 0 || error_set_errno(err, "%s", path);
}

static bool take_writer_lock(struct store *store, struct error *err) {
    if (lock_take(store->writer_lock)) {
        store->is_writer = true;
        return true;
    }
    if (errno != EWOULDBLOCK)
        return error_set_errno(err, "%s/writer.lock", store->folder);
    return error_set(err, ERROR_BUSY,
                     "%s: another process is writing to this index; wait for it, stop it, or send "
                     "it the documents",
                     store->folder);
}

/* As the mode asks. */
static bool open_for(struct store *store, enum store_mode mode, struct error *err) {
    return mode == STORE_READ ||
           (open_writer_lock(store, err) && (mode == STORE_SHARED || take_writer_lock(store, err)));
}

/* Enters the folder in the list of those this process has open. */
static bool register_store(struct store *store, struct error *err) {
    struct stat info;
    store->held_folder = open(store->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (store->held_folder < 0 || fstat(store->held_folder, &info) != 0)
        return error_set_errno(err, "%s", store->folder);
    pthread_mutex_lock(&open_stores_lock);
    for (struct store *other = open_stores; other; other = other->next_open) {
        if (other->device == info.st_dev && other->inode == info.st_ino) {
            pthread_mutex_unlock(&open_stores_lock);
            return error_set(err, ERROR_BUSY, "%s: already open in this process; use that handle",
                             store->folder);
        }
    }
    store->device = info.st_dev;
    store->inode = info.st_ino;
    store->next_open = open_stores;
    open_stores = store;
    pthread_mutex_unlock(&open_stores_lock);
    return true;
}

static void unregister_store(struct store *store) {
    pthread_mutex_lock(&open_stores_lock);
    for (struct store **at = &open_stores; *at; at = &(*at)->next_open) {
        if (*at == store) {
            *at = store->next_open;
            break;
        }
    }
    pthread_mutex_unlock(&open_stores_lock);
}

/* One try with one map size; a failed environment must be closed and made again. */
static int open_environment(struct store *store, size_t map_bytes, unsigned flags) {
    int rc = mdb_env_create(&store->env);
    if (rc != 0) {
        store->env = NULL;
        return rc;
    }
    if ((rc = mdb_env_set_mapsize(store->env, map_bytes)) == 0 &&
        (rc = mdb_env_set_maxreaders(store->env, READERS_MAX)) == 0 &&
        (rc = mdb_env_set_maxdbs(store->env, TABLES_N)) == 0)
        rc = mdb_env_open(store->env, store->folder, flags, 0666);
    if (rc != 0) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return rc;
}

static bool cut_off(const struct store *store, struct error *err) {
    return error_set(err, ERROR_NOT_FOUND,
                     "%s: its making was cut off before it held anything; ingest into it, or "
                     "delete it",
                     store->folder);
}

/* moved_out: others have committed twice in between; try again. */
static bool open_tables(struct store *store, enum store_mode mode, bool *moved_out,
                        struct error *err) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, mode == STORE_CREATE ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return store_failed(store, rc, "open", err);
    if (!store_check_lists(store, txn, mode == STORE_CREATE, moved_out, err)) {
        mdb_txn_abort(txn);
        return false;
    }
    for (int t = 0; t < TABLES_N; t++) {
        rc = mdb_dbi_open(txn, store_table_name((enum store_table)t),
                          mode == STORE_CREATE ? MDB_CREATE : 0, &store->tables[t]);
        if (rc == MDB_NOTFOUND && (t == TABLE_FIELDS || t == TABLE_PASSAGES))
            continue; /* older formats had none, and are refused by number; until then: no handle */
        if (rc != 0) {
            MDB_stat stat = {.ms_entries = 1};
            mdb_env_stat(store->env, &stat);
            mdb_txn_abort(txn);
            if (rc == MDB_NOTFOUND && stat.ms_entries == 0)
                return cut_off(store, err);
            if (rc == MDB_NOTFOUND)
                return error_set(err, ERROR_CORRUPT,
                                 "%s/data.mdb: no table \"%s\": this is not "
                                 "a Tercet index, or it was never finished",
                                 store->folder, store_table_name((enum store_table)t));
            return store_failed(store, rc, store_table_name((enum store_table)t), err);
        }
    }
    rc = mdb_txn_commit(txn); /* of a read transaction too: it is what keeps the handles open */
    return rc == 0 || store_failed(store, rc, "open", err);
}

/* LMDB does not say where it put the file; but a table's record lies in a page that knows its own
 * number. */
static bool find_map(struct store *store, struct error *err) {
    MDB_txn *txn;
    MDB_dbi tables;
    MDB_stat stat;
    MDB_envinfo info;
    const char *name = store_table_name(TABLE_META);
    MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)(uintptr_t)name}, value;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return store_failed(store, rc, "open", err);
    mdb_env_stat(store->env, &stat);
    mdb_env_info(store->env, &info);
    if ((rc = mdb_dbi_open(txn, NULL, 0, &tables)) == 0 &&
        (rc = mdb_get(txn, tables, &key, &value)) == 0) {
        uintptr_t page = (uintptr_t)value.mv_data / stat.ms_psize * stat.ms_psize;
        store->map = page - get_u64((const void *)page) * stat.ms_psize;
        store->map_bytes = info.me_mapsize;
        store->page_bytes = stat.ms_psize;
    }
    mdb_txn_abort(txn);
    return rc == 0 || store_failed(store, rc, "open", err);
}

/* What the file has, and what its newest commit says that it has. */
static bool read_sizes(const struct store *store, mdb_filehandle_t *fd_out, uint64_t *found_out,
                       uint64_t *expected_out) {
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    *expected_out = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    if (mdb_env_get_fd(store->env, fd_out) != 0 || fstat(*fd_out, &file) != 0)
        return false;
    *found_out = (uint64_t)file.st_size;
    return true;
}

/* LMDB does not write a page that one transaction both took from the end and freed again, but it
 * counts it: mass deletion leaves a file shorter than it says. Made whole here, so that check_size
 * can tell it from one that was cut. The commit is durable already, whatever becomes of this. */
void store_extend(const struct store *store) {
    mdb_filehandle_t fd;
    uint64_t found, expected;
    if (read_sizes(store, &fd, &found, &expected) && found < expected &&
        ftruncate(fd, (off_t)expected) == 0)
        (void)fsync(fd);
}

/* Every page of the newest commit, none by LMDB. */
static bool check_pages(struct store *store, uint64_t *pages_n_out, struct error *err) {
    char path[PATH_BYTES_MAX];
    MDB_txn *txn;
    if (!join_path(store->folder, "data.mdb", path, err))
        return false;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return store_failed(store, rc, "open", err);
    bool ok = pages_check(path, mdb_txn_id(txn), pages_n_out, err);
    mdb_txn_abort(txn);
    return ok;
}

/* A file cut short would raise SIGBUS at the first page that is missing. Between a commit and its
 * extend another process's file may be short for a moment. */
static bool check_size(struct store *store, struct error *err) {
    enum { TRIES = 25, WAIT_US = 2000 };
    mdb_filehandle_t fd;
    uint64_t found = 0, expected = 1;
    for (int i = 0; i < TRIES && found < expected; i++) {
        if (i > 0)
            usleep(WAIT_US);
        if (!read_sizes(store, &fd, &found, &expected))
            return error_set_errno(err, "%s/data.mdb", store->folder);
    }
    /* All that is missing may be free pages: a kill came between a commit and its extend. */
    struct error ignored;
    uint64_t pages_n;
    if (found >= expected || check_pages(store, &pages_n, &ignored))
        return true; /* the next commit makes the file whole */
    return error_set(err, ERROR_CORRUPT,
                     "%s/data.mdb: %llu bytes, its newest commit has %llu (it was cut short; "
                     "restore it from a snapshot)",
                     store->folder, (unsigned long long)found, (unsigned long long)expected);
}

/* LMDB's two first pages are all a file can hold whose making was cut off before they were synced:
 * with them a power cut or kill leaves zeros, or a half. Nothing was ever committed to it. */
static bool was_never_made(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && file.st_size <= 2 * sysconf(_SC_PAGESIZE);
}

static bool check_metas(struct store *store, enum store_mode mode, struct error *err) {
    char path[PATH_BYTES_MAX];
    if (!join_path(store->folder, "data.mdb", path, err))
        return false;
    if (pages_check_metas(path, err))
        return true;
    if (!was_never_made(path))
        return false;
    if (mode != STORE_CREATE)
        return cut_off(store, err);
    return truncate(path, 0) == 0 || error_set_errno(err, "%s", path);
}

static size_t map_bytes_wanted(const struct store *store) {
    char path[PATH_BYTES_MAX];
    struct stat data;
    struct error ignored;
    size_t stores_n = 0, bytes = map_bytes_further;
    pthread_mutex_lock(&open_stores_lock);
    for (const struct store *at = open_stores; at; at = at->next_open)
        stores_n++;
    pthread_mutex_unlock(&open_stores_lock);
    if (stores_n <= ROOMY_STORES_MAX) /* this one is among them */
        return map_bytes_first;
    if (join_path(store->folder, "data.mdb", path, &ignored) && stat(path, &data) == 0)
        while (bytes < map_bytes_first && bytes / MAP_GROWTH < (size_t)data.st_size)
            bytes *= 2;
    return bytes;
}

static bool open_data(struct store *store, enum store_mode mode, struct error *err) {
    if (!check_metas(store, mode, err))
        return false;
    /* NOTLS: a snapshot may be opened by one thread and used by another.
     * NORDAHEAD: forward rows are read at random; read-ahead would fill memory with strangers. */
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (mode == STORE_READ ? MDB_RDONLY : 0);
    int rc = 0;
    for (size_t bytes = map_bytes_wanted(store); bytes >= map_bytes_least; bytes /= 4) {
        rc = open_environment(store, bytes, flags);
        if (rc != ENOMEM && rc != EINVAL)
            break;
    }
    if (rc == 0 && mode == STORE_CREATE) /* before anything is committed: see was_never_made */
        rc = mdb_env_sync(store->env, 1);
    if (rc != 0)
        return store_failed(store, rc, "open", err);
    mdb_reader_check(store->env, &(int){0}); /* frees the slots of readers that were killed */
    return check_size(store, err);
}

/* The files that were opened one after the other all lie in the folder that has this name now. */
bool store_is_current(const struct store *store) {
    struct stat folder, named, held;
    struct error ignored;
    char path[PATH_BYTES_MAX];
    if (stat(store->folder, &folder) != 0 || folder.st_ino != store->inode ||
        folder.st_dev != store->device)
        return false;
    return store->writer_lock < 0 ||
           (join_path(store->folder, "writer.lock", path, &ignored) && stat(path, &named) == 0 &&
            fstat(store->writer_lock, &held) == 0 && named.st_ino == held.st_ino);
}

static struct store *store_new(const char *folder) {
    struct store *store = mem_zalloc(1, sizeof *store);
    store->folder = mem_strdup(folder);
    store->sum_of = value_sum_choose();
    store->writer_lock = store->held_folder = -1;
    pthread_mutex_init(&store->views_lock, NULL);
    return store;
}

/* One try; *moved_out: the folder was exchanged for another meanwhile (folder.h). */
static bool try_open(const char *folder, enum store_mode mode, struct store **out, bool *moved_out,
                     struct error *err) {
    struct store *store = store_new(folder);
    bool ok = open_for(store, mode, err) && register_store(store, err);
    bool opened = ok && open_data(store, mode, err);
    *moved_out = ok && !store_is_current(store);
    if (opened && !*moved_out && open_tables(store, mode, moved_out, err) && find_map(store, err)) {
        *out = store;
        return true;
    }
    store_close(store);
    return false;
}

bool store_open(const char *folder, enum store_mode mode, struct store **out, struct error *err) {
    enum { TRIES = 8 };
    bool moved = true;
    for (int i = 0; i < TRIES && moved; i++)
        if (try_open(folder, mode, out, &moved, err))
            return true;
    return moved ? error_set(err, ERROR_BUSY, "%s: exchanged again and again; try later", folder)
                 : false;
}

/* ---- a lock for moments ---- */

void store_yield(struct store *store) {
    if (store->is_writer)
        flock(store->writer_lock, LOCK_UN);
    store->is_writer = false;
}

/* Whoever exchanges a folder holds its lock. So with the lock in hand and the folder where it was,
 * it stays there. */
bool store_claim(struct store *store, bool *moved_out, struct error *err) {
    *moved_out = false;
    if (store->is_writer)
        return true;
    if (store->writer_lock < 0)
        return error_set(err, ERROR_INVALID, "%s: opened for reading only", store->folder);
    if (!take_writer_lock(store, err))
        return false;
    if (store_is_current(store))
        return true;
    store_yield(store);
    *moved_out = true;
    return error_set(err, ERROR_BUSY, "%s: was exchanged; it must be opened again", store->folder);
}

bool store_copy(struct store *store, const char *path, struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno(err, "%s", path);
    int rc = mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT);
    if (rc == 0)
        store_seal_copy(store, path, fd);
    bool ok = rc == 0 ? fsync(fd) == 0 || error_set_errno(err, "%s: fsync", path)
                      : store_failed_copy(store, rc, path, err);
    close(fd);
    return ok;
}

bool store_check_pages(const char *folder, uint64_t *pages_n_out, struct error *err) {
    struct store *store = store_new(folder);
    bool ok = register_store(store, err) && open_data(store, STORE_READ, err) &&
              check_pages(store, pages_n_out, err);
    store_close(store);
    return ok;
}

bool store_open_salvage(const char *folder, struct store **store_out, struct store_txn **txn_out,
                        bool *with_old_out, struct error *err) {
    struct store *store = store_new(folder);
    if (register_store(store, err) && store_begin_salvage(store, txn_out, with_old_out, err)) {
        *store_out = store;
        return true;
    }
    store_close(store);
    return false;
}

void store_close(struct store *store) {
    if (!store)
        return;
    store_forget_views(store);
    if (store->env)
        mdb_env_close(store->env);
    unregister_store(store);
    if (store->writer_lock >= 0)
        close(store->writer_lock);
    if (store->held_folder >= 0)
        close(store->held_folder);
    pthread_mutex_destroy(&store->views_lock);
    free(store->folder);
    free(store);
}
