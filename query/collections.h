/* collections.h - the index folders of a server: open for as long as it runs, shared with others.
 *
 * A collection is an index folder inside the data folder; its name is the folder's. Between two
 * writes the server gives the writer's lock back, so that `tercet ingest`, `delete`, `compact`,
 * `restore` and `check --repair` work on a folder that is served. Where they exchanged the folder
 * for a new one, the next request opens that; requests under way end on the old one, and the last
 * of them closes it.
 * Threads: every function from any thread; collection_claim from one at a time. */
#ifndef TERCET_QUERY_COLLECTIONS_H
#define TERCET_QUERY_COLLECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "index/index.h"

struct searcher;
struct collection;
struct collections;

enum {
    COLLECTIONS_MAX = 1000, /* each holds an LMDB environment: descriptors and address space */
    /* Names that a process remembers, those of deleted ones too. */
    COLLECTION_NAMES_MAX = 16 * COLLECTIONS_MAX,
    COLLECTION_NAME_MAX = 64,
};

/* Opens every index in the folder. */
bool collections_open(const char *data, size_t workers_n, struct collections **out,
                      struct error *err);
void collections_close(struct collections *collections); /* nobody holds any */

/* Names in order, newly made ones behind them; deleted ones keep their place, and are not found. A
 * struct collection stays until collections_close, whatever becomes of its folder. */
size_t collections_n(struct collections *collections);
struct collection *collections_at(struct collections *collections, size_t i);
/* NULL: there is none. One that another process has made meanwhile is opened. */
struct collection *collections_find(struct collections *collections, const char *name);
/* Opens what others have made in the folder since. */
void collections_look(struct collections *collections);
const char *collection_name(const struct collection *collection);

/* Whether there is room for one of that name: asked before its folder is made. ERROR_LIMIT. */
bool collections_have_room(struct collections *collections, const char *name, struct error *err);

/* Takes over an index made for writing, and gives its lock back. ERROR_LIMIT when there is no room:
 * the index is closed then. */
bool collections_add(struct collections *collections, const char *name, struct index *index,
                     struct collection **out, struct error *err);

/* One opening of a collection's folder. */
struct opened {
    struct index *index;
    struct searcher **searchers; /* [workers_n] each its worker's, made when first needed */
    size_t holders_n;            /* under the collection's lock; the collection is one */
};

/* The newest, to be released. ERROR_NOT_FOUND: the collection was deleted, or its folder was
 * removed by others. Else it is never refused: where a new folder is damaged, the old one goes on
 * answering. */
bool collection_hold(struct collection *collection, struct opened **out, struct error *err);
void collection_release(struct collection *collection, struct opened *opened);

/* The newest, with the writer's lock; nothing of it may be kept beyond collection_yield, which
 * releases it too, and looks after its dense generation (index_tend). ERROR_BUSY when somebody
 * else writes for longer than a moment. */
bool collection_claim(struct collection *collection, struct opened **out, struct error *err);
void collection_yield(struct collection *collection, struct opened *opened);

/* One that was written to since it was settled, or NULL. */
struct collection *collections_restless(struct collections *collections);
void collection_settle(struct collection *collection);

/* One whose folder was removed: nobody gets it any more. To be released or yielded all the same. */
void collection_drop(struct collection *collection, struct opened *opened);

#endif
