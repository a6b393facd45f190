#include "engine/base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/mem.h"

struct pool {
    pthread_mutex_t turn; /* held through pool_run: one loop at a time */
    pthread_mutex_t lock; /* guards everything below; taken inside `turn` */
    pthread_cond_t begun, ended;
    pthread_t *threads; /* [workers_n - 1] */
    size_t workers_n;
    bool closing;
    uint64_t round; /* counts pool_run calls; threads wait for it to change */

    pool_work *work;
    void *context;
    size_t items_n, next, active; /* active: threads still in this round */
    bool together;                /* item i is worker i's, and nobody else's */
};

struct pool_thread {
    struct pool *pool;
    size_t worker;
};

/* Takes items until none is left. Called with the lock held, returns with it held. */
static void pool_drain(struct pool *pool, size_t worker) {
    if (pool->together) {
        if (worker < pool->items_n) {
            pthread_mutex_unlock(&pool->lock);
            pool->work(pool->context, worker, worker);
            pthread_mutex_lock(&pool->lock);
        }
        return;
    }
    while (pool->next < pool->items_n) {
        size_t item = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        pool->work(pool->context, item, worker);
        pthread_mutex_lock(&pool->lock);
    }
}

static void *pool_thread_main(void *argument) {
    struct pool_thread self = *(struct pool_thread *)argument;
    struct pool *pool = self.pool;
    free(argument);
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == seen && !pool->closing)
            pthread_cond_wait(&pool->begun, &pool->lock);
        if (pool->closing)
            break;
        seen = pool->round;
        pool_drain(pool, self.worker);
        if (--pool->active == 0)
            pthread_cond_signal(&pool->ended);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

size_t pool_cores_n(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
}

struct pool *pool_open(size_t workers_n) {
    struct pool *pool = mem_zalloc(1, sizeof *pool);
    pool->workers_n = workers_n ? workers_n : pool_cores_n();
    pool->threads = mem_zalloc(pool->workers_n, sizeof *pool->threads);
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begun, NULL);
    pthread_cond_init(&pool->ended, NULL);
    for (size_t i = 1; i < pool->workers_n; i++) {
        struct pool_thread *self = mem_alloc(1, sizeof *self);
        *self = (struct pool_thread){.pool = pool, .worker = i};
        if (pthread_create(&pool->threads[i - 1], NULL, pool_thread_main, self) != 0) {
            free(self); /* the system allows no more threads: do with fewer */
            pool->workers_n = i;
        }
    }
    return pool;
}

void pool_close(struct pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 1; i < pool->workers_n; i++)
        pthread_join(pool->threads[i - 1], NULL);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->begun);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->turn);
    free(pool->threads);
    free(pool);
}

size_t pool_workers_n(const struct pool *pool) {
    return pool->workers_n;
}

static void run_round(struct pool *pool, size_t items_n, bool together, pool_work *work,
                      void *context) {
    pthread_mutex_lock(&pool->turn);
    pthread_mutex_lock(&pool->lock);
    pool->work = work;
    pool->context = context;
    pool->items_n = items_n;
    pool->next = 0;
    pool->together = together;
    if (items_n > 1 && pool->workers_n > 1) {
        pool->active = pool->workers_n - 1;
        pool->round++;
        pthread_cond_broadcast(&pool->begun);
    }
    pool_drain(pool, 0);
    while (pool->active > 0)
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->turn);
}

void pool_run(struct pool *pool, size_t items_n, pool_work *work, void *context) {
    run_round(pool, items_n, false, work, context);
}

void pool_run_together(struct pool *pool, size_t members_n, pool_work *work, void *context) {
    assert(members_n <= pool->workers_n);
    run_round(pool, members_n, true, work, context);
}
