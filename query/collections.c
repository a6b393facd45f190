#include "query/collections.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"
#include "query/search.h"

struct collection {
    char name[COLLECTION_NAME_MAX + 1];
    char *folder;
    size_t workers_n;
    pthread_mutex_t lock;     /* guards `opened` and the counts of holders, for moments */
    pthread_mutex_t renewing; /* one thread opens a new folder; taken before `lock` */
    struct opened *opened;
    atomic_bool restless; /* written to; its segments may want merging */
};

struct collections {
    size_t workers_n;
    char *data;
    pthread_mutex_t lock; /* guards the list */
    struct collection *items[COLLECTION_NAMES_MAX];
    size_t n;
};

/* ---- one collection ---- */

static struct opened *opened_new(struct index *index, size_t workers_n) {
    struct opened *opened = mem_zalloc(1, sizeof *opened);
    opened->index = index;
    opened->searchers = mem_zalloc(workers_n, sizeof *opened->searchers);
    opened->holders_n = 1;
    index_tend(index); /* its generation of dense rows may be lost, or was never made */
    return opened;
}

static void opened_free(struct opened *opened, size_t workers_n) {
    for (size_t i = 0; i < workers_n; i++)
        searcher_close(opened->searchers[i]);
    free(opened->searchers);
    index_close(opened->index);
    free(opened);
}

static struct collection *collection_new(const struct collections *collections, const char *name,
                                         struct opened *opened) {
    struct collection *collection = mem_zalloc(1, sizeof *collection);
    struct buf folder = {0};
    buf_format(&folder, "%s/%s", collections->data, name);
    snprintf(collection->name, sizeof collection->name, "%s", name);
    collection->folder = mem_strdup(folder.data);
    collection->workers_n = collections->workers_n;
    collection->opened = opened;
    pthread_mutex_init(&collection->lock, NULL);
    pthread_mutex_init(&collection->renewing, NULL);
    buf_done(&folder);
    return collection;
}

static void collection_free(struct collection *collection) {
    if (collection->opened)
        opened_free(collection->opened, collection->workers_n);
    pthread_mutex_destroy(&collection->lock);
    pthread_mutex_destroy(&collection->renewing);
    free(collection->folder);
    free(collection);
}

const char *collection_name(const struct collection *collection) {
    return collection->name;
}

/* NULL: deleted. */
static struct opened *take(struct collection *collection) {
    pthread_mutex_lock(&collection->lock);
    struct opened *opened = collection->opened;
    if (opened)
        opened->holders_n++;
    pthread_mutex_unlock(&collection->lock);
    return opened;
}

void collection_release(struct collection *collection, struct opened *opened) {
    pthread_mutex_lock(&collection->lock);
    bool last = --opened->holders_n == 0;
    pthread_mutex_unlock(&collection->lock);
    if (last)
        opened_free(opened, collection->workers_n);
}

static bool is_newest(struct collection *collection, const struct opened *opened) {
    pthread_mutex_lock(&collection->lock);
    bool newest = collection->opened == opened;
    pthread_mutex_unlock(&collection->lock);
    return newest;
}

/* Another opening takes the place of `old`, NULL: none does. False: it has given way already. */
static bool replace(struct collection *collection, struct opened *old, struct opened *opened) {
    pthread_mutex_lock(&collection->lock);
    bool there = collection->opened == old;
    if (there) {
        collection->opened = opened;
        old->holders_n--; /* the collection's; the caller has one */
    }
    pthread_mutex_unlock(&collection->lock);
    return there;
}

void collection_drop(struct collection *collection, struct opened *opened) {
    replace(collection, opened, NULL);
}

/* Opens the folder that has the name now, unless another thread did so meanwhile. Folders are
 * exchanged in one step, so where no index has the name somebody has removed it. */
static void renew(struct collection *collection) {
    struct error err; /* damaged: the old one goes on; a write will say what is wrong */
    struct index *index;
    pthread_mutex_lock(&collection->renewing);
    struct opened *old = take(collection);
    if (old && !index_is_current(old->index)) {
        if (index_open(collection->folder, INDEX_SHARED, &index, &err)) {
            struct opened *opened = opened_new(index, collection->workers_n);
            if (!replace(collection, old, opened))
                opened_free(opened, collection->workers_n);
        } else if (err.code == ERROR_NOT_FOUND) {
            collection_drop(collection, old);
        }
    }
    pthread_mutex_unlock(&collection->renewing);
    if (old)
        collection_release(collection, old);
}

bool collection_hold(struct collection *collection, struct opened **out, struct error *err) {
    struct opened *opened = take(collection);
    if (opened && !index_is_current(opened->index)) {
        collection_release(collection, opened);
        renew(collection);
        opened = take(collection);
    }
    *out = opened;
    return opened ||
           error_set(err, ERROR_NOT_FOUND, "the collection \"%s\" was deleted", collection->name);
}

bool collection_claim(struct collection *collection, struct opened **out, struct error *err) {
    enum { TRIES = 4 }; /* exchanged again and again between opening and claiming */
    for (int i = 0; i < TRIES; i++) {
        struct opened *opened;
        bool moved;
        if (!collection_hold(collection, &opened, err))
            return false;
        if (index_claim(opened->index, &moved, err)) {
            *out = opened;
            return true;
        }
        collection_release(collection, opened);
        if (!moved)
            return false;
    }
    struct index *index; /* why can it not be opened? */
    if (index_open(collection->folder, INDEX_SHARED, &index, err)) {
        index_close(index);
        return error_set(err, ERROR_BUSY, "%s: is being exchanged; try again", collection->folder);
    }
    return false;
}

void collection_yield(struct collection *collection, struct opened *opened) {
    index_yield(opened->index);
    if (is_newest(collection, opened)) { /* else it was removed */
        atomic_store(&collection->restless, true);
        index_tend(opened->index);
    }
    collection_release(collection, opened);
}

void collection_settle(struct collection *collection) {
    atomic_store(&collection->restless, false);
}

struct collection *collections_restless(struct collections *collections) {
    struct collection *found = NULL;
    pthread_mutex_lock(&collections->lock);
    for (size_t i = 0; i < collections->n && !found; i++)
        if (atomic_load(&collections->items[i]->restless))
            found = collections->items[i];
    pthread_mutex_unlock(&collections->lock);
    return found;
}

/* ---- all of them ---- */

static bool name_is_valid(const char *name) {
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && len <= COLLECTION_NAME_MAX && name[len] == '\0';
}

static struct collection *lookup(struct collections *collections, const char *name) {
    for (size_t i = 0; i < collections->n; i++)
        if (strcmp(collections->items[i]->name, name) == 0)
            return collections->items[i];
    return NULL;
}

/* Gives a collection that was deleted a new opening. False: it has one. */
static bool revive(struct collection *collection, struct opened *opened) {
    pthread_mutex_lock(&collection->lock);
    bool dead = !collection->opened;
    if (dead)
        collection->opened = opened;
    pthread_mutex_unlock(&collection->lock);
    return dead;
}

static bool is_there(struct collection *collection) {
    pthread_mutex_lock(&collection->lock);
    bool there = collection->opened != NULL;
    pthread_mutex_unlock(&collection->lock);
    return there;
}

/* Under the lock. known: of that name, deleted; NULL: there never was one. */
static bool has_room(const struct collections *collections, const struct collection *known,
                     struct error *err) {
    size_t living_n = 0;
    for (size_t i = 0; i < collections->n; i++)
        living_n += is_there(collections->items[i]);
    if (living_n >= COLLECTIONS_MAX)
        return error_set(err, ERROR_LIMIT, "%s holds %d collections, the most there can be",
                         collections->data, COLLECTIONS_MAX);
    return known || collections->n < COLLECTION_NAMES_MAX ||
           error_set(err, ERROR_LIMIT,
                     "%d names of collections have been in use since the start, the most that are "
                     "remembered: take one of them, or start again",
                     COLLECTION_NAMES_MAX);
}

bool collections_have_room(struct collections *collections, const char *name, struct error *err) {
    pthread_mutex_lock(&collections->lock);
    struct collection *known = lookup(collections, name);
    bool room = (known && is_there(known)) || has_room(collections, known, err);
    pthread_mutex_unlock(&collections->lock);
    return room;
}

bool collections_add(struct collections *collections, const char *name, struct index *index,
                     struct collection **out, struct error *err) {
    struct opened *opened = opened_new(index, collections->workers_n);
    index_yield(index);
    pthread_mutex_lock(&collections->lock);
    struct collection *collection = lookup(collections, name);
    bool there = collection && is_there(collection);
    bool room = there || has_room(collections, collection, err);
    bool taken = room && collection && revive(collection, opened);
    if (room && !collection) {
        collection = collection_new(collections, name, opened);
        collections->items[collections->n++] = collection;
        taken = true;
    }
    pthread_mutex_unlock(&collections->lock);
    if (!taken)
        opened_free(opened, collections->workers_n);
    if (room)
        *out = collection;
    return room;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(struct collection *const *)a)->name, (*(struct collection *const *)b)->name);
}

static struct collection *find_known(struct collections *collections, const char *name) {
    pthread_mutex_lock(&collections->lock);
    struct collection *found = lookup(collections, name);
    pthread_mutex_unlock(&collections->lock);
    return found && is_there(found) ? found : NULL;
}

/* ERROR_NOT_FOUND: there is no index of that name, or one that is half made: its first documents
 * make it again. */
static bool open_one(struct collections *collections, const char *name, struct collection **out,
                     struct error *err) {
    struct buf folder = {0};
    struct index *index;
    buf_format(&folder, "%s/%s", collections->data, name);
    bool ok = name_is_valid(name) && index_exists(folder.data);
    if (!ok)
        error_set(err, ERROR_NOT_FOUND, "%s: no collection", folder.data);
    ok = ok && index_open(folder.data, INDEX_SHARED, &index, err) &&
         collections_add(collections, name, index, out, err);
    buf_done(&folder);
    return ok;
}

static bool open_all(struct collections *collections, struct error *err) {
    struct collection *collection;
    DIR *listing = opendir(collections->data);
    if (!listing)
        return error_set_errno(err, "%s", collections->data);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(listing));)
        if (!find_known(collections, entry->d_name))
            ok = open_one(collections, entry->d_name, &collection, err) ||
                 err->code == ERROR_NOT_FOUND;
    closedir(listing);
    return ok;
}

bool collections_open(const char *data, size_t workers_n, struct collections **out,
                      struct error *err) {
    struct collections *collections = mem_zalloc(1, sizeof *collections);
    collections->data = mem_strdup(data);
    collections->workers_n = workers_n;
    pthread_mutex_init(&collections->lock, NULL);
    if (!open_all(collections, err)) {
        collections_close(collections);
        return false;
    }
    if (collections->n > 1)
        qsort(collections->items, collections->n, sizeof *collections->items, compare_names);
    *out = collections;
    return true;
}

void collections_close(struct collections *collections) {
    if (!collections)
        return;
    for (size_t i = 0; i < collections->n; i++)
        collection_free(collections->items[i]);
    pthread_mutex_destroy(&collections->lock);
    free(collections->data);
    free(collections);
}

size_t collections_n(struct collections *collections) {
    pthread_mutex_lock(&collections->lock);
    size_t n = collections->n;
    pthread_mutex_unlock(&collections->lock);
    return n;
}

struct collection *collections_at(struct collections *collections, size_t i) {
    pthread_mutex_lock(&collections->lock);
    struct collection *collection = collections->items[i];
    pthread_mutex_unlock(&collections->lock);
    return collection;
}

struct collection *collections_find(struct collections *collections, const char *name) {
    struct error ignored; /* another thread may have been faster */
    struct collection *found = find_known(collections, name);
    if (!found && !open_one(collections, name, &found, &ignored))
        found = find_known(collections, name);
    return found;
}

void collections_look(struct collections *collections) {
    struct error ignored; /* what cannot be opened is no collection yet */
    open_all(collections, &ignored);
}
