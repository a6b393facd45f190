/* pages.h - memory for what is read as a whole, again and again: a model's packed weights.
 *
 * Taken piece by piece from chunks that ask the system for large pages (transparent huge pages, by
 * madvise), so that one stream through all of it meets a five-hundredth of the page bounds: a query
 * through bge-small in f32 took an eighth less time, bge-m3's shape in int8 some percent less.
 * Where there are none it is memory like any other.
 * Pieces live until pages_done. Threads: one at a time takes. */
#ifndef TERCET_BASE_PAGES_H
#define TERCET_BASE_PAGES_H

#include <stddef.h>

struct pages_chunk;

/* All zeros is empty and valid. */
struct pages {
    struct pages_chunk *chunk; /* newest first */
};

void pages_done(struct pages *pages);

/* Zeros, aligned to 64 bytes; aborts when there is no memory. */
void *pages_take(struct pages *pages, size_t bytes);

#endif
