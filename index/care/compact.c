#include "index/care/compact.h"

#include "index/care/backup.h"
#include "index/store/folder.h"
#include "index/inside.h"
#include "index/merges.h"

/* ---- all segments into one ---- */

static struct segment describe(const struct segments *olds, uint32_t id) {
    const struct segment *first = olds->items, *last = first + olds->n - 1;
    struct segment made = {
        .id = id,
        .docid_begin = first->docid_begin,
        .docid_end = last->docid_end,
        .docs_n = (uint32_t)segments_live_n(olds),
        .length_sum = segments_length_sum(olds),
        .tombstones = roaring_bitmap_create(),
    };
    for (size_t i = 0; i < olds->n; i++) {
        roaring_bitmap_or_inplace(made.tombstones, olds->items[i].tombstones);
        if (i > 0 && olds->items[i - 1].docid_end < olds->items[i].docid_begin)
            roaring_bitmap_add_range(made.tombstones, olds->items[i - 1].docid_end,
                                     olds->items[i].docid_begin);
    }
    return made;
}

static bool delete_segment(struct store_txn *txn, uint32_t id, struct error *err) {
    size_t work = SIZE_MAX;
    bool done;
    return merge_delete_postings(txn, id, &work, &done, err) &&
           store_delete_u32(txn, TABLE_SEGMENTS, id, err);
}

static bool merge_into_one(struct store_txn *txn, const struct segments *olds,
                           struct index_state *state, struct error *err) {
    struct fresh fresh = {.dead = roaring_bitmap_create()};
    struct segment made = describe(olds, state->segment_next++);
    struct merge_totals totals;
    bool ok = merge_postings(txn, made.id, olds->items, olds->n, &fresh, &totals, err);
    made.postings_n = ok ? totals.postings_n : 0;
    ok = ok && segment_write(txn, &made, err);
    for (size_t i = 0; ok && i < olds->n; i++)
        ok = delete_segment(txn, olds->items[i].id, err);
    roaring_bitmap_free(made.tombstones);
    roaring_bitmap_free(fresh.dead);
    return ok && index_state_write(txn, state, err);
}

static bool merge_all(struct index *index, struct error *err) {
    struct store_txn *txn;
    struct index_state state;
    struct segments segments = {0};
    bool dropped = false;
    if (!store_begin_write(index->store, &txn, err))
        return false;
    bool ok = index_state_read(txn, &state, err) && segments_read(txn, &segments, err) &&
              merges_drop(txn, &segments, &dropped, err);
    bool needed = ok && (segments.n > 1 || (segments.n == 1 && segments.items[0].dead_n > 0));
    if (needed)
        ok = merge_into_one(txn, &segments, &state, err);
    segments_done(&segments);
    if (ok && (needed || dropped))
        return store_commit(txn, err);
    store_abort(txn);
    return ok;
}

/* ---- the copy ---- */

static bool compact_opened(struct index *index, struct folder *folder, struct compact_totals *out,
                           struct error *err) {
    struct index_counts counts;
    struct backup_totals totals;
    if (!index_count(index, &counts, err) || !merge_all(index, err) ||
        !backup_copy_into(index, folder->making, err) ||
        !backup_verify(folder->making, index->folder, &totals, err) || !folder_place(folder, err))
        return false;
    *out = (struct compact_totals){
        .documents_n = totals.documents_n,
        .dead_n = counts.dead_n,
        .bytes_before = counts.bytes_on_disk,
        .bytes_after = totals.bytes,
    };
    return true;
}

bool index_compact(const char *folder, struct compact_totals *out, struct error *err) {
    struct folder beside = {.lock = -1};
    struct index *index = NULL;
    uint64_t pages_n;
    if (!index_exists(folder))
        return error_set(err, ERROR_NOT_FOUND, "%s: there is no index (no data.mdb)", folder);
    bool ok = store_check_pages(folder, &pages_n, err) &&
              index_open(folder, INDEX_WRITE, &index, err) &&
              folder_begin(folder, true, &beside, err) && compact_opened(index, &beside, out, err);
    index_close(index);
    folder_end(&beside);
    return ok;
}
