/* hub_list.h - every model that a name could be given for. */
#ifndef TERCET_HUB_LIST_H
#define TERCET_HUB_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"

enum hub_place { HUB_PLACE_EMBEDDED, HUB_PLACE_OWN, HUB_PLACE_CACHE };

struct hub_entry {
    enum hub_place place;
    const char *name;  /* as model_files_open takes it */
    const char *where; /* its folder, or "embedded:..." */
    uint64_t bytes;    /* of all its files */
    bool unfinished;   /* a pull that was cut off; `where` is ID.part */
    bool hidden;       /* a model of the same name stands before it */
};

struct hub_entries {
    struct hub_entry *items;
    size_t n, cap;
};

/* The embedded model, Tercet's own folder, the Hugging Face cache, each by name. A folder that
 * cannot be read counts as empty. Everything lies in the arena. */
void hub_list(struct arena *arena, struct hub_entries *out);

#endif
