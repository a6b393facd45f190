/* hub_fetch.h - one file from the hub: tried again, gone on with, and checked.
 *
 * A body is written to PATH.part and hashed as it comes. A cut-off is gone on with from the byte
 * it stopped at (Range); a server that sends everything again makes the file start over. Only a
 * file of the promised size and checksum becomes PATH, after fsync. */
#ifndef TERCET_HUB_FETCH_H
#define TERCET_HUB_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/hub_http.h"
#include "engine/hub_listing.h"

struct fetch {
    struct http_client *client;
    const char *url;
    uint32_t retries_max; /* in a row without FETCH_PROGRESS_BYTES of progress */
    /* Bytes of this file that are there; trouble: why the last try ended, or NULL. */
    void (*on_bytes)(void *context, uint64_t bytes, const char *trouble);
    void *context;
};

enum { FETCH_PROGRESS_BYTES = 1 << 20 };

/* A body of at most bytes_max bytes, appended to *out. */
bool fetch_text(const struct fetch *fetch, size_t bytes_max, struct buf *out, struct error *err);

/* Nothing is fetched when path holds the right bytes already. Wrong bytes are removed and
 * ERROR_CORRUPT. *fetched_bytes grows by what came over the network. */
bool fetch_file(const struct fetch *fetch, const struct listing_file *file, const char *path,
                uint64_t *fetched_bytes, struct error *err);

#endif
