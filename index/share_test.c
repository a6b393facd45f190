/* One process has an index open for long and writes now and then; another writes, compacts and
 * holds the lock in between. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "index/care/compact.h"
#include "index/fixture.h"

static char folder[64];

/* ---- the other process: forked before anything is open ---- */

static void child_writes(void) {
    struct error err;
    struct index *index;
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    fixture_fill(index, 2, 20, 30, 5);
    index_close(index);
}

static void child_compacts(void) {
    struct error err;
    struct compact_totals totals;
    CHECK_OK(index_compact(folder, &totals, &err), err);
}

static void child_is_refused(void) {
    struct error err;
    struct index *index;
    struct compact_totals totals;
    CHECK(!index_open(folder, INDEX_WRITE, &index, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    CHECK(!index_compact(folder, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
}

enum { WRITE, COMPACT, BE_REFUSED };
static void (*const works[])(void) = {child_writes, child_compacts, child_is_refused};
static int to_child[2], from_child[2];
static pid_t child;

static void start_child(void) {
    char what;
    CHECK(pipe(to_child) == 0 && pipe(from_child) == 0);
    child = fork();
    if (child != 0) {
        close(to_child[0]);
        return;
    }
    close(to_child[1]);
    while (read(to_child[0], &what, 1) == 1) {
        check_failed = 0;
        works[(int)what]();
        what = (char)(check_failed > 0);
        if (write(from_child[1], &what, 1) != 1)
            break;
    }
    _exit(0);
}

static void in_child(char what) {
    char failed = 1;
    CHECK(write(to_child[1], &what, 1) == 1 && read(from_child[0], &failed, 1) == 1);
    CHECK(!failed);
}

/* ---- this one ---- */

static uint64_t documents_in(struct index *index) {
    struct error err;
    struct index_counts counts = {0};
    CHECK_OK(index_count(index, &counts, &err), err);
    return counts.documents_n;
}

static void claim(struct index *index) {
    struct error err;
    bool moved;
    CHECK_OK(index_claim(index, &moved, &err), err);
    CHECK(!moved);
}

static void writing_in_turns(struct index *index) {
    struct error err;
    struct writer *writer;
    bool moved;
    CHECK(!writer_open(index, &writer, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    claim(index);
    claim(index); /* held already */
    fixture_fill(index, 1, 10, 20, 5);
    in_child(BE_REFUSED);
    index_yield(index);
    CHECK(!writer_open(index, &writer, &err));
    in_child(WRITE);
    CHECK_EQUAL(documents_in(index), 30); /* each sees what the other has written */
    claim(index);
    fixture_fill(index, 3, 25, 35, 5);
    index_yield(index);
    CHECK_EQUAL(documents_in(index), 35);
    CHECK(index_is_current(index));

    char path[96];
    snprintf(path, sizeof path, "%s/writer.lock", folder);
    int lock = open(path, O_RDWR);
    CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
    CHECK(!index_claim(index, &moved, &err));
    CHECK_EQUAL(err.code, ERROR_BUSY);
    CHECK(!moved);
    close(lock);
}

/* The folder is exchanged below two handles: each goes on reading, none can write any more. */
static void exchanged_below(struct index *first) {
    struct error err;
    struct index *second, *third, *reader;
    struct snapshot *snapshot;
    bool moved;
    CHECK_OK(snapshot_open(first, &snapshot, &err), err);
    uint64_t answers = fixture_answers(first);
    in_child(COMPACT);
    CHECK(!index_is_current(first));
    CHECK(!index_claim(first, &moved, &err));
    CHECK(moved);
    CHECK_OK(index_open(folder, INDEX_SHARED, &second, &err), err); /* beside the old one */
    in_child(COMPACT); /* a folder may get the inode of one that is gone */
    CHECK(!index_is_current(first) && !index_is_current(second));
    CHECK_OK(index_open(folder, INDEX_SHARED, &third, &err), err);
    CHECK(index_is_current(third));
    CHECK(!index_open(folder, INDEX_READ, &reader, &err)); /* once in a process */
    CHECK_EQUAL(err.code, ERROR_BUSY);
    CHECK_EQUAL(fixture_answers(first), answers);
    CHECK_EQUAL(fixture_answers(second), answers);
    CHECK_EQUAL(fixture_answers(third), answers);
    CHECK_EQUAL(snapshot_documents_n(snapshot), 35);
    claim(third);
    fixture_fill(third, 4, 100, 101, 1);
    CHECK_EQUAL(documents_in(third), 36);
    CHECK_EQUAL(documents_in(first), 35);
    snapshot_close(snapshot);
    index_close(second);
    index_close(third);
}

int main(void) {
    struct error err;
    struct index *index;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.dense_dim = FIXTURE_DIM;
    fixture_folder(folder);
    start_child();
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    fixture_fill(index, 1, 0, 10, 5);
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_SHARED, &index, &err), err);
    writing_in_turns(index);
    exchanged_below(index);
    index_close(index);
    close(to_child[1]);
    CHECK_EQUAL(waitpid(child, NULL, 0), child);
    fixture_remove(folder);
    return check_result();
}
