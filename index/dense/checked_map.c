#include "index/dense/checked_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"

enum piece_state { PIECE_UNKNOWN, PIECE_SOUND, PIECE_DAMAGED };

size_t checked_pieces_n(size_t len) {
    return (len + CHECKED_PIECE - 1) / CHECKED_PIECE;
}

void checked_map_init(struct checked_map *map, const uint8_t *body, size_t len,
                      const uint8_t *sums) {
    size_t pieces_n = checked_pieces_n(len);
    *map = (struct checked_map){.body = body, .sums = sums, .len = len, .pieces_n = pieces_n};
    map->states = mem_zalloc(pieces_n, sizeof *map->states);
}

void checked_map_done(struct checked_map *map) {
    free((void *)map->states);
    *map = (struct checked_map){0};
}

static uint64_t sum_of(const uint8_t *body, size_t len, size_t piece) {
    size_t begin = piece * CHECKED_PIECE;
    return XXH3_64bits(body + begin, len - begin < CHECKED_PIECE ? len - begin : CHECKED_PIECE);
}

static bool look(struct checked_map *map, size_t piece) {
    uint64_t expected;
    memcpy(&expected, map->sums + piece * sizeof expected, sizeof expected);
    bool sound = sum_of(map->body, map->len, piece) == expected;
    atomic_store_explicit(&map->states[piece], sound ? PIECE_SOUND : PIECE_DAMAGED,
                          memory_order_relaxed);
    return sound;
}

bool checked_map_touch(struct checked_map *map, const void *at, size_t len) {
    if (len == 0 || !map->states)
        return true;
    size_t begin = (size_t)((const uint8_t *)at - map->body);
    assert(begin <= map->len && len <= map->len - begin);
    bool sound = true;
    for (size_t i = begin / CHECKED_PIECE; i <= (begin + len - 1) / CHECKED_PIECE; i++) {
        uint8_t state = atomic_load_explicit(&map->states[i], memory_order_relaxed);
        sound = sound && (state == PIECE_SOUND || (state == PIECE_UNKNOWN && look(map, i)));
    }
    return sound;
}

bool checked_map_touch_all(struct checked_map *map) {
    return checked_map_touch(map, map->body, map->len);
}

void checked_map_sum(const uint8_t *body, size_t len, uint8_t *sums_out) {
    for (size_t i = 0; i < checked_pieces_n(len); i++) {
        uint64_t sum = sum_of(body, len, i);
        memcpy(sums_out + i * sizeof sum, &sum, sizeof sum);
    }
}
