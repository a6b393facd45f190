/* hub_pull.h - a model from the Hugging Face hub (or whatever HF_ENDPOINT is) into Tercet's own
 * folder.
 *
 * $TERCET_HOME/models/ID.part fills up file by file, each checked against the hub's size and
 * checksum; when all are there it becomes $TERCET_HOME/models/ID by one rename, so that a model is
 * whole or not there. A pull that was cut off goes on where it stopped, in this process (pauses
 * that double) or in the next. ID.lock keeps a second one out. A model that is there is replaced
 * only when the hub has another commit.
 * Environment: TERCET_HOME; HF_ENDPOINT; HF_TOKEN, sent to the endpoint only; HF_HUB_OFFLINE;
 * HF_HUB_DOWNLOAD_TIMEOUT, the seconds after which a stalled connection is given up. */
#ifndef TERCET_HUB_PULL_H
#define TERCET_HUB_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct hub_pull_progress {
    const char *file;    /* the one that is coming in */
    const char *trouble; /* why the last try ended, while waiting for the next; else NULL */
    size_t file_i, files_n;
    uint64_t bytes, bytes_total; /* of all files; what was there from an earlier pull counts */
};

struct hub_pull_options {
    const char *name;     /* "BAAI/bge-m3" */
    const char *revision; /* branch, tag or commit; NULL: "main" */
    uint32_t retries_max; /* in a row without a MiB of progress */
    /* Called with every piece that comes in; may be NULL. */
    void (*progress)(void *context, const struct hub_pull_progress *progress);
    void *context;
};

enum { HUB_PULL_RETRIES_DEFAULT = 6 };

struct hub_pull_result {
    char where[512];
    char commit[41];
    size_t files_n;
    uint64_t bytes, fetched_bytes; /* fetched: over the network, by this pull */
    bool was_there;                /* nothing was to be done */
};

/* ERROR_INVALID: HF_HUB_OFFLINE is set, the name is none of the hub's, or access is denied;
 * ERROR_BUSY: another pull of this model is under way; ERROR_CORRUPT: the server's bytes are not
 * what it promised (the file is removed). */
bool hub_pull(const struct hub_pull_options *options, struct hub_pull_result *out,
              struct error *err);

#endif
