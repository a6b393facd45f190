#include "index/store/value_sum.h"

#include "engine/base/cpu.h"
#include "tests/check.h"

enum { BYTES = 6000, ROUNDS = 4000 };

/* Every kind gives the same sums, at every length and offset. */
static void kinds_agree(void) {
    static uint8_t bytes[BYTES + 600];
    unsigned long long seed = 5;
    value_sum_kind *fast = value_sum_choose();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)check_random(&seed);
    for (int i = 0; i < ROUNDS; i++) {
        size_t len = check_random(&seed) % (i % 2 ? 300 : BYTES - 64),
               at = check_random(&seed) % 64;
        size_t key_len = 1 + check_random(&seed) % 511;
        unsigned table = (unsigned)i % 11;
        const uint8_t *key = bytes + BYTES - 64 + check_random(&seed) % 64;
        CHECK_EQUAL(fast(table, key, key_len, bytes + at, len),
                    value_sum_plain(table, key, key_len, bytes + at, len));
    }
    CHECK((fast == value_sum_plain) == (cpu_level() < CPU_AVX2));
}

/* One bit of value or key, another table, another length: another sum. */
static void differences_show(void) {
    uint8_t value[780], key[8] = {0, 0, 1, 2};
    unsigned long long seed = 6;
    value_sum_kind *sum = value_sum_choose();
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)check_random(&seed);
    uint32_t right = sum(5, key, 4, value, sizeof value);
    for (size_t bit = 0; bit < 8 * sizeof value; bit++) {
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(sum(5, key, 4, value, sizeof value) != right);
        value[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 32; bit++) {
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(sum(5, key, 4, value, sizeof value) != right);
        key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(sum(6, key, 4, value, sizeof value) != right);
    CHECK(sum(5, key, 5, value, sizeof value) != right);
    CHECK(sum(5, key, 4, value, sizeof value - 1) != right);
    CHECK_EQUAL(sum(5, key, 4, value, sizeof value), right);
}

int main(void) {
    kinds_agree();
    differences_show();
    return check_result();
}
