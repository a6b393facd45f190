/* team.h - threads that do one thing together, step by step.
 *
 * Members call team_wait between steps; none goes on before all have come. A step of a short query
 * takes microseconds, so a waiting member spins for about as long as that and only then gives its
 * core away (sched_yield), for when there are more threads than cores.
 * Each member must call team_wait equally often. Memory written before it is seen after it. */
#ifndef TERCET_BASE_TEAM_H
#define TERCET_BASE_TEAM_H

#include <stdatomic.h>
#include <stddef.h>

/* All zeros but members_n is a team. */
struct team {
    size_t members_n;
    atomic_size_t arrived;
    atomic_uint round;
};

void team_wait(struct team *team);

/* The part of n items that is this member's: [*begin, *end) at multiples of `step` but for n. */
void team_share(const struct team *team, size_t member, size_t n, size_t step, size_t *begin,
                size_t *end);

#endif
