#include "query/cores.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"

/* Scoring a few hundred candidates takes two milliseconds: with more threads than this, waking them
 * takes longer than what each still does. */
enum { CORES_MAX = 4 };

struct cores {
    struct pool *pool;
    atomic_uint searches_n; /* at work */
};

struct cores *cores_open(void) {
    size_t n = pool_cores_n();
    if (n < 2)
        return NULL;
    struct cores *cores = mem_zalloc(1, sizeof *cores);
    cores->pool = pool_open(n < CORES_MAX ? n : CORES_MAX);
    return cores;
}

void cores_close(struct cores *cores) {
    if (!cores)
        return;
    pool_close(cores->pool);
    free(cores);
}

/* Who comes while nobody is there has the pool, and nobody else until all have left. */
struct pool *cores_enter(struct cores *cores) {
    return cores && atomic_fetch_add(&cores->searches_n, 1) == 0 ? cores->pool : NULL;
}

void cores_leave(struct cores *cores) {
    if (cores)
        atomic_fetch_sub(&cores->searches_n, 1);
}
