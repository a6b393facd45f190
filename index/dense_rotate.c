#include "index/dense_rotate.h"

#include <math.h>

#include "engine/base/vec_s8.h"

enum {
    /* Where dim is no power of two, a transform covers its first 2^p dimensions and the next one
     * its last 2^p. After four of them a unit vector of one dimension has no value above 0.3 at
     * 384, 768 and 1,024 dimensions, and the mean of all others is what a random rotation has. */
    ROUNDS = 4,
};
static const uint64_t sign_seed = 0x7e2ce7d1u;

uint32_t dense_rotated_dim(uint32_t dim) {
    return (dim + VEC_S8_STEP - 1) / VEC_S8_STEP * VEC_S8_STEP;
}

/* SplitMix64's mixing (Steele, Lea & Flood 2014): 64 signs for each number. */
static uint64_t sign_bits(uint64_t number) {
    uint64_t z = (number + 1) * 0x9e3779b97f4a7c15u + sign_seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void flip_signs(float *vector, size_t n, uint64_t round) {
    for (size_t i = 0; i < n; i += 64) {
        uint64_t bits = sign_bits(round << 32 | i / 64);
        for (size_t j = 0; j < 64; j++)
            vector[i + j] *= 1 - 2 * (float)(bits >> j & 1);
    }
}

/* n: a power of two. */
static void hadamard(float *vector, size_t n) {
    float scale = 1 / sqrtf((float)n);
    for (size_t half = 1; half < n; half *= 2)
        for (size_t i = 0; i < n; i += 2 * half)
            for (size_t j = i; j < i + half; j++) {
                float a = vector[j], b = vector[j + half];
                vector[j] = a + b;
                vector[j + half] = a - b;
            }
    for (size_t i = 0; i < n; i++)
        vector[i] *= scale;
}

void dense_rotate(float *vector, size_t rotated_dim) {
    size_t part = VEC_S8_STEP;
    while (2 * part <= rotated_dim)
        part *= 2;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        flip_signs(vector, rotated_dim, round);
        hadamard(round % 2 == 0 ? vector : vector + (rotated_dim - part), part);
    }
}
