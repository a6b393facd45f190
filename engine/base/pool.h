/* pool.h - a fixed set of threads that share out the items of a loop.
 *
 * pool_run calls work(context, item, worker) once for each item in 0..items_n, from several
 * threads, and returns when all are done. The calling thread works too, so a pool of n has n - 1
 * threads of its own; `worker` is in 0..n and no two calls run at once with the same worker, so it
 * indexes per-worker scratch. Items are handed out one by one, in order.
 * Threads: pool_run may be called from several threads; they take turns. */
#ifndef TERCET_BASE_POOL_H
#define TERCET_BASE_POOL_H

#include <stddef.h>

struct pool;

typedef void pool_work(void *context, size_t item, size_t worker);

/* workers_n 0: one for each core the process may use. */
struct pool *pool_open(size_t workers_n);
void pool_close(struct pool *pool);
size_t pool_workers_n(const struct pool *pool);
void pool_run(struct pool *pool, size_t items_n, pool_work *work, void *context);

/* work(context, member, member) once for each member in 0..members_n, all at the same time, so that
 * they may wait for each other (team.h). members_n is at most pool_workers_n. */
void pool_run_together(struct pool *pool, size_t members_n, pool_work *work, void *context);

/* Cores this process may run on (its affinity mask), at least 1. */
size_t pool_cores_n(void);

#endif
