/* map.h - text -> u32, open addressing.
 *
 * For vocabularies and per-document word counts. Keys are borrowed: they must outlive the map
 * (keep them in an arena or in the mapped file). Reading from many threads is fine once filled. */
#ifndef TERCET_BASE_MAP_H
#define TERCET_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    const char *key; /* NULL: free */
    uint32_t key_len;
    uint32_t value;
};

/* A map of zeros is a valid empty one. */
struct map {
    struct map_slot *slots; /* [slots_n], a power of two */
    size_t slots_n, n;
};

void map_done(struct map *map);
void map_clear(struct map *map); /* keeps the memory */
void map_reserve(struct map *map, size_t n);

/* NULL when absent. The pointer is good until the next map_put. */
uint32_t *map_find(const struct map *map, const char *key, size_t key_len);

/* The value's place, made with `initial` when the key is new (*new_out, which may be NULL, tells).
 * The pointer is good until the next map_put. */
uint32_t *map_put(struct map *map, const char *key, size_t key_len, uint32_t initial,
                  bool *new_out);

#endif
