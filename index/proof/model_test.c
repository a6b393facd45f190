/* Random operations against a plain memory of what should be there (model.h). The seed is printed;
 * TERCET_SEED=n runs the same again, TERCET_OPERATIONS=n that many of them in all. */
#include <signal.h>
#include <sys/wait.h>

#include "index/care/backup.h"
#include "index/care/compact.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "index/proof/model.h"
#include "index/care/repair.h"

enum { OPERATIONS = 40000, FAILURES_MAX = 5, KILLED_BATCHES_MAX = 4 };

struct run {
    char folder[64];
    unsigned long long seed;
    struct index *index;
    struct writer *writer;
    struct model now, committed, seen;
    struct snapshot *held; /* goes on seeing the moment `seen` */
    unsigned changes_n, commits_n, searches_n, builds_n, reopened_n, killed_n, compacted_n,
        copied_n, repaired_n, filtered_n;
};

static void open_again(struct run *run) {
    struct error err;
    CHECK_OK(model_open(run->folder, INDEX_WRITE, &run->index, &err), err);
    CHECK_OK(writer_open(run->index, &run->writer, &err), err);
    CHECK_OK(model_index_agrees(run->index, &run->committed, &run->seed, &err), err);
}

static void let_go(struct run *run) {
    snapshot_close(run->held);
    run->held = NULL;
    writer_close(run->writer);
    index_close(run->index);
    run->now = run->committed;
}

/* Commits some batches and dies in the middle of the next one. */
static void child_writes(const struct run *run, int batches_n) {
    struct error err;
    struct index *index;
    struct writer *writer;
    struct model model = run->committed;
    bool ok =
        model_open(run->folder, INDEX_WRITE, &index, &err) && writer_open(index, &writer, &err);
    for (int i = 0; ok && i < batches_n; i++)
        ok = model_batch(&model, writer, run->seed, (uint32_t)i + 1, &err) &&
             writer_commit(writer, &err);
    ok = ok && model_batch(&model, writer, run->seed, 99, &err);
    if (ok)
        raise(SIGKILL);
    fprintf(stderr, "child: %s\n", err.message);
    _exit(1);
}

static void kill_another_writer(struct run *run) {
    struct error err;
    int batches_n = (int)(check_random(&run->seed) % (KILLED_BATCHES_MAX + 1)), status = 0;
    let_go(run); /* an LMDB environment must not cross a fork */
    pid_t child = fork();
    if (child == 0)
        child_writes(run, batches_n);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 0; i < batches_n; i++)
        CHECK_OK(model_batch(&run->committed, NULL, run->seed, (uint32_t)i + 1, &err), err);
    run->now = run->committed;
    run->killed_n++;
    open_again(run);
}

/* Compacts the index, repairs it, or copies it and puts the copy in its place. */
static void tidy_up(struct run *run) {
    struct error err;
    struct compact_totals compacted;
    struct backup_totals copied;
    char copy[sizeof run->folder + 8];
    struct index *index;
    struct repair_totals repaired;
    let_go(run);
    unsigned dice = (unsigned)(check_random(&run->seed) % 3);
    if (dice == 0) {
        CHECK_OK(index_repair(run->folder, &(struct repair_listener){0}, &repaired, &err), err);
        CHECK_EQUAL(repaired.lost_n, 0);
        run->repaired_n++;
    } else if (dice == 1) {
        CHECK_OK(index_compact(run->folder, &compacted, &err), err);
        run->compacted_n++;
    } else {
        snprintf(copy, sizeof copy, "%s.copy", run->folder);
        CHECK_OK(backup_copy(run->folder, copy, false, &copied, &err), err);
        CHECK_OK(model_open(copy, INDEX_READ, &index, &err), err);
        CHECK_OK(model_index_agrees(index, &run->committed, &run->seed, &err), err);
        index_close(index);
        CHECK_OK(backup_copy(copy, run->folder, true, &copied, &err), err); /* and back */
        fixture_remove(copy);
        run->copied_n++;
    }
    open_again(run);
}

/* What was not committed is dropped first: one writer at a time. */
static void delete_by_filter(struct run *run) {
    struct error err;
    writer_close(run->writer);
    CHECK_OK(model_delete_passing(&run->committed, run->index, &run->seed, &err), err);
    run->now = run->committed;
    CHECK_OK(writer_open(run->index, &run->writer, &err), err);
    run->filtered_n++;
}

static void search(struct run *run) {
    struct error err;
    struct snapshot *snapshot;
    CHECK_OK(snapshot_open(run->index, &snapshot, &err), err);
    CHECK_OK(model_search_agrees(snapshot, &run->committed, &run->seed, &err), err);
    snapshot_close(snapshot);
    run->searches_n++;
}

/* Takes a snapshot, or looks whether the one taken still sees its moment, and closes it. */
static void hold(struct run *run) {
    struct error err;
    if (!run->held) {
        CHECK_OK(snapshot_open(run->index, &run->held, &err), err);
        run->seen = run->committed;
        return;
    }
    CHECK_OK(model_agrees(run->held, &run->seen, &err), err);
    CHECK_OK(model_search_agrees(run->held, &run->seen, &run->seed, &err), err);
    snapshot_close(run->held);
    run->held = NULL;
}

static void commit(struct run *run) {
    struct error err;
    model_limit_merging(run->writer, &run->seed);
    CHECK_OK(writer_commit(run->writer, &err), err);
    run->committed = run->now;
    run->commits_n++;
}

/* Time between commits. */
static void merge(struct run *run) {
    struct error err;
    bool more;
    commit(run);
    CHECK_OK(writer_merge(run->writer, &more, &err), err);
}

static void change(struct run *run) {
    struct error err;
    CHECK_OK(model_change(&run->now, run->writer, &run->seed, &err), err);
    run->changes_n++;
}

static void operate(struct run *run) {
    struct error err;
    unsigned dice = (unsigned)(check_random(&run->seed) % 2000);
    if (dice < 1600) {
        change(run);
    } else if (dice < 1800) {
        commit(run);
    } else if (dice < 1955) {
        search(run);
    } else if (dice < 1960) {
        merge(run);
    } else if (dice < 1970) { /* dropped */
        writer_close(run->writer);
        run->now = run->committed;
        CHECK_OK(writer_open(run->index, &run->writer, &err), err);
    } else if (dice < 1974) { /* batches that do not fit into memory, and again such that do */
        writer_limit_postings(run->writer, dice % 2 ? 200 : 1 << 20);
    } else if (dice < 1977) {
        delete_by_filter(run);
    } else if (dice < 1982) {
        hold(run);
    } else if (dice < 1990) {
        commit(run);
        CHECK_OK(writer_build_dense(run->writer, 1, &err), err);
        run->builds_n++;
    } else if (dice < 1994) {
        CHECK_OK(model_index_agrees(run->index, &run->committed, &run->seed, &err), err);
    } else if (dice < 1997) {
        let_go(run);
        run->reopened_n++;
        open_again(run);
    } else if (dice < 1999) {
        kill_another_writer(run);
    } else {
        tidy_up(run);
    }
}

static void random_operations(enum index_lexical lexical, unsigned long long seed, uint32_t n) {
    struct error err;
    struct run run = {.seed = seed, .now.lexical = lexical, .committed.lexical = lexical};
    model_folder(run.folder);
    CHECK_OK(model_create(run.folder, lexical, &run.index, &err), err);
    CHECK_OK(writer_open(run.index, &run.writer, &err), err);
    for (uint32_t i = 0; i < n && check_failed < FAILURES_MAX; i++)
        operate(&run);
    let_go(&run);
    open_again(&run);
    let_go(&run);
    fixture_remove(run.folder);
    printf("%u operations: %u changes, %u commits, %u searches in each mode, %u generations asked "
           "for, %u times reopened, %u killed, %u compacted, %u repaired, %u copied and restored, "
           "%u deletions by filter\n",
           n, run.changes_n, run.commits_n, run.searches_n, run.builds_n, run.reopened_n,
           run.killed_n, run.compacted_n, run.repaired_n, run.copied_n, run.filtered_n);
    fflush(stdout); /* a child would print it again */
}

int main(void) {
    unsigned long long seed = model_seed();
    uint32_t operations_n = model_option("TERCET_OPERATIONS", OPERATIONS);
    random_operations(INDEX_LEXICAL_BM25, seed, operations_n / 2);
    random_operations(INDEX_LEXICAL_LEARNED, seed + 2, operations_n - operations_n / 2);
    return check_result();
}
