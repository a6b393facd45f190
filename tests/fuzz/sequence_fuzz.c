/* sequence_fuzz - any sequence of calls on a small index: it holds what a plain memory of it holds.
 *
 * An input's bytes are operations: put, delete, delete by filter, commit, drop, merge, search in
 * each mode, compact, copy, update and restore the copy, close and open (which drops what was
 * not committed). The memory is an array of versions, one a key, whose record follows from its
 * version. What is committed must be what a new snapshot shows: documents, counts, a filter's
 * exact result, the best of each mode by a plain scan, and the lines of an export; one snapshot
 * stays open and must go on seeing its moment. The check of check.h must find nothing at the
 * end. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "index/care/backup.h"
#include "index/care/check.h"
#include "index/care/compact.h"
#include "index/dense/dense.h"
#include "index/fields/filter.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "index/remove.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sequence_memory.h"

enum { OPERATIONS_MAX = 48, COSTLY_MAX = 3 };

struct run {
    char folder[64], copy[80];
    struct index *index;
    struct writer *writer;
    struct memory now, committed, seen, copied;
    struct snapshot *held; /* goes on seeing `seen` */
    bool has_copy;
    unsigned costly_n;
};

/* ---- operations ---- */

static void put(struct run *run, uint32_t key, uint8_t version) {
    struct made made;
    struct error err;
    make(key, version, &made);
    const struct record record = {
        .key = made.key,
        .key_len = strlen(made.key),
        .text = made.text,
        .text_len = strlen(made.text),
        .fields = made.fields,
        .fields_len = strlen(made.fields),
        .content_hash = version,
        .dense = made.dense,
        .sparse = {made.ids, made.weights, made.terms_n},
        .multi = made.dense,
        .multi_n = version % 2,
    };
    CHECK_OK(writer_put(run->writer, &record, &err), err);
    run->now.versions[key] = version;
}

static void open_again(struct run *run) {
    const struct dense_limits limits = {
        .generation_rows_min = 4, .lists_rows_min = 1 << 30, .uncovered_min = 2};
    struct error err;
    CHECK_OK(index_open(run->folder, INDEX_WRITE, &run->index, &err), err);
    dense_index_set_limits(index_dense(run->index), limits);
    run->writer = fixture_writer(run->index);
}

static void let_go(struct run *run) {
    snapshot_close(run->held);
    run->held = NULL;
    writer_close(run->writer);
    index_close(run->index);
    run->now = run->committed; /* what was not committed is dropped */
}

static void commit(struct run *run) {
    struct error err;
    CHECK_OK(writer_commit(run->writer, &err), err);
    run->committed = run->now;
}

static void look(struct run *run, uint8_t above, uint8_t drawn) {
    struct snapshot *snapshot;
    struct error err;
    CHECK_OK(snapshot_open(run->index, &snapshot, &err), err);
    agrees(snapshot, &run->committed);
    search(snapshot, &run->committed, above, drawn);
    snapshot_close(snapshot);
}

static void hold(struct run *run) {
    struct error err;
    if (run->held) {
        agrees(run->held, &run->seen);
        search(run->held, &run->seen, 0, 5);
        snapshot_close(run->held);
        run->held = NULL;
        return;
    }
    CHECK_OK(snapshot_open(run->index, &run->held, &err), err);
    run->seen = run->committed;
}

static void delete_above(struct run *run, uint8_t above) {
    struct arena arena = {0};
    struct error err;
    struct filter *filter;
    uint64_t removed_n, want = 0;
    char text[32];
    int len = snprintf(text, sizeof text, "{\"v\":{\"$gt\":%u}}", above);
    struct json *json = json_parse(text, (size_t)len, &err);
    CHECK_OK(filter_parse(json, &arena, &filter, &err), err);
    writer_close(run->writer); /* what was not committed is dropped */
    CHECK_OK(index_remove_passing(run->index, filter, &removed_n, &err), err);
    for (uint32_t key = 0; key < KEYS_N; key++)
        if (run->committed.versions[key] > above) {
            run->committed.versions[key] = 0;
            want++;
        }
    assert(removed_n == want);
    run->now = run->committed;
    run->writer = fixture_writer(run->index);
    json_release(json);
    arena_done(&arena);
}

/* Copies go back to be the index itself, every second time. */
static void copy(struct run *run, uint8_t drawn) {
    struct backup_totals totals;
    struct error err;
    let_go(run);
    if (run->has_copy && drawn & 1) {
        CHECK_OK(backup_copy(run->copy, run->folder, true, &totals, &err), err);
        run->now = run->committed = run->copied;
    } else if (run->has_copy && drawn & 2) {
        /* Refused where the index is no later state of the copy: it was restored meanwhile. */
        if (!backup_update(run->folder, run->copy, &totals, &err))
            assert(err.code == ERROR_INVALID);
        else
            run->copied = run->committed;
    } else {
        CHECK_OK(backup_copy(run->folder, run->copy, true, &totals, &err), err);
        run->copied = run->committed;
        run->has_copy = true;
    }
    open_again(run);
}

static void costly(struct run *run, uint8_t drawn) {
    struct compact_totals compacted;
    struct error err;
    if (run->costly_n++ >= COSTLY_MAX)
        return;
    switch (drawn % 4) {
    case 0:
        let_go(run);
        CHECK_OK(index_compact(run->folder, &compacted, &err), err);
        open_again(run);
        break;
    case 1: copy(run, drawn / 4); break;
    case 2:
        let_go(run);
        open_again(run);
        break;
    case 3: check_export(run->index, &run->committed); break;
    }
}

static void operate(struct run *run, struct fuzz_input *input) {
    uint8_t what = (uint8_t)fuzz_byte(input), drawn = (uint8_t)fuzz_byte(input);
    uint32_t key = what / 16 % KEYS_N;
    struct error err;
    struct made made;
    bool found, more;
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: put(run, key, drawn | 1); break;
    case 5:
    case 6:
        make(key, 1, &made);
        CHECK_OK(writer_delete(run->writer, made.key, strlen(made.key), &found, &err), err);
        assert(found == (run->now.versions[key] != 0));
        run->now.versions[key] = 0;
        break;
    case 7:
    case 8: commit(run); break;
    case 9:
    case 10: look(run, what & 16 ? drawn : 0, drawn); break;
    case 11: delete_above(run, drawn); break;
    case 12:
        writer_limit_merging(run->writer, drawn);
        commit(run);
        CHECK_OK(writer_merge(run->writer, &more, &err), err);
        break;
    case 13: hold(run); break;
    case 14:
        commit(run);
        CHECK_OK(writer_build_dense(run->writer, 1, &err), err);
        break;
    case 15: costly(run, drawn); break;
    }
    assert(check_failed == 0);
}

static void print_problem(void *context, const char *what) {
    (void)context;
    fprintf(stderr, "%s\n", what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + size};
    struct run run = {0};
    struct error err;
    struct check_totals totals;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_LEARNED);
    settings.dense_dim = settings.multi_dim = DIM;
    fixture_memory_folder(run.folder);
    snprintf(run.copy, sizeof run.copy, "%s.copy", run.folder);
    CHECK_OK(index_create(run.folder, &settings, &run.index, &err), err);
    index_close(run.index);
    open_again(&run);
    for (int i = 0; i < OPERATIONS_MAX && fuzz_left(&input) > 0; i++)
        operate(&run, &input);
    commit(&run);
    look(&run, 0, 0x3f);
    let_go(&run);
    const struct check_listener listener = {.problem = print_problem};
    CHECK_OK(index_check(run.folder, &listener, &totals, &err), err);
    assert(check_failed == 0 && totals.problems_n == 0);
    fixture_remove(run.folder);
    fixture_remove(run.copy);
    return 0;
}
