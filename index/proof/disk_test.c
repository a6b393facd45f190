/* A disk that says no: every call that reaches it fails once, or from then on, with each errno that
 * disks have. The caller is told, nothing acknowledged is lost, nothing half is there, and the
 * writer goes on, or says that it cannot. A read-only disk can be searched. */
#include <errno.h>
#include <fcntl.h>

#include "index/proof/fault.h"
#include "index/fixture.h"
#include "index/proof/model.h"
#include "index/writer.h"

enum {
    BATCHES = 6,     /* one life of a writer */
    BUILD_EVERY = 3, /* batches between generations of dense rows */
    FAILURES_MAX = 5,
};

struct run {
    char folder[64];
    unsigned long long seed;
    struct model model; /* as it is on disk */
    uint32_t batch;
    unsigned errors_n, went_on_n, lives_n;
};

/* The message says which file, and what the operating system said. */
static void is_clean(const struct run *run, const struct error *err, int given) {
    CHECK_EQUAL(err->code, ERROR_IO);
    CHECK(strstr(err->message, run->folder));
    CHECK(strstr(err->message, strerror(given)) ||
          strstr(err->message, "MDB_PANIC")); /* LMDB's word for a failed meta page */
}

static bool commit_next(struct run *run, struct writer *writer, struct error *err) {
    struct model after = run->model;
    bool ok =
        model_batch(&after, writer, run->seed, run->batch + 1, err) && writer_commit(writer, err);
    if (!ok)
        return false;
    run->model = after;
    run->batch++;
    return run->batch % BUILD_EVERY != 0 || writer_build_dense(writer, 1, err);
}

/* Errors of a batch are said again by writer_commit, which forgets them. */
static void after_error(struct run *run, struct writer *writer) {
    struct error err;
    writer_commit(writer, &err);
    if (commit_next(run, writer, &err))
        run->went_on_n++;
    else
        CHECK(err.code == ERROR_IO &&
              strstr(err.message, "open the index again")); /* only opening it again helps */
}

/* False when the writer's life has fewer calls than fault.at. */
static bool live_once(struct run *run, struct fault fault) {
    struct error err = {0};
    struct index *index = NULL;
    struct writer *writer = NULL;
    fault_arm(fault);
    bool ok =
        model_open(run->folder, INDEX_WRITE, &index, &err) && writer_open(index, &writer, &err);
    for (int i = 0; ok && i < BATCHES; i++)
        ok = commit_next(run, writer, &err);
    bool reached = fault_calls_n() >= fault.at;
    fault_disarm();
    if (!ok) {
        run->errors_n++;
        is_clean(run, &err, fault.error);
        if (writer)
            after_error(run, writer);
    }
    writer_close(writer);
    index_close(index);
    int failed_before = check_failed;
    CHECK_OK(model_open(run->folder, INDEX_WRITE, &index, &err), err);
    CHECK_OK(model_index_agrees(index, &run->model, &run->seed, &err), err);
    index_close(index);
    if (check_failed > failed_before)
        fprintf(stderr, "call %llu failed with %s\n", (unsigned long long)fault.at,
                strerror(fault.error));
    run->lives_n++;
    return reached;
}

static void every_call_may_fail(unsigned long long seed) {
    static const int errors[] = {ENOSPC, EIO, EROFS, EDQUOT};
    struct error err;
    struct index *index;
    struct run run = {.seed = seed, .model.lexical = INDEX_LEXICAL_BM25};
    model_folder(run.folder);
    CHECK_OK(model_create(run.folder, run.model.lexical, &index, &err), err);
    index_close(index);
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        for (int stays = 0; stays < 2; stays++) {
            struct fault fault = {FAULT_ERROR, .error = errors[e], .stays = stays};
            bool reached = true;
            for (fault.at = 1; reached && check_failed < FAILURES_MAX; fault.at++)
                reached = live_once(&run, fault);
        }
    }
    fixture_remove(run.folder);
    printf("%u writers, %u told of an error, %u of them went on; %u batches on disk\n", run.lives_n,
           run.errors_n, run.went_on_n, run.batch);
}

/* index_create that fails leaves what index_create can make again. */
static void making_may_fail(void) {
    struct error err;
    struct index *index;
    unsigned n = 0;
    for (bool failed = true; failed && check_failed < FAILURES_MAX; n++) {
        char folder[64];
        model_folder(folder);
        fault_arm((struct fault){FAULT_ERROR, .at = n + 1, .error = ENOSPC});
        failed = !model_create(folder, INDEX_LEXICAL_BM25, &index, &err);
        fault_disarm();
        if (failed) {
            CHECK_EQUAL(err.code, ERROR_IO);
            CHECK_OK(model_create(folder, INDEX_LEXICAL_BM25, &index, &err), err);
        }
        index_close(index);
        fixture_remove(folder);
    }
    CHECK(n > 4);
}

static void read_only_disk(unsigned long long seed) {
    struct error err;
    struct index *index;
    struct run run = {.seed = seed, .model.lexical = INDEX_LEXICAL_LEARNED};
    struct writer *writer;
    model_folder(run.folder);
    CHECK_OK(model_create(run.folder, run.model.lexical, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    for (int i = 0; i < 30; i++)
        CHECK_OK(commit_next(&run, writer, &err), err);
    writer_close(writer);
    index_close(index);
    fault_arm((struct fault){.read_only = true});
    CHECK(!model_open(run.folder, INDEX_WRITE, &index, &err));
    CHECK(err.code == ERROR_IO && strstr(err.message, strerror(EROFS)));
    bool opened = model_open(run.folder, INDEX_READ, &index, &err);
    CHECK_OK(opened, err);
    if (opened) {
        CHECK_OK(model_index_agrees(index, &run.model, &run.seed, &err), err);
        index_close(index);
    }
    fault_disarm();
    fixture_remove(run.folder);
}

int main(void) {
    unsigned long long seed = model_seed();
    every_call_may_fail(seed);
    making_may_fail();
    read_only_disk(seed);
    return check_result();
}
