/* watch.h - says when something in folders, and in all folders below them, has changed.
 *
 * A watch a folder (inotify by libuv: it has no recursive one on Linux), so there is a limit; who
 * meets it walks from time to time instead. What happened is not told, only that something did:
 * whoever asks looks for himself. So nothing is lost when events are, as long as one comes through.
 * Threads: a watch is one thread's. */
#ifndef TERCET_INGEST_WATCH_H
#define TERCET_INGEST_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* The system's own limit (fs.inotify.max_user_watches) may be lower. */
enum { WATCH_FOLDERS_MAX = 100000 };

struct watch;

enum watch_event {
    WATCH_CHANGED, /* something did, and has come to rest */
    WATCH_TIMEOUT,
    WATCH_ENDED, /* SIGINT or SIGTERM came */
};

/* folders_max: WATCH_FOLDERS_MAX, but in tests. */
bool watch_open(size_t folders_max, struct watch **out, struct error *err);
void watch_close(struct watch *watch);

/* Looks which folders there are now: new ones are watched from here on, gone ones no longer. Of a
 * file its folder is watched (editors put a new file in its place). A path that is missing is
 * passed over. Call it before looking at the files, so that nothing falls between.
 * ERROR_LIMIT: there are too many; what could be watched is. */
bool watch_folders(struct watch *watch, const char *const *paths, size_t paths_n,
                   struct error *err);
size_t watch_folders_n(const struct watch *watch);

/* Waits for a change, for at most timeout_ms, and then until nothing has changed for settle_ms, for
 * at most ten times as long. Changes since the last call count. */
enum watch_event watch_wait(struct watch *watch, int settle_ms, int timeout_ms);

#endif
