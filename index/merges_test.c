/* Merging in slices: whatever is half done, searches find the same, and the index is sound. */
#include "index/care/check.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "index/merges.h"
#include "index/store/store.h"

struct fix {
    char folder[64];
    struct index *index;
    struct writer *writer;
    size_t work; /* of a commit's merging; 0: as it should */
};

static void fix_open(struct fix *fix) {
    struct error err;
    CHECK_OK(index_open(fix->folder, INDEX_WRITE, &fix->index, &err), err);
    CHECK_OK(writer_open(fix->index, &fix->writer, &err), err);
    writer_limit_merging(fix->writer, fix->work);
}

static void fix_close(struct fix *fix) {
    writer_close(fix->writer);
    index_close(fix->index);
}

static void fix_make(struct fix *fix, size_t work) {
    struct error err;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.dense_dim = FIXTURE_DIM;
    fixture_folder(fix->folder);
    CHECK_OK(index_create(fix->folder, &settings, &fix->index, &err), err);
    index_close(fix->index);
    fix->work = work;
    fix_open(fix);
}

static void commit(struct fix *fix) {
    struct error err;
    CHECK_OK(writer_commit(fix->writer, &err), err);
}

/* How many calls it took. */
static unsigned merge_all(struct fix *fix) {
    struct error err;
    unsigned n = 0;
    for (bool more = true; more && n < 1000; n++)
        CHECK_OK(writer_merge(fix->writer, &more, &err), err);
    return n;
}

static void tell(void *context, const char *what) {
    (void)context;
    fprintf(stderr, "check: %s\n", what);
}

/* Closes and opens it: the next writer goes on where this one was. */
static void is_sound(struct fix *fix) {
    struct error err;
    struct check_listener listener = {.problem = tell};
    struct check_totals totals = {0};
    fix_close(fix);
    CHECK_OK(index_check(fix->folder, &listener, &totals, &err), err);
    CHECK_EQUAL(totals.problems_n, 0);
    fix_open(fix);
}

static struct index_counts counts_of(struct fix *fix) {
    struct error err;
    struct index_counts counts = {0};
    CHECK_OK(index_count(fix->index, &counts, &err), err);
    return counts;
}

/* Lists in the table, and merges under way. */
static void look_inside(struct fix *fix, uint64_t *lists_n_out, size_t *merges_n_out) {
    struct error err;
    struct store_txn *txn;
    struct segments segments;
    struct merges merges;
    CHECK_OK(store_begin_read(fix->index->store, &txn, &err), err);
    CHECK_OK(store_entries_n(txn, TABLE_POSTINGS, lists_n_out, &err), err);
    CHECK_OK(segments_read(txn, &segments, &err), err);
    CHECK_OK(merges_read(txn, &segments, &merges, &err), err);
    *merges_n_out = merges.n;
    merges_done(&merges);
    segments_done(&segments);
    store_abort(txn);
}

/* The same batches into an index that merges `work` at a time and into one that merges all at once:
 * new documents, some that replace old ones, some deleted. */
static void half_done_is_whole(size_t work) {
    enum { COMMITS = 100, DOCUMENTS = 12, KEYS = 700 };
    struct fix slow, fast;
    unsigned long long seed = 11;
    size_t merges_n, merges_n_max = 0;
    uint64_t lists_n;
    fix_make(&slow, work);
    fix_make(&fast, SIZE_MAX);
    for (uint32_t i = 0; i < COMMITS; i++) {
        for (uint32_t j = 0; j < DOCUMENTS; j++) {
            unsigned long long own = check_random(&seed);
            uint32_t key = (uint32_t)(check_random(&seed) % KEYS);
            bool dies = check_random(&seed) % 4 == 0;
            for (int f = 0; f < 2; f++) {
                struct writer *writer = f ? fast.writer : slow.writer;
                if (dies)
                    fixture_delete(writer, key);
                else
                    fixture_put(writer, own, key);
            }
        }
        commit(&slow);
        commit(&fast);
        look_inside(&slow, &lists_n, &merges_n);
        merges_n_max = merges_n > merges_n_max ? merges_n : merges_n_max;
        CHECK_EQUAL(fixture_answers(slow.index), fixture_answers(fast.index));
        if (i % 10 == 9)
            is_sound(&slow);
        if (i % 50 == 25)
            merge_all(&slow);
    }
    CHECK(merges_n_max > 1);
    merge_all(&slow);
    merge_all(&fast);
    look_inside(&slow, &lists_n, &merges_n);
    CHECK_EQUAL(merges_n, 0);
    CHECK_EQUAL(fixture_answers(slow.index), fixture_answers(fast.index));
    is_sound(&slow);
    is_sound(&fast);
    fix_close(&slow);
    fix_close(&fast);
    fixture_remove(slow.folder);
    fixture_remove(fast.folder);
}

/* All documents die while their segments are being merged: nothing is left behind. */
static void the_dead_leave_nothing(void) {
    enum { DOCUMENTS = 60 };
    struct fix fix;
    uint64_t lists_n;
    size_t merges_n;
    fix_make(&fix, 1);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        fixture_put(fix.writer, i + 1, i);
        commit(&fix);
    }
    look_inside(&fix, &lists_n, &merges_n);
    CHECK(merges_n > 0 && lists_n > 0);
    for (uint32_t i = 0; i < DOCUMENTS; i++)
        fixture_delete(fix.writer, i);
    commit(&fix);
    is_sound(&fix);
    CHECK_EQUAL(counts_of(&fix).documents_n, 0);
    CHECK(merge_all(&fix) > 0);
    look_inside(&fix, &lists_n, &merges_n);
    CHECK_EQUAL(lists_n, 0);
    CHECK_EQUAL(counts_of(&fix).segments_n, 0);
    is_sound(&fix);
    fix_close(&fix);
    fixture_remove(fix.folder);
}

/* Commits pay what they owe: segments do not pile up, and nothing is left to do for long. */
static void debts_are_paid(uint32_t commits_n, uint32_t documents_n) {
    struct fix fix;
    uint64_t segments_max = 0;
    size_t merges_n, merges_max = 0;
    uint64_t lists_n;
    fix_make(&fix, 0);
    for (uint32_t i = 0; i < commits_n; i++) {
        for (uint32_t j = 0; j < documents_n; j++)
            fixture_put(fix.writer, i * documents_n + j + 1, i * documents_n + j);
        commit(&fix);
        uint64_t n = counts_of(&fix).segments_n;
        segments_max = n > segments_max ? n : segments_max;
        look_inside(&fix, &lists_n, &merges_n);
        merges_max = merges_n > merges_max ? merges_n : merges_max;
    }
    unsigned tiers = 1;
    for (uint64_t n = commits_n; n >= SEGMENT_FANOUT; n /= SEGMENT_FANOUT)
        tiers++;
    CHECK(segments_max <= 2 * (SEGMENT_FANOUT - 1) * tiers);
    CHECK(merges_max <= tiers);
    CHECK(merge_all(&fix) < 3);
    CHECK(counts_of(&fix).segments_n <= (SEGMENT_FANOUT - 1) * tiers);
    fix_close(&fix);
    fixture_remove(fix.folder);
}

/* A list that is damaged cannot be merged; that is no reason to refuse documents. */
static void damage_ends_merging_only(void) {
    struct fix fix;
    struct error err;
    struct store *store;
    struct store_txn *txn;
    struct store_cursor cursor;
    uint8_t key[8];
    fix_make(&fix, 1);
    for (uint32_t i = 0; i < 8; i++) {
        fixture_put(fix.writer, i + 1, i);
        commit(&fix);
    }
    fix_close(&fix);
    CHECK_OK(store_open(fix.folder, STORE_WRITE, &store, &err), err);
    CHECK_OK(store_begin_write(store, &txn, &err), err);
    CHECK_OK(store_cursor_open(txn, TABLE_POSTINGS, NULL, 0, &cursor, &err), err);
    for (int i = 0; i < 5; i++)
        CHECK_OK(store_cursor_next(&cursor, &err), err);
    memcpy(key, cursor.key.data, sizeof key);
    store_cursor_close(&cursor);
    CHECK_OK(store_put(txn, TABLE_POSTINGS, key, sizeof key, "odd", 3, &err), err);
    CHECK_OK(store_commit(txn, &err), err);
    store_close(store);
    fix.work = 0;
    fix_open(&fix);
    for (uint32_t i = 8; i < 30; i++) {
        fixture_put(fix.writer, i + 1, i);
        commit(&fix);
    }
    CHECK_EQUAL(counts_of(&fix).documents_n, 30);
    CHECK(counts_of(&fix).segments_n > 20); /* of which none was merged */
    fix_close(&fix);
    fixture_remove(fix.folder);
}

/* Between a put and its commit there is nothing to merge into. */
static void batches_are_not_cut(void) {
    struct fix fix;
    struct error err;
    bool more;
    fix_make(&fix, 0);
    fixture_put(fix.writer, 1, 1);
    CHECK(!writer_merge(fix.writer, &more, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    commit(&fix);
    CHECK_OK(writer_merge(fix.writer, &more, &err), err);
    CHECK(!more);
    fix_close(&fix);
    fixture_remove(fix.folder);
}

int main(void) {
    half_done_is_whole(1);
    half_done_is_whole(3000);
    the_dead_leave_nothing();
    debts_are_paid(300, 1);
    debts_are_paid(100, 20);
    damage_ends_merging_only();
    batches_are_not_cut();
    return check_result();
}
