/* Snapshots and their return: whole, of one moment, never over something else. */
#include "index/care/backup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "index/dense/dense.h"
#include "index/fixture.h"
#include "index/inside.h"

enum { DOCUMENTS_N = 300 };

static struct index *make(const char *folder) {
    struct error err;
    struct index *index;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    dense_index_set_limits(index_dense(index), (struct dense_limits){1, 1000, 1, 0, 1});
    fixture_fill(index, 1, 0, DOCUMENTS_N, 60);
    return index;
}

static uint64_t answers_of(const char *folder) {
    struct error err;
    struct index *index;
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    uint64_t answers = fixture_answers(index);
    index_close(index);
    return answers;
}

static void there_and_back(const char *folder) {
    char from[96], to[96], link[96];
    struct error err;
    struct backup_totals totals = {0};
    struct index *index;
    snprintf(from, sizeof from, "%s/index", folder);
    snprintf(to, sizeof to, "%s/snapshot/", folder); /* a slash at the end is fine */
    snprintf(link, sizeof link, "%s/link", folder);
    index_close(make(from));
    uint64_t before = answers_of(from);
    CHECK_OK(backup_copy(from, to, false, &totals, &err), err);
    CHECK_EQUAL(totals.documents_n, DOCUMENTS_N);
    CHECK(totals.bytes > 0);
    CHECK_EQUAL(answers_of(to), before);

    CHECK_OK(index_open(from, INDEX_WRITE, &index, &err), err);
    fixture_fill(index, 8, 50, DOCUMENTS_N + 100, 60);
    index_close(index);
    uint64_t after = answers_of(from);
    CHECK(after != before);

    CHECK(!backup_copy(to, from, false, &totals, &err)); /* something is there */
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK_EQUAL(answers_of(from), after);
    CHECK(symlink("index", link) == 0);
    CHECK_OK(backup_copy(to, link, true, &totals, &err), err); /* what the link names */
    CHECK_EQUAL(answers_of(from), before);
    struct stat info;
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK_OK(backup_verify(from, from, &totals, &err), err);
}

static void refuses(const char *folder) {
    char from[96], to[96], path[160];
    struct error err;
    struct backup_totals totals;
    struct index *index;
    snprintf(from, sizeof from, "%s/index", folder);
    snprintf(to, sizeof to, "%s/papers", folder);
    CHECK(!backup_copy(to, from, true, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(mkdir(to, 0777) == 0);
    snprintf(path, sizeof path, "%s/thesis.tex", to);
    FILE *thesis = fopen(path, "w");
    CHECK(thesis && fclose(thesis) == 0);
    CHECK(!backup_copy(from, to, true, &totals, &err)); /* it is no index that would give way */
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(stat(path, &(struct stat){0}) == 0);

    snprintf(to, sizeof to, "%s/other", folder);
    index = make(to);
    CHECK(!backup_copy(from, to, true, &totals, &err)); /* somebody writes to it */
    CHECK_EQUAL(err.code, ERROR_BUSY);
    index_close(index);
    snprintf(to, sizeof to, "%s/nowhere/index", folder);
    CHECK(!backup_copy(from, to, true, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
}

/* A damaged index gives no snapshot, a damaged snapshot does not come back. */
static void leave(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    if (file)
        fclose(file);
}

static void refuses_damage(const char *folder) {
    char from[96], to[96], path[128];
    struct error err;
    struct backup_totals totals;
    snprintf(from, sizeof from, "%s/snapshot", folder);
    snprintf(to, sizeof to, "%s/index", folder);
    snprintf(path, sizeof path, "%s/data.mdb", from);
    uint64_t before = answers_of(to);
    struct stat info;
    CHECK(stat(path, &info) == 0);
    int fd = open(path, O_RDWR);
    char page[4096];
    for (off_t at = 2 * 4096; at < info.st_size; at += 4096 * 3) {
        CHECK(pread(fd, page, sizeof page, at) == sizeof page);
        CHECK(pwrite(fd, "damaged", 7, at + 8) == 7);
        CHECK(!backup_copy(from, to, true, &totals, &err));
        CHECK_EQUAL(err.code, ERROR_CORRUPT);
        CHECK_EQUAL(answers_of(to), before);
        CHECK(pwrite(fd, page, sizeof page, at) == sizeof page);
    }
    close(fd);
    leave(to, "dense/7.lists.4711.tmp"); /* a generation that somebody was killed over */
    leave(to, "dense/6.faiss");          /* of an older format */
    CHECK_OK(backup_copy(from, to, true, &totals, &err), err);
}

/* A writer puts batches of one size while snapshots are taken: each holds whole batches. */
static void while_writes_go_on(const char *folder) {
    enum { BATCH = 20, SNAPSHOTS = 6 };
    char from[96], to[96];
    struct error err;
    struct backup_totals totals;
    snprintf(from, sizeof from, "%s/busy", folder);
    index_close(make(from));
    pid_t child = fork();
    if (child == 0) {
        struct index *index;
        if (!index_open(from, INDEX_WRITE, &index, &err))
            _exit(1);
        for (uint32_t n = DOCUMENTS_N;; n += BATCH)
            fixture_fill(index, n, n, n + BATCH, BATCH);
    }
    for (int i = 0; i < SNAPSHOTS; i++) {
        snprintf(to, sizeof to, "%s/busy-%d", folder, i);
        usleep(30000);
        CHECK_OK(backup_copy(from, to, false, &totals, &err), err);
        CHECK(totals.documents_n >= DOCUMENTS_N && totals.documents_n % BATCH == 0);
    }
    kill(child, SIGKILL);
    CHECK(waitpid(child, &(int){0}, 0) == child);
    CHECK(totals.documents_n > DOCUMENTS_N);
}

int main(void) {
    char folder[64];
    fixture_folder(folder);
    there_and_back(folder);
    refuses(folder);
    refuses_damage(folder);
    while_writes_go_on(folder);
    fixture_remove(folder);
    return check_result();
}
