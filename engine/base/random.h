/* random.h - chance that is the same in every run and on every machine: made-up inputs, samples. */
#ifndef TERCET_BASE_RANDOM_H
#define TERCET_BASE_RANDOM_H

#include <math.h>
#include <stdint.h>

/* SplitMix64 (Steele, Lea & Flood 2014): any state is a good one, so a seed is just a number. */
static inline uint64_t random_u64(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* [0, 1) */
static inline double random_uniform(uint64_t *state) {
    return (double)(random_u64(state) >> 11) * 0x1p-53;
}

/* [0, n), n > 0. */
static inline uint32_t random_below(uint64_t *state, uint32_t n) {
    return (uint32_t)((random_u64(state) >> 32) * n >> 32);
}

/* Mean 0, deviation 1 (Box & Muller 1958). */
static inline double random_normal(uint64_t *state) {
    double radius = sqrt(-2 * log(1 - random_uniform(state)));
    return radius * cos(6.283185307179586 * random_uniform(state));
}

#endif
