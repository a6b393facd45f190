/* Compaction: the same answers in less room, for readers of before and after, whenever killed. */
#include "index/care/compact.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "engine/base/clock.h"
#include "index/care/backup.h"
#include "index/dense/dense.h"
#include "index/fixture.h"
#include "index/inside.h"
#include "index/remove.h"

enum { DOCUMENTS_N = 400, REPLACED_N = 300 };

/* Segments, dead documents, free pages, a generation. */
static void make(char folder[64], enum index_lexical lexical) {
    struct error err;
    struct index *index;
    struct index_settings settings = fixture_settings(lexical);
    settings.dense_dim = settings.multi_dim = FIXTURE_DIM;
    fixture_folder(folder);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    dense_index_set_limits(index_dense(index), (struct dense_limits){1, 1000, 1, 0, 1});
    fixture_fill(index, 1, 0, DOCUMENTS_N, 90);
    fixture_fill(index, 2, 0, REPLACED_N, 70);
    bool found;
    struct index_key key = {"doc-7", 5};
    CHECK_OK(index_remove(index, &key, 1, &found, &err), err);
    index_close(index);
}

static uint64_t answers_of(const char *folder) {
    struct error err;
    struct index *index;
    CHECK_OK(index_open(folder, INDEX_READ, &index, &err), err);
    uint64_t answers = fixture_answers(index);
    index_close(index);
    return answers;
}

static void is_sound(const char *folder) {
    struct error err;
    struct backup_totals totals;
    CHECK_OK(backup_verify(folder, folder, &totals, &err), err);
    CHECK_EQUAL(totals.documents_n, DOCUMENTS_N - 1);
}

static bool has_leftover(const char *folder) {
    char path[96];
    const char *name = strrchr(folder, '/');
    snprintf(path, sizeof path, "%.*s/.%s.making", (int)(name - folder), folder, name + 1);
    struct stat info;
    return stat(path, &info) == 0;
}

static void the_same_in_less(enum index_lexical lexical) {
    char folder[64];
    struct error err;
    struct compact_totals totals;
    struct index *index;
    struct index_counts counts;
    make(folder, lexical);
    CHECK(chmod(folder, 0750) == 0);
    uint64_t before = answers_of(folder);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK(totals.bytes_after < totals.bytes_before * 3 / 4);
    CHECK_EQUAL(totals.documents_n, DOCUMENTS_N - 1);
    CHECK(totals.dead_n > 0);
    CHECK_EQUAL(answers_of(folder), before);
    CHECK(!has_leftover(folder));
    is_sound(folder);
    struct stat info;
    CHECK(stat(folder, &info) == 0 && (info.st_mode & 0777) == 0750);

    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err); /* it can be written on */
    CHECK_OK(index_count(index, &counts, &err), err);
    CHECK_EQUAL(counts.dead_n, 0);
    CHECK_EQUAL(counts.segments_n, 1);
    CHECK(counts.dense_generation > 0);
    fixture_fill(index, 3, DOCUMENTS_N, DOCUMENTS_N + 50, 20);
    bool found;
    struct index_key key = {"doc-9", 5};
    CHECK_OK(index_remove(index, &key, 1, &found, &err), err);
    CHECK(found);
    index_close(index);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK_EQUAL(totals.documents_n, DOCUMENTS_N + 48);
    CHECK_OK(index_compact(folder, &totals, &err), err); /* nothing to do is fine */
    fixture_remove(folder);
}

static void an_empty_index(void) {
    char folder[64];
    struct error err;
    struct index *index;
    struct compact_totals totals;
    struct index_settings settings = fixture_settings(INDEX_LEXICAL_BM25);
    fixture_folder(folder);
    CHECK(!index_compact(folder, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK(!index_compact(folder, &totals, &err)); /* open here */
    CHECK_EQUAL(err.code, ERROR_BUSY);
    index_close(index);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK_EQUAL(totals.documents_n, 0);
    fixture_remove(folder);
}

static void refuses_what_is_not_its_own(void) {
    char folder[64], path[96];
    struct error err;
    struct compact_totals totals;
    make(folder, INDEX_LEXICAL_BM25);
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    FILE *notes = fopen(path, "w");
    CHECK(notes && fclose(notes) == 0);
    CHECK(!index_compact(folder, &totals, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    CHECK(strstr(err.message, "notes.txt"));
    CHECK(!has_leftover(folder));
    is_sound(folder);
    fixture_remove(folder);
}

/* Another process that has the index open all the while: 0 when it sees what it saw. */
static int read_on(const char *folder, int ready, int go) {
    struct error err;
    struct index *index;
    char byte = 'r';
    if (!index_open(folder, INDEX_READ, &index, &err))
        return 1;
    uint64_t before = fixture_answers(index);
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        return 2;
    for (int i = 0; i < 3; i++)
        if (fixture_answers(index) != before)
            return 3;
    index_close(index);
    return check_result() == 0 ? 0 : 4;
}

static void readers_go_on(void) {
    char folder[64], byte;
    int ready[2], go[2], status = 0;
    struct error err;
    struct compact_totals totals;
    make(folder, INDEX_LEXICAL_LEARNED);
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(read_on(folder, ready[1], go[0]));
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK(write(go[1], "g", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQUAL(WEXITSTATUS(status), 0);
    is_sound(folder);
    for (int i = 0; i < 2; i++)
        close(ready[i]), close(go[i]);
    fixture_remove(folder);
}

/* How long a child takes for it, in microseconds, twice over. */
static unsigned two_compactions_us(void) {
    char folder[64];
    struct error err;
    struct compact_totals totals;
    make(folder, INDEX_LEXICAL_BM25);
    double began = clock_now_s();
    for (int i = 0; i < 2; i++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0)
            _exit(index_compact(folder, &totals, &err) ? 0 : 1);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    fixture_remove(folder);
    return (unsigned)(1e6 * (clock_now_s() - began));
}

/* kill -9 after ever more microseconds: always a whole index with the same answers. */
static void killed_at_any_moment(void) {
    enum { KILLS = 40 };
    char folder[64];
    struct error err;
    struct compact_totals totals;
    make(folder, INDEX_LEXICAL_BM25);
    uint64_t before = answers_of(folder);
    unsigned killed_n = 0, step_us = two_compactions_us() / KILLS;
    for (int i = 0; i < KILLS; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(index_compact(folder, &totals, &err) ? 0 : 1);
        usleep((unsigned)i * step_us);
        kill(child, SIGKILL);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        killed_n += WIFSIGNALED(status);
        CHECK_EQUAL(answers_of(folder), before);
        is_sound(folder);
    }
    CHECK(killed_n > 3);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK(!has_leftover(folder));
    fixture_remove(folder);
}

int main(void) {
    the_same_in_less(INDEX_LEXICAL_BM25);
    the_same_in_less(INDEX_LEXICAL_LEARNED);
    an_empty_index();
    refuses_what_is_not_its_own();
    readers_go_on();
    killed_at_any_moment();
    return check_result();
}
