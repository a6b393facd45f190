/* lock.h - inside index/: a file's lock (flock), waited for a moment.
 *
 * A server holds a writer's lock for the length of a request, so who finds it taken waits that long
 * before saying so. What holds it for longer (an ingest, a compaction) is told of. */
#ifndef TERCET_INDEX_STORE_LOCK_H
#define TERCET_INDEX_STORE_LOCK_H

#include <stdbool.h>

enum { LOCK_WAIT_MS = 1000, LOCK_STEP_MS = 10 };

/* False: errno; EWOULDBLOCK when somebody held it all the time. */
bool lock_take(int fd);

#endif
