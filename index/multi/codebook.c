#include "index/multi/codebook.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/vec.h"

static const float HALF_MAX = 65504.0f; /* the largest finite f16 */

/* Four numbers in a register that every machine has; compilers do not find these by themselves. */
typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

static inline float4 load4(const float *at) {
    float4 four;
    memcpy(&four, at, sizeof four);
    return four;
}

static inline void store4(float *at, float4 four) {
    memcpy(at, &four, sizeof four);
}

/* ---- the rotation ---- */

/* Rounds of signs and a transform. A transform takes a power of 2; where dim is none, even rounds
 * take the first so many numbers and odd ones the last, and it takes four until each number has
 * met all others. */
static size_t rounds_of(size_t dim) {
    return (dim & (dim - 1)) == 0 ? 2 : 4;
}

/* SplitMix64 (Steele, Lea & Flood 2014), the n-th number of it: signs of 64 dimensions. */
static uint64_t signs_of(size_t round, size_t n) {
    uint64_t z = ((uint64_t)round << 32 | (n + 1)) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Bit i of `signs` turns number i. */
static inline float4 turn4(float4 four, uint64_t signs) {
    enum { SIGN = INT32_MIN };
    static const int4 masks[16] = {
        {0, 0, 0, 0},       {SIGN, 0, 0, 0},       {0, SIGN, 0, 0},       {SIGN, SIGN, 0, 0},
        {0, 0, SIGN, 0},    {SIGN, 0, SIGN, 0},    {0, SIGN, SIGN, 0},    {SIGN, SIGN, SIGN, 0},
        {0, 0, 0, SIGN},    {SIGN, 0, 0, SIGN},    {0, SIGN, 0, SIGN},    {SIGN, SIGN, 0, SIGN},
        {0, 0, SIGN, SIGN}, {SIGN, 0, SIGN, SIGN}, {0, SIGN, SIGN, SIGN}, {SIGN, SIGN, SIGN, SIGN}};
    return (float4)((int4)four ^ masks[signs & 15]);
}

static void flip_signs(float *vector, size_t dim, size_t round) {
    uint64_t signs = 0;
    size_t i = 0;
    for (; i + 4 <= dim; i += 4, signs >>= 4) {
        if (i % 64 == 0)
            signs = signs_of(round, i / 64);
        store4(vector + i, turn4(load4(vector + i), signs));
    }
    if (i % 64 == 0)
        signs = signs_of(round, i / 64);
    for (; i < dim; i++, signs >>= 1)
        vector[i] = signs & 1 ? -vector[i] : vector[i];
}

/* Sums and differences of pairs `half` apart. */
static void butterflies(float *vector, size_t n, size_t half) {
    for (size_t begin = 0; begin < n; begin += 2 * half)
        for (size_t i = begin; i < begin + half; i++) {
            float a = vector[i], b = vector[i + half];
            vector[i] = a + b;
            vector[i + half] = a - b;
        }
}

/* butterflies of 1 and 2 within fours. n: a multiple of 4. */
static void butterflies_within(float *vector, size_t n) {
    const float4 odd = {1, -1, 1, -1}, upper = {1, 1, -1, -1};
    for (size_t i = 0; i < n; i += 4) {
        float4 x = load4(vector + i);
        float4 neighbours = {x[1], x[0], x[3], x[2]};
        x = neighbours + x * odd;
        float4 halves = {x[2], x[3], x[0], x[1]};
        store4(vector + i, halves + x * upper);
    }
}

/* butterflies of `half` and 2 half in one go. half: a multiple of 4. */
static void butterflies_twice(float *vector, size_t n, size_t half) {
    for (size_t begin = 0; begin < n; begin += 4 * half)
        for (size_t i = begin; i < begin + half; i += 4) {
            float4 a = load4(vector + i), b = load4(vector + i + half);
            float4 c = load4(vector + i + 2 * half), d = load4(vector + i + 3 * half);
            float4 ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
            store4(vector + i, ab + cd);
            store4(vector + i + half, a_b + c_d);
            store4(vector + i + 2 * half, ab - cd);
            store4(vector + i + 3 * half, a_b - c_d);
        }
}

/* Hadamard's matrix over sqrt(n): its own inverse. n: a power of 2. */
static void transform(float *vector, size_t n) {
    size_t half = 1;
    if (n >= 4) {
        butterflies_within(vector, n);
        for (half = 4; 4 * half <= n; half *= 4)
            butterflies_twice(vector, n, half);
    }
    for (; half < n; half *= 2)
        butterflies(vector, n, half);
    float factor = 1 / sqrtf((float)n);
    for (size_t i = 0; i < n; i++)
        vector[i] *= factor;
}

static void transform_round(float *vector, size_t dim, size_t round) {
    size_t power = 1;
    while (2 * power <= dim)
        power *= 2;
    transform(round % 2 ? vector + dim - power : vector, power);
}

void codebook_rotate(float *vector, size_t dim) {
    for (size_t round = 0; round < rounds_of(dim); round++) {
        flip_signs(vector, dim, round);
        transform_round(vector, dim, round);
    }
}

void codebook_unrotate(float *vector, size_t dim) {
    for (size_t round = rounds_of(dim); round-- > 0;) {
        transform_round(vector, dim, round);
        flip_signs(vector, dim, round);
    }
}

/* ---- the points ---- */

/* One table for each pack: its coordinates, 15 added, made by codebook.py (but the first, which is
 * sixteen equal steps). The part of a normal vector's energy that the points do not hold: 0.0115,
 * 0.1082, 0.2349, 0.3419. */
static const uint8_t points[MAXSIM_PACK_MAX][MAXSIM_PACK_MAX][MAXSIM_POINTS] = {
    {
        {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30},
    },
    {
        {2, 4, 5, 9, 10, 12, 13, 14, 15, 16, 20, 21, 21, 22, 28, 28},
        {16, 7, 24, 18, 11, 2, 29, 22, 15, 9, 19, 3, 12, 26, 9, 19},
    },
    {
        {2, 2, 3, 9, 11, 12, 13, 14, 14, 17, 18, 22, 23, 24, 25, 30},
        {12, 24, 9, 18, 2, 16, 25, 9, 28, 6, 14, 21, 3, 16, 26, 13},
        {24, 15, 9, 3, 16, 18, 26, 28, 11, 3, 13, 2, 18, 25, 17, 11},
    },
    {
        {4, 4, 6, 10, 11, 14, 14, 15, 16, 16, 16, 19, 20, 25, 26, 26},
        {12, 13, 24, 19, 3, 4, 14, 15, 16, 25, 27, 12, 9, 22, 7, 17},
        {13, 20, 9, 26, 10, 23, 1, 15, 9, 14, 20, 24, 13, 8, 12, 23},
        {23, 7, 13, 20, 11, 19, 18, 15, 2, 26, 9, 5, 27, 14, 12, 19},
    },
};

/* What one standard deviation of the numbers is in the tables' units. */
static const float deviations[MAXSIM_PACK_MAX] = {5.97f, 7.07f, 8.76f, 8.42f};

const uint8_t (*codebook_points(size_t pack))[MAXSIM_POINTS] {
    assert(pack >= 1 && pack <= MAXSIM_PACK_MAX);
    return points[pack - 1];
}

size_t codebook_row_bytes(size_t dim, size_t pack) {
    return (dim + 2 * pack - 1) / (2 * pack);
}

/* ---- encoding ---- */

/* The points as floats, and half their squared length. */
struct palette {
    float coordinates[MAXSIM_POINTS][MAXSIM_PACK_MAX], half_squares[MAXSIM_POINTS];
};

static void palette_init(struct palette *palette, size_t pack) {
    for (size_t c = 0; c < MAXSIM_POINTS; c++) {
        float squares = 0;
        for (size_t p = 0; p < pack; p++) {
            float coordinate = (float)points[pack - 1][p][c] - MAXSIM_LEVEL_MAX;
            palette->coordinates[c][p] = coordinate;
            squares += coordinate * coordinate;
        }
        palette->half_squares[c] = squares / 2;
    }
}

/* The nearest points of four codes at once: that with the largest product less half its square.
 * planes: each coordinate's four numbers, in the points' units. */
static inline __attribute__((always_inline)) int4 nearest4(const struct palette *palette,
                                                           const float4 *planes, size_t pack) {
    float4 best = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    int4 code = {0};
    for (int c = 0; c < MAXSIM_POINTS; c++) {
        float4 score = planes[0] * palette->coordinates[c][0] - palette->half_squares[c];
        for (size_t p = 1; p < pack; p++)
            score += planes[p] * palette->coordinates[c][p];
        int4 better = score > best;
        best = (float4)(((int4)score & better) | ((int4)best & ~better));
        code = (better & c) | (code & ~better);
    }
    return code;
}

/* codes_out: [codes_n], a byte each, and up to 3 more. */
static inline __attribute__((always_inline)) void
nearest_codes(const float *vector, float factor, size_t codes_n, size_t pack, uint8_t *codes_out) {
    struct palette palette;
    palette_init(&palette, pack);
    for (size_t i = 0; i < codes_n; i += 4) {
        float4 planes[MAXSIM_PACK_MAX];
        for (size_t p = 0; p < pack; p++)
            planes[p] = load4(vector + p * codes_n + i) * factor;
        int4 codes = nearest4(&palette, planes, pack);
        for (size_t j = 0; j < 4; j++)
            codes_out[i + j] = (uint8_t)codes[j];
    }
}

static void find_codes(const float *vector, float factor, size_t codes_n, size_t pack,
                       uint8_t *codes_out) {
    switch (pack) { /* each with its loops unrolled */
    case 1: nearest_codes(vector, factor, codes_n, 1, codes_out); break;
    case 2: nearest_codes(vector, factor, codes_n, 2, codes_out); break;
    case 3: nearest_codes(vector, factor, codes_n, 3, codes_out); break;
    default: nearest_codes(vector, factor, codes_n, MAXSIM_PACK_MAX, codes_out);
    }
}

static float product(const float *a, const float *b, size_t n) {
    float4 sums = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        sums += load4(a + i) * load4(b + i);
    float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The value that f16 will give back. */
static float scale_as_stored(float scale) {
    uint16_t half;
    scale = scale > HALF_MAX ? HALF_MAX : scale;
    vec_to_f16(&scale, 1, &half);
    vec_from_f16(&half, 1, &scale);
    return scale;
}

float codebook_encode(const float *vector, size_t dim, size_t pack, enum codebook_scale kind,
                      uint8_t *row_out) {
    uint8_t codes[CODEBOOK_ROOM];
    float coded[CODEBOOK_DIM_MAX];
    size_t row_bytes = codebook_row_bytes(dim, pack);
    assert(dim >= 1 && dim <= CODEBOOK_DIM_MAX && pack >= 1 && pack <= MAXSIM_PACK_MAX);
    float energy = product(vector, vector, dim);
    float factor = energy > 0 ? deviations[pack - 1] / sqrtf(energy / (float)dim) : 0;
    if (!isfinite(factor)) /* too short a vector to matter */
        energy = factor = 0;
    find_codes(vector, factor, 2 * row_bytes, pack, codes);
    for (size_t i = 0; i < row_bytes; i++)
        row_out[i] = (uint8_t)(codes[i] | codes[row_bytes + i] << 4);
    codebook_decode(row_out, dim, pack, 1, coded);
    float shared = product(vector, coded, dim), coded_energy = product(coded, coded, dim);
    if (!(shared > 0)) /* zeros, or so few dimensions that no point lies on their side */
        return 0;
    return scale_as_stored(kind == CODEBOOK_UNBIASED ? energy / shared : shared / coded_energy);
}

void codebook_decode(const uint8_t *row, size_t dim, size_t pack, float scale, float *out) {
    size_t row_bytes = codebook_row_bytes(dim, pack), codes_n = 2 * row_bytes;
    for (size_t p = 0; p < pack; p++)
        for (size_t i = 0; i < codes_n && p * codes_n + i < dim; i++) {
            unsigned code = i < row_bytes ? row[i] & 15u : row[i - row_bytes] >> 4;
            out[p * codes_n + i] = scale * ((float)points[pack - 1][p][code] - MAXSIM_LEVEL_MAX);
        }
}
