#include "index/merges.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

/* The value: docs/disk-format.md, "merge". */
enum {
    HEAD_BYTES = 8,
    AT_ID = 0,
    AT_OLDS_N = 4,
    AT_DEAD_BEFORE = 8,
    AT_ZERO = 12,
    AT_TERM_NEXT = 16,
    AT_POSTINGS_N = 24,
    AT_OLDS = 32,
};
static const char merge_key[] = "merge";
enum { MERGE_KEY_LEN = sizeof merge_key - 1 };

/* ---- reading and writing ---- */

/* Where in the list the segment stands; segments->n: nowhere. */
static size_t find(const struct segments *segments, uint32_t id) {
    size_t i = 0;
    while (i < segments->n && segments->items[i].id != id)
        i++;
    return i;
}

/* The first of its olds, all of which are there and neighbours; NULL when they are not. */
static struct segment *olds_of(const struct merging *merging, const struct segments *segments) {
    size_t first = find(segments, merging->olds[0]);
    if (merging->olds_n > segments->n - first)
        return NULL;
    for (size_t i = 0; i < merging->olds_n; i++)
        if (segments->items[first + i].id != merging->olds[i])
            return NULL;
    return &segments->items[first];
}

static void push_remains(struct merges *merges, uint32_t id) {
    if (merges->remains_n == merges->remains_cap) {
        merges->remains_cap = merges->remains_cap ? 2 * merges->remains_cap : 16;
        merges->remains = mem_realloc(merges->remains, merges->remains_cap, sizeof id);
    }
    merges->remains[merges->remains_n++] = id;
}

static bool parse_one(struct bytes *rest, const struct segments *segments, struct merging *out) {
    const uint8_t *at = rest->data;
    if (rest->len < AT_OLDS)
        return false;
    out->id = get_u32(at + AT_ID);
    out->olds_n = get_u32(at + AT_OLDS_N);
    out->dead_before = get_u32(at + AT_DEAD_BEFORE);
    out->place.term_next = get_u64(at + AT_TERM_NEXT);
    out->place.postings_n = get_u64(at + AT_POSTINGS_N);
    if (out->olds_n == 0 || out->olds_n > MERGES_OLDS_MAX ||
        (rest->len - AT_OLDS) / 4 < out->olds_n || out->place.term_next > MERGE_PLACE_END ||
        find(segments, out->id) < segments->n)
        return false;
    for (size_t i = 0; i < out->olds_n; i++)
        out->olds[i] = get_u32(at + AT_OLDS + 4 * i);
    *rest = (struct bytes){at + AT_OLDS + 4 * out->olds_n, rest->len - AT_OLDS - 4 * out->olds_n};
    const struct segment *olds = olds_of(out, segments);
    uint64_t dead_n = 0;
    for (size_t i = 0; olds && i < out->olds_n; i++)
        dead_n += olds[i].dead_n;
    return olds && out->dead_before <= dead_n;
}

static bool parse(struct bytes value, const struct segments *segments, struct merges *out) {
    const uint8_t *at = value.data;
    if (value.len < HEAD_BYTES)
        return false;
    size_t n = get_u32(at), remains_n = get_u32(at + 4);
    if (n > MERGES_MAX || remains_n > (value.len - HEAD_BYTES) / 4)
        return false;
    for (size_t i = 0; i < remains_n; i++) {
        uint32_t id = get_u32(at + HEAD_BYTES + 4 * i);
        if (find(segments, id) < segments->n)
            return false;
        push_remains(out, id);
    }
    size_t head = HEAD_BYTES + 4 * remains_n;
    struct bytes rest = {at + head, value.len - head};
    for (; out->n < n; out->n++)
        if (!parse_one(&rest, segments, &out->items[out->n]))
            return false;
    return rest.len == 0;
}

bool merges_read(struct store_txn *txn, const struct segments *segments, struct merges *out,
                 struct error *err) {
    struct bytes value;
    struct merges merges = {0};
    if (!store_get(txn, TABLE_META, merge_key, MERGE_KEY_LEN, &value, err))
        return false;
    if (value.data && !parse(value, segments, &merges)) {
        merges_done(&merges);
        return store_corrupt(txn, TABLE_META, err, "\"merge\": not about the segments there are");
    }
    *out = merges;
    return true;
}

void merges_done(struct merges *merges) {
    free(merges->remains);
    *merges = (struct merges){0};
}

static void put_u32(struct buf *out, uint32_t value) {
    buf_append(out, &value, sizeof value);
}

static void put_u64(struct buf *out, uint64_t value) {
    buf_append(out, &value, sizeof value);
}

bool merges_write(struct store_txn *txn, struct merges *merges, struct error *err) {
    struct buf value = {0};
    if (!merges->dirty)
        return true;
    put_u32(&value, (uint32_t)merges->n);
    put_u32(&value, (uint32_t)merges->remains_n);
    for (size_t i = 0; i < merges->remains_n; i++)
        put_u32(&value, merges->remains[i]);
    for (size_t i = 0; i < merges->n; i++) {
        const struct merging *merging = &merges->items[i];
        put_u32(&value, merging->id);
        put_u32(&value, merging->olds_n);
        put_u32(&value, merging->dead_before);
        put_u32(&value, 0);
        put_u64(&value, merging->place.term_next);
        put_u64(&value, merging->place.postings_n);
        for (size_t o = 0; o < merging->olds_n; o++)
            put_u32(&value, merging->olds[o]);
    }
    bool any = merges->n > 0 || merges->remains_n > 0;
    bool ok = any ? store_put(txn, TABLE_META, merge_key, MERGE_KEY_LEN, value.data, value.len, err)
                  : store_delete(txn, TABLE_META, merge_key, MERGE_KEY_LEN, NULL, err);
    buf_done(&value);
    merges->dirty = merges->dirty && !ok;
    return ok;
}

bool merges_has(const struct merges *merges, uint32_t segment_id) {
    for (size_t i = 0; i < merges->n; i++)
        for (size_t o = 0; o < merges->items[i].olds_n; o++)
            if (merges->items[i].olds[o] == segment_id)
                return true;
    return false;
}

bool merges_owns(const struct merges *merges, uint32_t segment_id) {
    for (size_t i = 0; i < merges->n; i++)
        if (merges->items[i].id == segment_id)
            return true;
    for (size_t i = 0; i < merges->remains_n; i++)
        if (merges->remains[i] == segment_id)
            return true;
    return false;
}

void merges_leave(struct merges *merges, uint32_t segment_id) {
    push_remains(merges, segment_id);
    merges->dirty = true;
}

/* ---- beginning ---- */

/* The newest segments that no merge has and that should be one: [*first_out, + the returned). 0:
 * there are none. Looked for behind each segment, because a merge that ended has newer ones behind
 * it. */
static size_t find_due(const struct merges *merges, const struct segments *segments,
                       size_t *first_out) {
    size_t end = segments->n;
    while (end > 0) {
        size_t begin = end;
        while (begin > 0 && !merges_has(merges, segments->items[begin - 1].id))
            begin--;
        for (; end > begin; end--) {
            size_t n = segments_merge_n(segments, begin, end);
            n = n < MERGES_OLDS_MAX ? n : MERGES_OLDS_MAX;
            *first_out = end - n;
            if (n > 0)
                return n;
        }
        end = begin > 0 ? begin - 1 : 0;
    }
    return 0;
}

static void begin_due(struct merges *merges, const struct segments *segments,
                      struct index_state *state) {
    size_t first, n;
    while (merges->n < MERGES_MAX && (n = find_due(merges, segments, &first)) > 0) {
        struct merging merging = {.id = state->segment_next++, .olds_n = (uint32_t)n};
        for (size_t i = 0; i < n; i++) {
            merging.olds[i] = segments->items[first + i].id;
            merging.dead_before += segments->items[first + i].dead_n;
        }
        merges->items[merges->n++] = merging;
        merges->dirty = true;
    }
}

bool merges_pending(const struct merges *merges, const struct segments *segments) {
    size_t first;
    return !merges->stuck &&
           (merges->n > 0 || merges->remains_n > 0 || find_due(merges, segments, &first) > 0);
}

/* ---- going on ---- */

/* What the segment made of the olds says of itself. */
static struct segment describe(const struct merging *merging, const struct segment *olds) {
    struct segment made = {
        .id = merging->id,
        .docid_begin = olds[0].docid_begin,
        .docid_end = olds[merging->olds_n - 1].docid_end,
        .postings_n = merging->place.postings_n,
        .tombstones = roaring_bitmap_create(),
    };
    for (size_t i = 0; i < merging->olds_n; i++) {
        roaring_bitmap_or_inplace(made.tombstones, olds[i].tombstones);
        if (i > 0 && olds[i - 1].docid_end < olds[i].docid_begin) /* one that died whole */
            roaring_bitmap_add_range(made.tombstones, olds[i - 1].docid_end, olds[i].docid_begin);
        made.docs_n += olds[i].docs_n;
        made.dead_n += olds[i].dead_n;
        made.length_sum += olds[i].length_sum;
    }
    made.docs_n -= merging->dead_before; /* those have no postings here; some that died since do */
    made.dead_n -= merging->dead_before;
    return made;
}

/* The records of the olds for that of the new one. */
static bool exchange(struct store_txn *txn, struct merges *merges, size_t at,
                     struct segments *segments, struct error *err) {
    const struct merging *merging = &merges->items[at];
    const struct segment *olds = olds_of(merging, segments);
    struct segment made = describe(merging, olds);
    size_t first = (size_t)(olds - segments->items);
    bool alive = made.docs_n > made.dead_n;
    bool ok = !alive || segment_write(txn, &made, err);
    for (size_t i = 0; ok && i < merging->olds_n; i++)
        ok = store_delete_u32(txn, TABLE_SEGMENTS, merging->olds[i], err);
    if (!ok) {
        roaring_bitmap_free(made.tombstones);
        return false;
    }
    for (size_t i = 0; i < merging->olds_n; i++)
        push_remains(merges, merging->olds[i]);
    if (!alive)
        push_remains(merges, made.id);
    segments_remove(segments, first, merging->olds_n);
    if (alive)
        segments_insert(segments, first, made);
    else
        roaring_bitmap_free(made.tombstones);
    merges->items[at] = merges->items[--merges->n];
    return true;
}

static uint64_t size_of(const struct merging *merging, const struct segments *segments) {
    const struct segment *olds = olds_of(merging, segments);
    uint64_t postings_n = 0;
    for (size_t i = 0; i < merging->olds_n; i++)
        postings_n += olds[i].postings_n;
    return postings_n;
}

static size_t smallest(const struct merges *merges, const struct segments *segments) {
    size_t best = 0;
    for (size_t i = 1; i < merges->n; i++)
        if (size_of(&merges->items[i], segments) < size_of(&merges->items[best], segments))
            best = i;
    return best;
}

static bool go_on(struct store_txn *txn, struct merges *merges, struct segments *segments,
                  size_t *work, struct error *err) {
    size_t at = smallest(merges, segments);
    struct merging *merging = &merges->items[at];
    merges->dirty = true;
    return merge_slice(txn, merging->id, olds_of(merging, segments), merging->olds_n,
                       &merging->place, work, err) &&
           (merging->place.term_next < MERGE_PLACE_END || exchange(txn, merges, at, segments, err));
}

static bool delete_remains(struct store_txn *txn, struct merges *merges, size_t *work,
                           struct error *err) {
    bool done;
    if (!merge_delete_postings(txn, merges->remains[merges->remains_n - 1], work, &done, err))
        return false;
    merges->remains_n -= done;
    merges->dirty = merges->dirty || done;
    return true;
}

bool merges_run(struct store_txn *txn, struct merges *merges, struct segments *segments,
                struct index_state *state, size_t work, struct error *err) {
    bool ok = true;
    while (ok && work > 0 && !merges->stuck) {
        begin_due(merges, segments, state);
        if (merges->remains_n > 0) {
            ok = delete_remains(txn, merges, &work, err);
        } else if (merges->n > 0) {
            ok = go_on(txn, merges, segments, &work, err);
            if (!ok && err->code == ERROR_CORRUPT)
                ok = merges->stuck = true;
        } else {
            break;
        }
    }
    return ok;
}

bool merges_drop(struct store_txn *txn, const struct segments *segments, bool *any_out,
                 struct error *err) {
    struct merges merges;
    if (!merges_read(txn, segments, &merges, err))
        return false;
    *any_out = merges.n > 0 || merges.remains_n > 0;
    for (size_t i = 0; i < merges.n; i++)
        push_remains(&merges, merges.items[i].id);
    merges.n = 0;
    merges.dirty = true;
    bool ok = true;
    while (ok && merges.remains_n > 0) {
        size_t work = SIZE_MAX;
        ok = delete_remains(txn, &merges, &work, err);
    }
    ok = ok && merges_write(txn, &merges, err);
    merges_done(&merges);
    return ok;
}
