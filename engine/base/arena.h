/* arena.h - memory that is given back all at once.
 *
 * A request owns one arena and resets it at its end, so the main path needs no clean-up.
 * Everything allocated lives until arena_reset or arena_done. Not thread-safe: one arena, one
 * thread at a time. Memory comes from mem.h, so allocation never fails. */
#ifndef TERCET_BASE_ARENA_H
#define TERCET_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunk; /* newest first */
};

/* An arena of zeros is a valid empty one: `struct arena arena = {0};` */
void arena_done(struct arena *arena);

/* Forgets everything; keeps the largest chunk for the next round. */
void arena_reset(struct arena *arena);

/* The same, but a chunk of more than bytes_max is given back: for who may once have needed much,
 * and then rests. */
void arena_trim(struct arena *arena, size_t bytes_max);

/* Aligned to 64 bytes, contents undefined / zero. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
void *arena_zalloc(struct arena *arena, size_t count, size_t size);

/* Copies with a NUL behind, so that the result is a C string when the text holds no NUL. */
char *arena_text(struct arena *arena, const char *text, size_t length);
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for one more behind n items, in a list that doubles at each power of two: the list itself,
 * or a copy of twice its size. Starts from NULL and 0. */
void *arena_room(struct arena *arena, void *items, size_t n, size_t size);

#define ARENA_NEW(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))
#define ARENA_ZERO(arena, type, count) ((type *)arena_zalloc((arena), (count), sizeof(type)))

#endif
