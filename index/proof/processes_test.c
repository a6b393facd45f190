/* One process ingests without pause, others search: every answer is the oracle's for a moment that
 * was committed, and moments only go forward.
 *
 * A batch's number is committed with it, so a searcher knows which moment its snapshot sees, and
 * replays the model up to there. TERCET_SECONDS=n goes on for so long, TERCET_SEED=n again. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "index/fixture.h"
#include "index/proof/model.h"
#include "index/writer.h"

enum {
    SECONDS = 5,
    SEARCHERS = 2, /* processes; each searches in so many threads: */
    THREADS = 2,
    BUILD_EVERY = 5,
    AGREES_EVERY = 8, /* searches between comparisons of every key */
};

struct run {
    char folder[64];
    unsigned long long seed;
    time_t end;
};

static void child_writes(const struct run *run) {
    struct error err;
    struct index *index;
    struct writer *writer;
    struct model model = {.lexical = INDEX_LEXICAL_BM25};
    bool ok =
        model_open(run->folder, INDEX_WRITE, &index, &err) && writer_open(index, &writer, &err);
    for (uint32_t batch = 1; ok; batch++) /* until it is killed */
        ok = model_batch(&model, writer, run->seed, batch, &err) && writer_commit(writer, &err) &&
             (batch % BUILD_EVERY != 0 || writer_build_dense(writer, 1, &err));
    fprintf(stderr, "writer: %s\n", err.message);
    _exit(1);
}

/* ---- a searcher ---- */

struct searcher {
    const struct run *run;
    struct index *index;
    unsigned long long seed;
    unsigned searches_n, moments_n;
    bool ok;
    struct error err;
};

static bool look(struct searcher *searcher, struct snapshot *snapshot, struct model *model,
                 uint32_t *batch, struct error *err) {
    uint32_t now = model_batch_of(snapshot);
    if (now < *batch)
        return error_set(err, ERROR_INVALID, "batch %u after batch %u", now, *batch);
    searcher->moments_n += now > *batch;
    while (*batch < now)
        if (!model_batch(model, NULL, searcher->run->seed, ++*batch, err))
            return false;
    return model_search_agrees(snapshot, model, &searcher->seed, err) &&
           (searcher->searches_n++ % AGREES_EVERY != 0 || model_agrees(snapshot, model, err));
}

static void *thread_searches(void *context) {
    struct searcher *searcher = context;
    struct model model = {.lexical = INDEX_LEXICAL_BM25};
    uint32_t batch = 0;
    while (searcher->ok && time(NULL) < searcher->run->end) {
        struct snapshot *snapshot = NULL;
        searcher->ok = snapshot_open(searcher->index, &snapshot, &searcher->err) &&
                       look(searcher, snapshot, &model, &batch, &searcher->err);
        snapshot_close(snapshot);
    }
    return NULL;
}

/* Tells the parent the numbers of searches and of moments. */
static void child_searches(const struct run *run, unsigned long long seed, int tell) {
    struct error err;
    struct index *index;
    struct searcher searchers[THREADS];
    pthread_t threads[THREADS];
    unsigned totals[2] = {0};
    bool ok = true;
    CHECK_OK(model_open(run->folder, INDEX_READ, &index, &err), err);
    for (int i = 0; i < THREADS; i++) {
        searchers[i] = (struct searcher){run, index, .seed = seed + (unsigned)i + 1, .ok = true};
        CHECK_EQUAL(pthread_create(&threads[i], NULL, thread_searches, &searchers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        totals[0] += searchers[i].searches_n;
        totals[1] += searchers[i].moments_n;
        if (!searchers[i].ok)
            fprintf(stderr, "searcher: %s\n", searchers[i].err.message);
        ok = ok && searchers[i].ok;
    }
    index_close(index);
    ok = ok && write(tell, totals, sizeof totals) == sizeof totals;
    _exit(!ok || check_failed);
}

int main(void) {
    struct error err;
    struct index *index;
    struct run run = {.seed = model_seed()};
    unsigned totals[2], searches_n = 0, moments_n = 0;
    pid_t writer, searchers[SEARCHERS];
    int ends[2], status;
    model_folder(run.folder);
    CHECK_OK(model_create(run.folder, INDEX_LEXICAL_BM25, &index, &err), err);
    index_close(index);
    CHECK_EQUAL(pipe(ends), 0);
    run.end = time(NULL) + (time_t)model_option("TERCET_SECONDS", SECONDS);
    if ((writer = fork()) == 0)
        child_writes(&run);
    for (int i = 0; i < SEARCHERS; i++)
        if ((searchers[i] = fork()) == 0)
            child_searches(&run, run.seed + 100 * (unsigned)i, ends[1]);
    for (int i = 0; i < SEARCHERS; i++) {
        CHECK_EQUAL(waitpid(searchers[i], &status, 0), searchers[i]);
        CHECK_EQUAL(status, 0);
    }
    CHECK_EQUAL(waitpid(writer, &status, WNOHANG), 0); /* it still writes */
    kill(writer, SIGKILL);
    CHECK_EQUAL(waitpid(writer, &status, 0), writer);
    close(ends[1]);
    while (read(ends[0], totals, sizeof totals) == sizeof totals) {
        searches_n += totals[0];
        moments_n += totals[1];
    }
    CHECK(moments_n >= SEARCHERS * THREADS && searches_n >= moments_n);
    printf("%u searches in each mode, of %u moments\n", searches_n, moments_n);
    fixture_remove(run.folder);
    return check_result();
}
