/* A snapshot: one LMDB read transaction, and the segments that every snapshot of the same commit
 * shares (parsing tombstones once per commit, not once per search). */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "index/inside.h"

/* ---- what snapshots of one commit share ---- */

static void release(struct index *index, struct published *published) {
    if (!published)
        return;
    pthread_mutex_lock(&index->published_lock);
    bool last = --published->holders_n == 0;
    pthread_mutex_unlock(&index->published_lock);
    if (last) {
        segments_done(&published->segments);
        free(published);
    }
}

static struct published *acquire(struct index *index, uint64_t txn_id) {
    pthread_mutex_lock(&index->published_lock);
    struct published *published = index->published;
    if (published && published->txn_id == txn_id)
        published->holders_n++;
    else
        published = NULL;
    pthread_mutex_unlock(&index->published_lock);
    return published;
}

/* Two threads may parse the same commit at once; the later one's is kept, both are right. */
static struct published *publish(struct index *index, uint64_t txn_id, struct segments segments) {
    struct published *published = mem_alloc(1, sizeof *published), *before = NULL;
    *published = (struct published){
        .txn_id = txn_id,
        .holders_n = 1,
        .segments = segments,
        .live_n = segments_live_n(&segments),
        .length_sum = segments_length_sum(&segments),
    };
    pthread_mutex_lock(&index->published_lock);
    if (!index->published || index->published->txn_id <= txn_id) {
        before = index->published;
        index->published = published;
        published->holders_n++;
    }
    pthread_mutex_unlock(&index->published_lock);
    release(index, before);
    return published;
}

void index_unpublish(struct index *index) {
    struct published *published = index->published;
    index->published = NULL;
    release(index, published);
}

/* ---- the snapshot ---- */

bool snapshot_open(struct index *index, struct snapshot **out, struct error *err) {
    struct snapshot snapshot = {.index = index};
    struct segments segments;
    if (!store_begin_read(index->store, &snapshot.txn, err))
        return false;
    if (!index_state_read(snapshot.txn, &snapshot.state, err))
        goto failed;
    uint64_t txn_id = store_txn_id(snapshot.txn);
    snapshot.published = acquire(index, txn_id);
    if (!snapshot.published) {
        if (!segments_read(snapshot.txn, &segments, err))
            goto failed;
        snapshot.published = publish(index, txn_id, segments);
    }
    *out = mem_alloc(1, sizeof snapshot);
    **out = snapshot;
    return true;
failed:
    store_abort(snapshot.txn);
    return false;
}

void snapshot_close(struct snapshot *snapshot) {
    if (!snapshot)
        return;
    release(snapshot->index, snapshot->published);
    store_abort(snapshot->txn);
    free(snapshot);
}

uint64_t snapshot_documents_n(const struct snapshot *snapshot) {
    return snapshot->published->live_n;
}

uint64_t snapshot_passages_n(const struct snapshot *snapshot) {
    return snapshot->state.passages_n;
}

bool snapshot_is_live(const struct snapshot *snapshot, uint32_t docid) {
    return segments_is_live(&snapshot->published->segments, docid);
}

uint32_t snapshot_docid_end(const struct snapshot *snapshot) {
    return snapshot->state.docid_next;
}

struct index *snapshot_index(const struct snapshot *snapshot) {
    return snapshot->index;
}

struct index_generation snapshot_generation(const struct snapshot *snapshot) {
    return (struct index_generation){
        .number = snapshot->state.generation_number,
        .covered_end = snapshot->state.generation_covered_end,
        .rows_n = snapshot->state.generation_rows_n,
    };
}
