/* seen.h - which keys came by before. 64 bits of each, so that two of many millions may be taken
 * for one (at SEEN_KEYS_MAX: about once in 500,000 runs); good enough for a warning, no more. */
#ifndef TERCET_INGEST_SEEN_H
#define TERCET_INGEST_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128 MiB of memory; later keys are not remembered. */
enum { SEEN_KEYS_MAX = 8 << 20 };

struct seen {
    uint64_t *slots; /* [slots_n], a power of two; 0: free */
    size_t slots_n, keys_n;
};

/* A seen of zeros is ready. True when the key was added before. */
bool seen_add(struct seen *seen, const char *key, size_t len);
void seen_done(struct seen *seen);

#endif
