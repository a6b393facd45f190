#include "engine/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"

enum { SLOTS_MIN = 16 };

void map_done(struct map *map) {
    free(map->slots);
    *map = (struct map){0};
}

void map_clear(struct map *map) {
    if (map->n)
        memset(map->slots, 0, map->slots_n * sizeof *map->slots);
    map->n = 0;
}

/* The slot that holds the key, or the free one where it belongs. At most 2/3 are ever in use. */
static struct map_slot *slot_of(const struct map *map, const char *key, size_t key_len) {
    size_t mask = map->slots_n - 1;
    for (size_t i = XXH3_64bits(key, key_len) & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (!slot->key || (slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0))
            return slot;
    }
}

static void map_resize(struct map *map, size_t slots_n) {
    struct map old = *map;
    map->slots = mem_zalloc(slots_n, sizeof *map->slots);
    map->slots_n = slots_n;
    for (size_t i = 0; i < old.slots_n; i++)
        if (old.slots[i].key)
            *slot_of(map, old.slots[i].key, old.slots[i].key_len) = old.slots[i];
    free(old.slots);
}

void map_reserve(struct map *map, size_t n) {
    size_t slots_n = map->slots_n ? map->slots_n : SLOTS_MIN;
    while (slots_n / 3 * 2 <= n)
        slots_n *= 2;
    if (slots_n > map->slots_n)
        map_resize(map, slots_n);
}

uint32_t *map_find(const struct map *map, const char *key, size_t key_len) {
    if (map->n == 0)
        return NULL;
    struct map_slot *slot = slot_of(map, key, key_len);
    return slot->key ? &slot->value : NULL;
}

uint32_t *map_put(struct map *map, const char *key, size_t key_len, uint32_t initial,
                  bool *new_out) {
    assert(key && key_len <= UINT32_MAX);
    map_reserve(map, map->n + 1);
    struct map_slot *slot = slot_of(map, key, key_len);
    bool is_new = !slot->key;
    if (is_new) {
        *slot = (struct map_slot){.key = key, .key_len = (uint32_t)key_len, .value = initial};
        map->n++;
    }
    if (new_out)
        *new_out = is_new;
    return &slot->value;
}
