/* When a generation is made: at once for a writer who waits (writer_build_dense), or by a thread
 * beside everything else (index_tend). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/dense/dense.h"
#include "index/dense/build.h"
#include "index/dense/file.h"
#include "index/inside.h"
#include "index/writer.h"

enum {
    /* A new generation when more than this part of the old one is uncovered, and more than
     * dense_limits.uncovered_min: extending writes the whole file again. */
    UNCOVERED_PART = 10,
    TENDER_THREADS = 1, /* the cores are for searches */
};

/* There are enough rows, and there is no generation yet, or much is newer, or for certain more than
 * half of it is dead, or it cannot be used. */
static bool worth_building(struct dense_index *dense, const struct snapshot *snapshot) {
    struct index_generation named = snapshot_generation(snapshot);
    struct dense_limits limits = dense_index_limits(dense);
    uint64_t documents_n = snapshot_documents_n(snapshot), rows_n = snapshot_passages_n(snapshot);
    if (documents_n == 0 || rows_n < limits.generation_rows_min)
        return false;
    uint64_t uncovered = snapshot_docid_end(snapshot) - named.covered_end;
    uint64_t uncovered_rows = uncovered * rows_n / documents_n; /* about */
    return named.number == 0 ||
           (uncovered_rows > limits.uncovered_min &&
            uncovered > named.covered_end / UNCOVERED_PART) ||
           named.rows_n / 2 > rows_n || !dense_usable(dense, named);
}

struct making {
    struct index *index;
    struct index_generation made;
    struct buf path, half_made; /* of its file */
    bool wanted;                /* there was something to do */
};

/* Under dense_making. Where something was wanted, the whole file lies at half_made. */
static bool make(struct making *making, size_t threads_n, const atomic_bool *stop, bool alone,
                 struct error *err) {
    struct index *index = making->index;
    struct dense_index *dense = index_dense(index);
    struct snapshot *snapshot;
    struct buf old_path = {0};
    if (!snapshot_open(index, &snapshot, err))
        return false;
    struct index_generation named = snapshot_generation(snapshot);
    making->wanted = worth_building(dense, snapshot);
    dense_path(dense, named.number + 1, &making->path);
    dense_making_path(dense, named.number + 1, &making->half_made);
    dense_path(dense, named.number, &old_path);
    struct dense_build build = {
        .path = making->half_made.data,
        .old_path = old_path.data,
        .number = named.number + 1,
        .lists_rows_min = dense_index_limits(dense).lists_rows_min,
        .threads_n = threads_n,
        .stop = stop,
        .alone = alone,
    };
    bool ok = !making->wanted || (file_make_folder(dense_folder(dense), err) &&
                                  dense_build(&build, snapshot, &making->made, err));
    snapshot_close(snapshot);
    buf_done(&old_path);
    return ok;
}

/* Before the commit that names it. */
static bool place(const struct making *making, struct error *err) {
    return dense_file_place(making->half_made.data, making->path.data, err);
}

static void making_done(struct making *making) {
    if (making->half_made.data)
        unlink(making->half_made.data); /* it is not there any more when all went well */
    buf_done(&making->path);
    buf_done(&making->half_made);
}

bool writer_build_dense(struct writer *writer, size_t threads_n, struct error *err) {
    struct making making = {.index = writer_index(writer)};
    struct dense_index *dense = index_dense(making.index);
    const atomic_bool never = false;
    if (!dense)
        return true;
    if (!writer_rest(writer, err))
        return error_wrap(err, "dense generation: ");
    pthread_mutex_lock(dense_making(dense));
    bool ok = make(&making, threads_n, &never, true, err) &&
              (!making.wanted ||
               (place(&making, err) && writer_name_generation(writer, making.made, err)));
    if (ok && making.wanted)
        dense_remove_others(dense, making.made.number);
    making_done(&making);
    pthread_mutex_unlock(dense_making(dense));
    return ok || error_wrap(err, "dense generation: ");
}

/* ---- meanwhile ---- */

struct dense_tender {
    struct index *index;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the rest */
    pthread_t thread;
    bool started, /* there is a thread to be joined */
        working,  /* it has not decided to end yet */
        again;    /* it was asked for once more meanwhile */
};

/* In a transaction of its own, which waits for a writer's batch to end; that writer reads the
 * generation anew with its next batch. Another process may have named one meanwhile. */
static bool name(const struct making *making, struct error *err) {
    struct index_generation made = making->made;
    struct store_txn *txn;
    struct index_state state;
    if (!store_begin_write(making->index->store, &txn, err))
        return false;
    bool ok = index_state_read(txn, &state, err);
    if (ok && state.generation_number + 1 != made.number)
        ok = error_set(err, ERROR_BUSY, "another process was faster");
    state.generation_number = made.number;
    state.generation_covered_end = made.covered_end;
    state.generation_rows_n = made.rows_n;
    if (ok && place(making, err) && index_state_write(txn, &state, err))
        return store_commit(txn, err);
    store_abort(txn);
    return false;
}

/* Whether it may write now is asked before the work and again behind it: a folder that is shared
 * belongs to who writes at the moment, and who writes for long makes generations of his own. */
static bool may_write(struct index *index, struct error *err) {
    if (!index_claim_to_tend(index, err))
        return false;
    index_yield_to_tend(index);
    return true;
}

/* A failure is nobody's: searches are right without a generation, and the next call tries again. */
static void tend_once(struct dense_tender *tender) {
    struct making making = {.index = tender->index};
    struct dense_index *dense = index_dense(tender->index);
    struct error ignored;
    pthread_mutex_lock(dense_making(dense));
    if (may_write(tender->index, &ignored) &&
        make(&making, TENDER_THREADS, &tender->stop, false, &ignored) && making.wanted &&
        index_claim_to_tend(tender->index, &ignored)) {
        if (name(&making, &ignored))
            dense_remove_others(dense, making.made.number);
        index_yield_to_tend(tender->index);
    }
    making_done(&making);
    pthread_mutex_unlock(dense_making(dense));
}

static void *tend(void *context) {
    struct dense_tender *tender = context;
    bool more = true;
    while (more) {
        tend_once(tender);
        pthread_mutex_lock(&tender->lock);
        more = tender->again && !atomic_load(&tender->stop);
        tender->again = false;
        tender->working = more;
        pthread_mutex_unlock(&tender->lock);
    }
    return NULL;
}

struct dense_tender *dense_tender_new(struct index *index) {
    struct dense_tender *tender = mem_zalloc(1, sizeof *tender);
    tender->index = index;
    pthread_mutex_init(&tender->lock, NULL);
    return tender;
}

void dense_tender_free(struct dense_tender *tender) {
    if (!tender)
        return;
    atomic_store(&tender->stop, true);
    if (tender->started)
        pthread_join(tender->thread, NULL);
    pthread_mutex_destroy(&tender->lock);
    free(tender);
}

void index_tend(struct index *index) {
    struct dense_tender *tender = index->tender;
    if (!tender)
        return;
    pthread_mutex_lock(&tender->lock);
    if (tender->working) {
        tender->again = true;
    } else {
        if (tender->started)
            pthread_join(tender->thread, NULL);
        tender->started = pthread_create(&tender->thread, NULL, tend, tender) == 0;
        tender->working = tender->started;
    }
    pthread_mutex_unlock(&tender->lock);
}

bool index_is_tending(struct index *index) {
    struct dense_tender *tender = index->tender;
    if (!tender)
        return false;
    pthread_mutex_lock(&tender->lock);
    bool working = tender->working;
    pthread_mutex_unlock(&tender->lock);
    return working;
}
