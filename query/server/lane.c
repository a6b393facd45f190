#include "query/server/lane.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/mem.h"

struct lane {
    pthread_mutex_t lock; /* guards everything below; never held while a job runs */
    pthread_cond_t pushed;
    struct lane_job *first, **last; /* the queue; *last is its end */
    size_t waiting_n, waiting_max;
    size_t running_n;
    bool closing;

    lane_run *run;
    lane_idle *idle;
    void *context;
    pthread_t *threads; /* [threads_n] */
    size_t threads_n, started_n;
};

/* Under the lock. Returns when there is a job, or none will come. */
static void await_job(struct lane *lane, bool *restless) {
    while (!lane->first && !lane->closing) {
        struct timespec until;
        if (!lane->idle || !*restless) {
            pthread_cond_wait(&lane->pushed, &lane->lock);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LANE_IDLE_MS * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&lane->pushed, &lane->lock, &until) != ETIMEDOUT)
            continue;
        lane->running_n++;
        pthread_mutex_unlock(&lane->lock);
        *restless = lane->idle(lane->context);
        pthread_mutex_lock(&lane->lock);
        lane->running_n--;
    }
}

/* The mutex orders: the number is taken before the thread does anything else. */
static void *lane_main(void *argument) {
    struct lane *lane = argument;
    pthread_mutex_lock(&lane->lock);
    size_t worker = lane->started_n++;
    for (bool restless = false;; restless = true) {
        await_job(lane, &restless);
        struct lane_job *job = lane->first;
        if (!job)
            break;
        lane->first = job->next;
        if (!lane->first)
            lane->last = &lane->first;
        lane->waiting_n--;
        lane->running_n++;
        pthread_mutex_unlock(&lane->lock);
        lane->run(lane->context, worker, job);
        pthread_mutex_lock(&lane->lock);
        lane->running_n--;
    }
    pthread_mutex_unlock(&lane->lock);
    return NULL;
}

struct lane *lane_open(size_t threads_n, size_t waiting_max, lane_run *run, lane_idle *idle,
                       void *context, struct error *err) {
    assert(threads_n > 0);
    struct lane *lane = mem_zalloc(1, sizeof *lane);
    lane->threads = mem_alloc(threads_n, sizeof *lane->threads);
    lane->last = &lane->first;
    lane->waiting_max = waiting_max;
    lane->run = run;
    lane->idle = idle;
    lane->context = context;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->pushed, &clock);
    pthread_condattr_destroy(&clock);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
    int code = 0;
    while (lane->threads_n < threads_n && code == 0) {
        code = pthread_create(&lane->threads[lane->threads_n], NULL, lane_main, lane);
        lane->threads_n += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0)
        return lane;
    error_set(err, ERROR_IO,
              "cannot start thread %zu of %zu: the system's limit of threads or "
              "memory is reached",
              lane->threads_n + 1, threads_n);
    lane_close(lane);
    return NULL;
}

bool lane_push(struct lane *lane, struct lane_job *job) {
    pthread_mutex_lock(&lane->lock);
    size_t free_n = lane->threads_n - lane->running_n;
    bool room = lane->waiting_n < lane->waiting_max + free_n;
    if (room) {
        job->next = NULL;
        *lane->last = job;
        lane->last = &job->next;
        lane->waiting_n++;
        pthread_cond_signal(&lane->pushed);
    }
    pthread_mutex_unlock(&lane->lock);
    return room;
}

/* Looked at for likeness; the lock is held meanwhile. */
enum { LOOKED_AT_MAX = 64 };

size_t lane_take_alike(struct lane *lane, const struct lane_job *first, lane_alike *alike,
                       size_t max, struct lane_job **jobs_out) {
    size_t n = 0;
    pthread_mutex_lock(&lane->lock);
    /* Of the waiting ones and `first`, rounded up, less `first` itself. */
    size_t share = (lane->waiting_n + lane->threads_n) / lane->threads_n - 1;
    if (share < max)
        max = share;
    struct lane_job **at = &lane->first;
    for (size_t looked = 0; *at && n < max && looked < LOOKED_AT_MAX; looked++) {
        struct lane_job *job = *at;
        if (!alike(first, job)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        if (!*at)
            lane->last = at;
        lane->waiting_n--;
        jobs_out[n++] = job;
    }
    pthread_mutex_unlock(&lane->lock);
    return n;
}

size_t lane_waiting_n(struct lane *lane) {
    pthread_mutex_lock(&lane->lock);
    size_t n = lane->waiting_n;
    pthread_mutex_unlock(&lane->lock);
    return n;
}

struct lane_job *lane_drop(struct lane *lane) {
    pthread_mutex_lock(&lane->lock);
    struct lane_job *jobs = lane->first;
    lane->first = NULL;
    lane->last = &lane->first;
    lane->waiting_n = 0;
    pthread_mutex_unlock(&lane->lock);
    return jobs;
}

void lane_close(struct lane *lane) {
    if (!lane)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->closing = true;
    pthread_cond_broadcast(&lane->pushed);
    pthread_mutex_unlock(&lane->lock);
    for (size_t i = 0; i < lane->threads_n; i++)
        pthread_join(lane->threads[i], NULL);
    pthread_cond_destroy(&lane->pushed);
    pthread_mutex_destroy(&lane->lock);
    free(lane->threads);
    free(lane);
}
