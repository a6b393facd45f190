/* mem.h - heap memory that is there or the process is not.
 *
 * These never return NULL: where the system has no memory left, they say so on stderr and abort.
 * On Linux a failing malloc is an exhausted limit, not a state a search engine can work in, and
 * everything acknowledged is already on disk. Sizes that come from input are checked against a
 * named limit by whoever reads the input, before they reach this file. */
#ifndef TERCET_BASE_MEM_H
#define TERCET_BASE_MEM_H

#include <stddef.h>

/* Memory for count objects of size bytes; aborts on overflow of the product as well.
 * Release with free(). mem_zalloc zeroes. */
void *mem_alloc(size_t count, size_t size);
void *mem_zalloc(size_t count, size_t size);
void *mem_realloc(void *old, size_t count, size_t size);

/* As mem_alloc, aligned to a cache line (64 bytes), for tables that SIMD code streams through. */
void *mem_alloc_aligned(size_t count, size_t size);

char *mem_strdup(const char *text);

#endif
