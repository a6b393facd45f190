#include "ingest/seen.h"

#include <stdlib.h>
#include <xxhash.h>

#include "engine/base/mem.h"

enum { SLOTS_MIN = 1024 };

static uint64_t *slot_of(const struct seen *seen, uint64_t hash) {
    size_t at = hash & (seen->slots_n - 1);
    while (seen->slots[at] && seen->slots[at] != hash)
        at = (at + 1) & (seen->slots_n - 1);
    return &seen->slots[at];
}

/* At most half of the slots are taken. */
static void grow(struct seen *seen) {
    struct seen larger = {.slots_n = seen->slots_n ? 2 * seen->slots_n : SLOTS_MIN,
                          .keys_n = seen->keys_n};
    larger.slots = mem_zalloc(larger.slots_n, sizeof *larger.slots);
    for (size_t i = 0; i < seen->slots_n; i++)
        if (seen->slots[i])
            *slot_of(&larger, seen->slots[i]) = seen->slots[i];
    free(seen->slots);
    *seen = larger;
}

bool seen_add(struct seen *seen, const char *key, size_t len) {
    uint64_t hash = XXH3_64bits(key, len);
    hash += hash == 0; /* 0 is a free slot */
    if (seen->keys_n * 2 >= seen->slots_n && seen->keys_n < SEEN_KEYS_MAX)
        grow(seen);
    uint64_t *slot = slot_of(seen, hash);
    if (*slot)
        return true;
    if (seen->keys_n < SEEN_KEYS_MAX) {
        *slot = hash;
        seen->keys_n++;
    }
    return false;
}

void seen_done(struct seen *seen) {
    free(seen->slots);
    *seen = (struct seen){0};
}
