/* Every kind of vec.c against plain C, and plain C against arithmetic in f64. */
#include <stdint.h>

#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "tests/check.h"

enum { LONGEST = 300, ROOM = LONGEST + 32 };

/* Ends at the end of its memory, so that the sanitizers see one byte too much; the start is as
 * unaligned as the length makes it. */
struct tight {
    uint8_t *memory, *at;
};

static struct tight tight_copy(const void *bytes, size_t len, size_t slack) {
    struct tight copy = {.memory = mem_alloc(len + slack, 1)};
    copy.at = copy.memory + slack;
    memcpy(copy.at, bytes, len);
    return copy;
}

static void dots_agree(enum cpu_level level) {
    const struct vec_kind *plain = vec_kind_of(CPU_PLAIN), *kind = vec_kind_of(level);
    unsigned long long seed = 11;
    for (size_t n = 0; n <= LONGEST; n++) {
        float a[ROOM], b[ROOM], back[ROOM];
        uint16_t halves[ROOM];
        double sum = 0, size = 0, sum_f16 = 0;
        for (size_t i = 0; i < n; i++) {
            a[i] = check_random_float(&seed);
            b[i] = check_random_float(&seed);
        }
        plain->to_f16(b, n, halves);
        plain->from_f16(halves, n, back);
        for (size_t i = 0; i < n; i++) {
            sum += (double)a[i] * (double)b[i];
            sum_f16 += (double)a[i] * (double)back[i];
            size += fabs((double)a[i] * (double)b[i]);
        }
        struct tight row = tight_copy(halves, 2 * n, 1 + n % 3);
        struct tight left = tight_copy(a, 4 * n, 4), right = tight_copy(b, 4 * n, 4);
        const float *x = (const float *)(const void *)left.at;
        const float *y = (const float *)(const void *)right.at;
        CHECK_NEAR(kind->dot_f32(x, y, n), sum, 1e-6 * size);
        CHECK_NEAR(kind->dot_f16(x, row.at, n), sum_f16, 1e-6 * size);
        CHECK(kind->dot_f16(x, row.at, n) == kind->dot_f16(a, halves, n)); /* wherever it lies */
        free(row.memory);
        free(left.memory);
        free(right.memory);
    }
}

/* Every half there is, and every f32 near a half or between two. */
static void halves_agree(enum cpu_level level) {
    const struct vec_kind *plain = vec_kind_of(CPU_PLAIN), *kind = vec_kind_of(level);
    enum { N = 65536 };
    uint16_t *all = mem_alloc(N, sizeof *all), *found = mem_alloc(N, sizeof *found);
    float *values = mem_alloc(N, sizeof *values), *other = mem_alloc(N, sizeof *other);
    size_t different = 0;
    for (size_t i = 0; i < N; i++)
        all[i] = (uint16_t)i;
    plain->from_f16(all, N, values);
    kind->from_f16(all, N, other);
    CHECK(memcmp(values, other, N * sizeof *values) == 0);
    plain->to_f16(values, N, found);
    for (size_t i = 0; i < N; i++)
        different += !isnan(values[i]) && found[i] != i;
    CHECK_EQUAL(different, 0); /* there and back */
    for (int step = -2; step <= 2; step++) {
        for (size_t i = 0; i < N; i++) { /* midway to the next half, and a little beside */
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            bits += 0x1000 + (uint32_t)step;
            memcpy(&other[i], &bits, sizeof bits);
        }
        plain->to_f16(other, N, found);
        kind->to_f16(other, N, all);
        CHECK(memcmp(found, all, N * sizeof *all) == 0);
    }
    free(all);
    free(found);
    free(values);
    free(other);
}

static void known_halves(void) {
    const struct {
        float value;
        uint16_t half;
    } cases[] = {{0, 0},
                 {-0.0f, 0x8000},
                 {1, 0x3c00},
                 {-2, 0xc000},
                 {65504, 0x7bff},
                 {65519.9f, 0x7bff},
                 {65520, 0x7c00},
                 {1e30f, 0x7c00},
                 {0x1p-14f, 0x400},
                 {0x1p-24f, 1},
                 {0x1p-25f, 0},
                 {0x1.8p-25f, 1},
                 {0x1.8p-24f, 2},
                 {INFINITY, 0x7c00},
                 {1.0f / 3, 0x3555},
                 {-INFINITY, 0xfc00}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t half;
        vec_to_f16(&cases[i].value, 1, &half);
        CHECK_EQUAL(half, cases[i].half);
    }
}

static void normalize_makes_length_1(void) {
    float zeros[5] = {0}, vector[77], tiny[2] = {3e-30f, 4e-30f};
    unsigned long long seed = 5;
    for (size_t i = 0; i < 77; i++)
        vector[i] = 100 * check_random_float(&seed);
    vec_normalize(vector, 77);
    CHECK_NEAR(vec_dot_f32(vector, vector, 77), 1, 1e-6);
    vec_normalize(zeros, 5);
    CHECK(zeros[0] == 0 && zeros[4] == 0);
    vec_normalize(tiny, 2);
    CHECK_NEAR(tiny[0], 0.6, 1e-6);
}

int main(void) {
    CHECK(vec_kind_of(CPU_PLAIN));
    for (int i = CPU_PLAIN; i <= CPU_AVX512; i++) {
        enum cpu_level level = (enum cpu_level)i;
        if (!vec_kind_of(level)) {
            printf("%s: not on this machine\n", cpu_level_name(level));
            continue;
        }
        dots_agree(level);
        halves_agree(level);
    }
    known_halves();
    normalize_makes_length_1();
    return check_result();
}
