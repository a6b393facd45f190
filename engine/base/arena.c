#include "engine/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { ALIGNMENT = 64, CHUNK_BYTES_MIN = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t used, size; /* bytes of data */
    _Alignas(ALIGNMENT) unsigned char data[];
};

void arena_done(struct arena *arena) {
    while (arena->chunk) {
        struct arena_chunk *older = arena->chunk->older;
        free(arena->chunk);
        arena->chunk = older;
    }
}

/* Chunks double, so the newest is the largest. */
void arena_reset(struct arena *arena) {
    struct arena_chunk *newest = arena->chunk;
    if (!newest)
        return;
    arena->chunk = newest->older;
    arena_done(arena);
    newest->older = NULL;
    newest->used = 0;
    arena->chunk = newest;
}

void arena_trim(struct arena *arena, size_t bytes_max) {
    arena_reset(arena);
    if (arena->chunk && arena->chunk->size > bytes_max)
        arena_done(arena);
}

static void arena_grow(struct arena *arena, size_t bytes) {
    size_t size = arena->chunk ? arena->chunk->size * 2 : CHUNK_BYTES_MIN;
    if (size < bytes)
        size = bytes;
    struct arena_chunk *chunk = mem_alloc_aligned(1, sizeof *chunk + size);
    chunk->older = arena->chunk;
    chunk->used = 0;
    chunk->size = size;
    arena->chunk = chunk;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return mem_alloc(count, size); /* says so and aborts */
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena->chunk || arena->chunk->size - arena->chunk->used < bytes)
        arena_grow(arena, bytes);
    void *memory = arena->chunk->data + arena->chunk->used;
    arena->chunk->used += bytes;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t count, size_t size) {
    void *memory = arena_alloc(arena, count, size);
    return memset(memory, 0, count * size);
}

char *arena_text(struct arena *arena, const char *text, size_t length) {
    char *copy = arena_alloc(arena, length + 1, 1);
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(arena, (size_t)length + 1, 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void *arena_room(struct arena *arena, void *items, size_t n, size_t size) {
    if ((n & (n - 1)) != 0)
        return items;
    void *larger = arena_alloc(arena, n ? 2 * n : 1, size);
    if (n)
        memcpy(larger, items, n * size);
    return larger;
}
