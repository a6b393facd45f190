#include "engine/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE_BYTES = 64 };

static void *mem_or_abort(void *memory, size_t bytes) {
    if (memory || bytes == 0)
        return memory;
    fprintf(stderr, "tercet: out of memory: %zu bytes were asked for\n", bytes);
    abort();
}

static size_t mem_bytes(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        fprintf(stderr, "tercet: out of memory: %zu x %zu bytes were asked for\n", count, size);
        abort();
    }
    return bytes ? bytes : 1;
}

void *mem_alloc(size_t count, size_t size) {
    size_t bytes = mem_bytes(count, size);
    return mem_or_abort(malloc(bytes), bytes);
}

void *mem_zalloc(size_t count, size_t size) {
    size_t bytes = mem_bytes(count, size);
    return mem_or_abort(calloc(1, bytes), bytes);
}

void *mem_realloc(void *old, size_t count, size_t size) {
    size_t bytes = mem_bytes(count, size);
    return mem_or_abort(realloc(old, bytes), bytes);
}

void *mem_alloc_aligned(size_t count, size_t size) {
    size_t bytes = mem_bytes(count, size);
    size_t rounded = (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
    return mem_or_abort(aligned_alloc(CACHE_LINE_BYTES, rounded), rounded);
}

char *mem_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes, 1), text, bytes);
}
