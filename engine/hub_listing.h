/* hub_listing.h - what the hub says a model is made of, and which of it the engine reads.
 *
 * Source: the hub's GET /api/models/ID/revision/REV?blobs=true: {"sha": commit, "siblings":
 * [{"rfilename", "size", "blobId", "lfs": {"sha256", "size"}}]}. All of it is untrusted. */
#ifndef TERCET_HUB_LISTING_H
#define TERCET_HUB_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/hub_hash.h"

enum {
    LISTING_BYTES_MAX = 16 << 20, /* the largest repositories' answers have some hundred KiB */
    LISTING_FILES_MAX = 100000,   /* the hub's own limit a repository */
    LISTING_CHOSEN_MAX = 256,     /* a model has a dozen files and perhaps a hundred shards */
    COMMIT_HEX = 40,
};

struct listing_file {
    const char *name; /* "1_Pooling/config.json": leads nowhere but into the model's folder */
    uint64_t size;
    enum hub_hash_kind hash_kind;
    char hash[HUB_HASH_HEX_MAX];
};

struct listing {
    char commit[COMMIT_HEX + 1];
    size_t files_n;
    struct listing_file files[LISTING_CHOSEN_MAX];
    uint64_t bytes; /* of all */
};

/* The files that the engine reads. A name anywhere in the listing that leads out of a folder is
 * ERROR_INVALID, as is a listing without config.json or weights. Texts lie in the arena. */
bool listing_parse(const char *json, size_t len, struct arena *arena, struct listing *out,
                   struct error *err);

#endif
