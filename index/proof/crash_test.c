/* A writer is killed at every call by which it reaches the disk and at random moments, its power is
 * cut, its disk fails: what was acknowledged is there, what was not is whole or absent.
 *
 * The writer is a child; the parent replays its batches in the model (model.h), opens what is left
 * and compares everything. TERCET_KILLS=n kills n times, TERCET_SEED=n runs the same again. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "index/care/check.h"
#include "index/proof/fault.h"
#include "index/fixture.h"
#include "index/proof/model.h"
#include "index/writer.h"

enum {
    KILLS = 300,
    CALLS_MAX = 240,      /* kills fall on the first so many calls of a writer's life: 20 commits */
    BATCHES_MAX = 40,     /* a writer that nobody killed stops here */
    BUILD_EVERY = 5,      /* batches between generations of dense rows */
    RANDOM_US_MAX = 8000, /* a kill at a random moment comes so late at most */
    FAILURES_MAX = 5,
};

static const char *const kind_names[FAULT_KINDS_N] = {
    [FAULT_NONE] = "at a random moment",   [FAULT_ERROR] = "error",
    [FAULT_KILL_BEFORE] = "before a call", [FAULT_KILL_TORN] = "in half a write",
    [FAULT_KILL_AFTER] = "after a call",   [FAULT_POWER_CUT] = "power cut",
};

struct run {
    char folder[64];
    unsigned long long seed, batches_seed;
    struct model model; /* as it is on disk */
    uint32_t batch;     /* the newest on disk */
    unsigned kills[FAULT_KINDS_N], unacknowledged_n, acknowledged_n, survived_n;
};

/* ---- the child ---- */

/* By the writer, or by the thread that does it beside one. */
static bool build_dense(struct index *index, struct writer *writer, bool beside,
                        struct error *err) {
    if (!beside)
        return writer_build_dense(writer, 1, err);
    index_tend(index);
    while (index_is_tending(index)) /* fault.h: one thread at a time may write */
        usleep(200);
    return true;
}

/* Commits batch after batch, telling the parent of each. */
static void child_writes(const struct run *run, struct fault fault, int tell) {
    struct error err;
    struct index *index;
    struct writer *writer;
    struct model model = run->model;
    fault_arm(fault);
    bool ok =
        model_open(run->folder, INDEX_WRITE, &index, &err) && writer_open(index, &writer, &err);
    for (uint32_t i = 1; ok && (i <= BATCHES_MAX || fault.kind == FAULT_NONE); i++) {
        ok = model_batch(&model, writer, run->batches_seed, run->batch + i, &err) &&
             writer_commit(writer, &err) && write(tell, "", 1) == 1 &&
             (i % BUILD_EVERY != 0 || build_dense(index, writer, i / BUILD_EVERY % 2 != 0, &err));
    }
    if (!ok)
        fprintf(stderr, "child: %s\n", err.message);
    _exit(!ok);
}

/* ---- the parent ---- */

static uint32_t count_bytes(int fd) {
    uint32_t n = 0;
    for (char byte; read(fd, &byte, 1) == 1;)
        n++;
    return n;
}

static void tell(void *context, const char *what) {
    (void)context;
    fprintf(stderr, "check: %s\n", what);
}

static void look_at_what_is_left(struct run *run, uint32_t acknowledged_n) {
    struct error err;
    struct check_listener listener = {.problem = tell};
    struct check_totals totals = {0};
    CHECK_OK(index_check(run->folder, &listener, &totals, &err), err);
    CHECK_EQUAL(totals.problems_n, 0);
    struct index *index;
    struct snapshot *snapshot;
    CHECK_OK(model_open(run->folder, INDEX_WRITE, &index, &err), err);
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    uint32_t found = model_batch_of(snapshot);
    snapshot_close(snapshot);
    CHECK(found >= run->batch + acknowledged_n && found <= run->batch + acknowledged_n + 1);
    run->unacknowledged_n += found > run->batch + acknowledged_n;
    run->acknowledged_n += acknowledged_n;
    while (run->batch < found)
        CHECK_OK(model_batch(&run->model, NULL, run->batches_seed, ++run->batch, &err), err);
    CHECK_OK(model_index_agrees(index, &run->model, &run->seed, &err), err);
    index_close(index);
}

static void kill_once(struct run *run, struct fault fault) {
    int ends[2], status = 0;
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        child_writes(run, fault, ends[1]);
    close(ends[1]);
    if (fault.kind == FAULT_NONE) {
        usleep((useconds_t)(check_random(&run->seed) % RANDOM_US_MAX));
        kill(child, SIGKILL);
    }
    uint32_t acknowledged_n = count_bytes(ends[0]);
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        run->kills[fault.kind]++;
    } else {
        CHECK_EQUAL(status, 0);
        run->survived_n++;
    }
    int failed_before = check_failed;
    look_at_what_is_left(run, acknowledged_n);
    if (check_failed > failed_before)
        fprintf(stderr, "killed %s, call %llu\n", kind_names[fault.kind],
                (unsigned long long)fault.at);
}

static void killed_writers_lose_nothing(unsigned long long seed, uint32_t kills_n) {
    struct error err;
    struct index *index;
    struct run run = {.seed = seed, .batches_seed = seed, .model.lexical = INDEX_LEXICAL_BM25};
    model_folder(run.folder);
    CHECK_OK(model_create(run.folder, run.model.lexical, &index, &err), err);
    index_close(index);
    for (uint32_t round = 0; round < kills_n && check_failed < FAILURES_MAX; round++) {
        static const enum fault_kind kinds[] = {FAULT_NONE, FAULT_KILL_BEFORE, FAULT_KILL_TORN,
                                                FAULT_KILL_AFTER, FAULT_POWER_CUT};
        enum { N = sizeof kinds / sizeof *kinds };
        struct fault fault = {.kind = kinds[round % N], .seed = check_random(&run.seed)};
        uint32_t step = round / N; /* every second step walks along, the others fall anywhere */
        fault.at = 1 + (step % 2 ? check_random(&run.seed) : step / 2) % CALLS_MAX;
        kill_once(&run, fault);
    }
    fixture_remove(run.folder);
    for (int kind = 0; kind < FAULT_KINDS_N; kind++)
        if (run.kills[kind])
            printf("%u killed: %s\n", run.kills[kind], kind_names[kind]);
    printf("%u came to their end; %u commits acknowledged, %u more were whole and on disk\n",
           run.survived_n, run.acknowledged_n, run.unacknowledged_n);
    fflush(stdout);
}

/* ---- while it is made ---- */

/* False when the child was not killed: it makes fewer calls. */
static bool making_is_killed(struct fault fault) {
    struct error err;
    struct index *index;
    char folder[64];
    int status = 0;
    model_folder(folder);
    pid_t child = fork();
    if (child == 0) {
        fault_arm(fault);
        _exit(!model_create(folder, INDEX_LEXICAL_BM25, &index, &err));
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(killed || status == 0);
    int failed_before = check_failed;
    bool made = model_open(folder, INDEX_WRITE, &index, &err);
    CHECK(made || (killed && err.code == ERROR_NOT_FOUND));
    if (!made)
        CHECK_OK(model_create(folder, INDEX_LEXICAL_BM25, &index, &err), err);
    if (check_failed > failed_before)
        fprintf(stderr, "making killed %s, call %llu: %s\n", kind_names[fault.kind],
                (unsigned long long)fault.at, err.message);
    else
        index_close(index);
    fixture_remove(folder);
    return killed;
}

static void killed_making(unsigned long long seed) {
    unsigned n = 0;
    for (int kind = FAULT_KILL_BEFORE; kind <= FAULT_POWER_CUT; kind++) {
        for (int coins = 0; coins < (kind == FAULT_POWER_CUT ? 8 : 1); coins++) {
            struct fault fault = {.kind = (enum fault_kind)kind};
            for (fault.at = 1; check_failed < FAILURES_MAX; fault.at++, n++) {
                fault.seed = check_random(&seed);
                if (!making_is_killed(fault))
                    break;
            }
        }
    }
    printf("%u killed while making an index\n", n);
    fflush(stdout);
}

int main(void) {
    unsigned long long seed = model_seed();
    killed_making(seed);
    killed_writers_lose_nothing(seed, model_option("TERCET_KILLS", KILLS));
    return check_result();
}
