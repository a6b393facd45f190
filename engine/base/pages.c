#include "engine/base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/mem.h"

enum {
    LARGE_PAGE = 2 << 20, /* x86-64's and arm64's */
    CHUNK_MIN =
        16 << 20, /* a small model's weights in one or two; what is not used costs nothing */
    ALIGNMENT = 64,
};

struct pages_chunk {
    struct pages_chunk *older;
    unsigned char *data; /* [bytes], at a multiple of LARGE_PAGE */
    size_t bytes, used;
};

static void add_chunk(struct pages *pages, size_t bytes) {
    struct pages_chunk *chunk = mem_zalloc(1, sizeof *chunk);
    if (bytes > SIZE_MAX - LARGE_PAGE)
        mem_alloc(SIZE_MAX, 2); /* out of memory: says so and aborts */
    bytes = bytes < CHUNK_MIN ? CHUNK_MIN : bytes;
    chunk->bytes = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    chunk->data = aligned_alloc(LARGE_PAGE, chunk->bytes);
    if (!chunk->data)
        mem_alloc(SIZE_MAX, 2);
    madvise(chunk->data, chunk->bytes, MADV_HUGEPAGE); /* a wish: whatever it says is fine */
    chunk->older = pages->chunk;
    pages->chunk = chunk;
}

void *pages_take(struct pages *pages, size_t bytes) {
    struct pages_chunk *chunk = pages->chunk;
    size_t begin = chunk ? (chunk->used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : 0;
    if (!chunk || begin > chunk->bytes || bytes > chunk->bytes - begin) {
        add_chunk(pages, bytes);
        chunk = pages->chunk;
        begin = 0;
    }
    chunk->used = begin + bytes;
    return memset(chunk->data + begin, 0, bytes);
}

void pages_done(struct pages *pages) {
    for (struct pages_chunk *chunk = pages->chunk, *older; chunk; chunk = older) {
        older = chunk->older;
        free(chunk->data);
        free(chunk);
    }
    pages->chunk = NULL;
}
