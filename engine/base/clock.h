/* clock.h - time that only goes forward, for durations and deadlines. */
#ifndef TERCET_BASE_CLOCK_H
#define TERCET_BASE_CLOCK_H

#include <time.h>

static inline double clock_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double clock_now_ms(void) {
    return 1e3 * clock_now_s();
}

#endif
