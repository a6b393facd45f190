/* checked_map.h - a mapped file's body with a checksum for each piece, looked at before its first
 * use.
 *
 * Opening a file of many gigabytes must not read it, and no byte of it may be believed unread: so
 * each piece of CHECKED_PIECE bytes is summed (XXH3-64) by whoever comes to it first; what is known
 * of it then is a byte in memory.
 * Threads: any number may touch at once; two may sum the same piece, to the same end. */
#ifndef TERCET_INDEX_DENSE_CHECKED_MAP_H
#define TERCET_INDEX_DENSE_CHECKED_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small enough that reading one row does not read much else: 3 us of summing. The sums of 10 GB
 * then take 2.5 MB. */
enum { CHECKED_PIECE = 1 << 15 };

struct checked_map {
    const uint8_t *body, *sums; /* sums: [pieces_n] u64, little-endian, perhaps unaligned */
    size_t len, pieces_n;
    _Atomic uint8_t *states; /* [pieces_n] */
};

size_t checked_pieces_n(size_t len);

/* body and sums are borrowed. Release with checked_map_done; a zeroed one is fine. */
void checked_map_init(struct checked_map *map, const uint8_t *body, size_t len,
                      const uint8_t *sums);
void checked_map_done(struct checked_map *map);

/* True when the bytes are those that were summed. at must lie in the body. A zeroed map believes
 * everything: its bytes are this process's own. */
bool checked_map_touch(struct checked_map *map, const void *at, size_t len);
bool checked_map_touch_all(struct checked_map *map);

/* sums_out: [checked_pieces_n(len)] u64. */
void checked_map_sum(const uint8_t *body, size_t len, uint8_t *sums_out);

#endif
