/* lane.h - a bounded queue of jobs and the threads that take from it.
 *
 * First come, first served. A job is part of its owner's object; the lane links it while it waits
 * and never frees it. `run` is called on a thread of the lane with that thread's number; it ends
 * by handing the job back to whoever waits for it, in its own way.
 * Threads: every function from any thread; lane_close and lane_drop once each, from one. */
#ifndef TERCET_QUERY_SERVER_LANE_H
#define TERCET_QUERY_SERVER_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct lane_job {
    struct lane_job *next; /* the lane's while the job waits */
};

typedef void lane_run(void *context, size_t worker, struct lane_job *job);

/* For a lane of one thread: called on it when no job came for LANE_IDLE_MS. True: there is more to
 * do; false: it is not called before another job has been there. */
typedef bool lane_idle(void *context);

enum { LANE_IDLE_MS = 50 };

struct lane;

/* ERROR_IO when the system gives no thread. Its threads take no signals. idle: may be NULL. */
struct lane *lane_open(size_t threads_n, size_t waiting_max, lane_run *run, lane_idle *idle,
                       void *context, struct error *err);

/* False, and the job untouched, when no thread is free and waiting_max jobs wait already. */
bool lane_push(struct lane *lane, struct lane_job *job);

/* For a thread that runs `first`: takes waiting jobs that are like it out of the queue, oldest
 * first, so that they are done together. No more than max, nor than this thread's share of what
 * waits: a job that another thread is free for is left to it. Others keep their places.
 * jobs_out: [max]; returns how many. */
typedef bool lane_alike(const struct lane_job *first, const struct lane_job *other);
size_t lane_take_alike(struct lane *lane, const struct lane_job *first, lane_alike *alike,
                       size_t max, struct lane_job **jobs_out);

/* Jobs that wait now: a gauge. */
size_t lane_waiting_n(struct lane *lane);

/* Takes back all jobs that still wait, as a list; running ones go on. */
struct lane_job *lane_drop(struct lane *lane);

/* Finishes the queue, then joins the threads. */
void lane_close(struct lane *lane);

#endif
