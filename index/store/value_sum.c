#include "index/store/value_sum.h"

/* Built once for each kind: VALUE_SUM names the function. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint32_t VALUE_SUM(unsigned table, const void *key, size_t key_len, const void *value, size_t len) {
    uint64_t name = XXH3_64bits_withSeed(key, key_len, 1 + (uint64_t)table);
    return (uint32_t)((name ^ XXH3_64bits(value, len)) >> 32);
}
