#include "engine/base/team.h"

#include <sched.h>

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void team_wait(struct team *team) {
    /* About 20 us on a current core: longer than the others' shares differ. */
    enum { SPINS = 1000 };
    if (team->members_n <= 1)
        return;
    unsigned round = atomic_load_explicit(&team->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == team->members_n) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->round, round + 1, memory_order_release);
        return;
    }
    for (size_t i = 0; atomic_load_explicit(&team->round, memory_order_acquire) == round; i++)
        if (i < SPINS)
            pause_briefly();
        else
            sched_yield();
}

void team_share(const struct team *team, size_t member, size_t n, size_t step, size_t *begin,
                size_t *end) {
    size_t steps = (n + step - 1) / step;
    size_t first = steps * member / team->members_n * step;
    size_t last = steps * (member + 1) / team->members_n * step;
    *begin = first < n ? first : n;
    *end = last < n ? last : n;
}
