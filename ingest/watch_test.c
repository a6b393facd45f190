/* What tests/ingest_watch.py cannot bring about: the limit, timeouts, changes between calls. */
#include "ingest/watch.h"

#include <signal.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "ingest/fixture.h"

enum { SETTLE_MS = 20, LONG_MS = 20000 };

int main(void) {
    struct watch *watch;
    struct error err;
    folder_make();
    char many[512], slashed[520], file[512], *paths[] = {slashed, file};
    snprintf(many, sizeof many, "%s", path_of("many"));
    snprintf(slashed, sizeof slashed, "%s/", many);
    CHECK(mkdir(many, 0755) == 0 && mkdir(path_of("many/a"), 0755) == 0 &&
          mkdir(path_of("many/a/b"), 0755) == 0 && mkdir(path_of("many/.hidden"), 0755) == 0);
    write_text("file.txt", "alone");
    snprintf(file, sizeof file, "%s", path_of("file.txt"));
    const char *const *given = (const char *const *)paths;

    CHECK_OK(watch_open(WATCH_FOLDERS_MAX, &watch, &err), err);
    CHECK_OK(watch_folders(watch, given, 2, &err), err);
    CHECK_EQUAL(watch_folders_n(watch), 4); /* many, a, b, and the file's */
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, 0), WATCH_TIMEOUT);
    double began = clock_now_ms();
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, 50), WATCH_TIMEOUT);
    CHECK(clock_now_ms() - began >= 49);

    /* While nobody waits. */
    write_text("many/a/b/c.txt", "x");
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, 0), WATCH_TIMEOUT);
    write_text("file.txt", "changed");
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);

    /* A folder that went and came again is watched again. */
    CHECK(unlink(path_of("many/a/b/c.txt")) == 0 && rmdir(path_of("many/a/b")) == 0 &&
          mkdir(path_of("many/a/b"), 0755) == 0);
    CHECK_OK(watch_folders(watch, given, 2, &err), err);
    CHECK_EQUAL(watch_folders_n(watch), 4);
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);
    write_text("many/a/b/c.txt", "x");
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);
    CHECK(unlink(path_of("many/a/b/c.txt")) == 0 && rmdir(path_of("many/a/b")) == 0);
    CHECK_OK(watch_folders(watch, given, 2, &err), err);
    CHECK_EQUAL(watch_folders_n(watch), 3);
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);

    raise(SIGTERM);
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_ENDED);
    watch_close(watch);

    /* Too many: what could be watched is. */
    CHECK_OK(watch_open(1, &watch, &err), err);
    CHECK(!watch_folders(watch, given, 2, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    CHECK_EQUAL(watch_folders_n(watch), 1);
    write_text("many/top.txt", "x");
    CHECK_EQUAL(watch_wait(watch, SETTLE_MS, LONG_MS), WATCH_CHANGED);
    CHECK(!watch_folders(watch, given, 2, &err)); /* and stays so */
    CHECK_EQUAL(watch_folders_n(watch), 1);
    watch_close(watch);
    watch_close(NULL);
    folder_remove();
    return check_result();
}
