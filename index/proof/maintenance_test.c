/* compact, repair, snapshot and its update, killed at every call that reaches the disk, with the
 * power cut, and with a disk that is full: the index stays whole and the same, the copy's place has
 * the old or the new one, whole. TERCET_SEED=n runs the same again. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "index/care/backup.h"
#include "index/care/check.h"
#include "index/care/compact.h"
#include "index/proof/fault.h"
#include "index/fixture.h"
#include "index/proof/model.h"
#include "index/care/repair.h"
#include "index/writer.h"

enum { BATCHES = 30, COINS = 2, FAILURES_MAX = 5 };

struct run {
    char place[64], folder[96], copy[96];
    unsigned long long seed;
    struct model model, copied; /* what the folder and the copy's place should hold */
    uint32_t batch, copied_batch;
    unsigned kills_n, errors_n;
};

typedef bool (*work_function)(const struct run *run, struct error *err);

static bool compact(const struct run *run, struct error *err) {
    struct compact_totals totals;
    return index_compact(run->folder, &totals, err);
}

static bool repair(const struct run *run, struct error *err) {
    struct repair_totals totals;
    return index_repair(run->folder, &(struct repair_listener){0}, &totals, err);
}

static bool copy(const struct run *run, struct error *err) {
    struct backup_totals totals;
    return backup_copy(run->folder, run->copy, true, &totals, err);
}

static bool update(const struct run *run, struct error *err) {
    struct backup_totals totals;
    return backup_update(run->folder, run->copy, &totals, err);
}

static void write_batches(struct run *run, struct index *index, uint32_t n) {
    struct error err;
    struct writer *writer;
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (uint32_t i = 0; i < n; i++) {
        CHECK_OK(model_batch(&run->model, writer, run->seed, ++run->batch, &err), err);
        CHECK_OK(writer_commit(writer, &err), err);
    }
    CHECK_OK(writer_build_dense(writer, 1, &err), err);
    writer_close(writer);
}

static void tell(void *context, const char *what) {
    fprintf(stderr, "check of %s: %s\n", (const char *)context, what);
}

static void is_sound(char *folder) {
    struct error err;
    struct check_totals totals = {0};
    CHECK_OK(index_check(folder, &(struct check_listener){folder, tell}, &totals, &err), err);
    CHECK_EQUAL(totals.problems_n, 0);
}

/* The index holds all its batches and takes the next one. */
static void look_at_index(struct run *run) {
    struct error err;
    struct index *index;
    is_sound(run->folder);
    CHECK_OK(model_open(run->folder, INDEX_WRITE, &index, &err), err);
    CHECK_OK(model_index_agrees(index, &run->model, &run->seed, &err), err);
    write_batches(run, index, 1);
    index_close(index);
}

/* now: the newest commit that the copy may hold. done: it must. */
static void look_at_copy(struct run *run, const struct model *now, uint32_t batch, bool done) {
    struct error err;
    struct index *index;
    struct snapshot *snapshot;
    is_sound(run->copy);
    CHECK_OK(model_open(run->copy, INDEX_READ, &index, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    uint32_t found = model_batch_of(snapshot);
    snapshot_close(snapshot);
    CHECK(found == batch || (found == run->copied_batch && !done));
    if (found == batch) {
        run->copied = *now;
        run->copied_batch = batch;
    }
    CHECK_OK(model_index_agrees(index, &run->copied, &run->seed, &err), err);
    index_close(index);
}

/* False when nothing befell the child: it makes fewer calls. */
static bool work_once(struct run *run, work_function work, struct fault fault) {
    struct model now = run->model;
    uint32_t batch = run->batch;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct error err;
        fault_arm(fault);
        bool ok = work(run, &err);
        fault_disarm();
        if (!ok && err.code != ERROR_IO)
            fprintf(stderr, "code %d: %s\n", (int)err.code, err.message);
        _exit(ok ? 0 : err.code == ERROR_IO ? 2 : 3);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == 2 && fault.kind == FAULT_ERROR;
    CHECK(killed || refused || status == 0);
    run->kills_n += killed;
    run->errors_n += refused;
    int failed_before = check_failed;
    look_at_index(run);
    look_at_copy(run, &now, batch, (work == copy || work == update) && status == 0);
    if (check_failed > failed_before)
        fprintf(stderr, "%s: fault %d at call %llu\n",
                work == copy     ? "copy"
                : work == update ? "update"
                : work == repair ? "repair"
                                 : "compact",
                (int)fault.kind, (unsigned long long)fault.at);
    return killed || refused;
}

static void every_call(struct run *run, work_function work) {
    for (int kind = FAULT_ERROR; kind < FAULT_KINDS_N; kind++) {
        for (int coins = 0; coins < (kind == FAULT_POWER_CUT ? COINS : 1); coins++) {
            struct fault fault = {.kind = (enum fault_kind)kind, .error = ENOSPC};
            bool befell = true;
            for (fault.at = 1; befell && check_failed < FAILURES_MAX; fault.at++) {
                fault.seed = check_random(&run->seed);
                befell = work_once(run, work, fault);
            }
        }
    }
}

int main(void) {
    struct error err;
    struct index *index;
    struct run run = {.seed = model_seed(), .model.lexical = INDEX_LEXICAL_BM25};
    model_folder(run.place);
    snprintf(run.folder, sizeof run.folder, "%s/index", run.place);
    snprintf(run.copy, sizeof run.copy, "%s/copy", run.place);
    CHECK_OK(model_create(run.folder, run.model.lexical, &index, &err), err);
    write_batches(&run, index, BATCHES);
    index_close(index);
    CHECK_OK(copy(&run, &err), err);
    run.copied = run.model;
    run.copied_batch = run.batch;
    every_call(&run, compact);
    every_call(&run, repair);
    every_call(&run, copy);
    every_call(&run, update);
    printf("%u killed, %u told of a full disk\n", run.kills_n, run.errors_n);
    CHECK(run.kills_n > 0 && run.errors_n > 0);
    fixture_remove(run.place);
    return check_result();
}
