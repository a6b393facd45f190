#include "index/dense/rotate.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

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

/* A sign bit for each dimension and round, filled when first needed. */
static struct {
    pthread_once_t once;
    uint32_t masks[ROUNDS][VEC_S8_DIM_MAX]; /* 0x80000000 or 0 */
} signs = {.once = PTHREAD_ONCE_INIT};

/* SplitMix64's mixing (Steele, Lea & Flood 2014): 64 signs for each number. */
static uint64_t sign_bits(uint64_t number) {
    uint64_t z = (number + 1) * 0x9e3779b97f4a7c15u + sign_seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill_signs(void) {
    for (uint64_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < VEC_S8_DIM_MAX; i++)
            signs.masks[round][i] = (uint32_t)(sign_bits(round << 32 | i / 64) >> (i % 64) & 1)
                                    << 31;
}

static void flip_signs(float *vector, size_t n, uint64_t round) {
    const uint32_t *masks = signs.masks[round];
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        bits ^= masks[i];
        memcpy(&vector[i], &bits, sizeof bits);
    }
}

/* Eight values in registers: the transform's first three steps. */
static void hadamard8(float *v) {
    float a0 = v[0] + v[1], a1 = v[0] - v[1], a2 = v[2] + v[3], a3 = v[2] - v[3];
    float a4 = v[4] + v[5], a5 = v[4] - v[5], a6 = v[6] + v[7], a7 = v[6] - v[7];
    float b0 = a0 + a2, b1 = a1 + a3, b2 = a0 - a2, b3 = a1 - a3;
    float b4 = a4 + a6, b5 = a5 + a7, b6 = a4 - a6, b7 = a5 - a7;
    v[0] = b0 + b4;
    v[1] = b1 + b5;
    v[2] = b2 + b6;
    v[3] = b3 + b7;
    v[4] = b0 - b4;
    v[5] = b1 - b5;
    v[6] = b2 - b6;
    v[7] = b3 - b7;
}

/* n: a power of two, at least VEC_S8_STEP. */
static void hadamard(float *vector, size_t n) {
    float scale = 1 / sqrtf((float)n);
    for (size_t i = 0; i < n; i += 8)
        hadamard8(vector + i);
    for (size_t half = 8; half < n; half *= 2)
        for (size_t i = 0; i < n; i += 2 * half) {
            float *restrict low = vector + i, *restrict high = vector + i + half;
            for (size_t j = 0; j < half; j++) {
                float a = low[j], b = high[j];
                low[j] = a + b;
                high[j] = a - b;
            }
        }
    for (size_t i = 0; i < n; i++)
        vector[i] *= scale;
}

void dense_rotate(float *vector, size_t rotated_dim) {
    size_t part = VEC_S8_STEP;
    pthread_once(&signs.once, fill_signs);
    while (2 * part <= rotated_dim)
        part *= 2;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        flip_signs(vector, rotated_dim, round);
        hadamard(round % 2 == 0 ? vector : vector + (rotated_dim - part), part);
    }
}
