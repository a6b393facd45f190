#include "engine/hub_list.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/file.h"
#include "engine/embedded.h"
#include "engine/hub.h"

/* Folders in a model's folder that are summed up: "1_Pooling", "onnx/..."; a circle of links ends
 * here. */
enum { SIZE_DEPTH_MAX = 4 };

static const char cache_prefix[] = "models--", part_ending[] = ".part";

static void add(struct hub_entries *out, struct arena *arena, struct hub_entry entry) {
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 16;
        struct hub_entry *items = ARENA_NEW(arena, struct hub_entry, cap);
        if (out->n)
            memcpy(items, out->items, out->n * sizeof *items);
        out->items = items;
        out->cap = cap;
    }
    for (size_t i = 0; i < out->n; i++)
        entry.hidden |= !entry.unfinished && !out->items[i].unfinished &&
                        strcmp(out->items[i].name, entry.name) == 0;
    out->items[out->n++] = entry;
}

/* Calls visit for each name that is not hidden, in order. */
static void each_name(const char *folder, struct arena *arena,
                      void (*visit)(void *context, const char *name), void *context) {
    struct dirent **names = NULL;
    int n = folder ? scandir(folder, &names, NULL, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.')
            visit(context, arena_text(arena, names[i]->d_name, strlen(names[i]->d_name)));
        free(names[i]);
    }
    free(names);
}

/* ---- sizes ---- */

struct size_walk {
    struct arena *arena;
    const char *folder;
    int depth;
    uint64_t bytes;
};

/* Links are followed: a snapshot in the cache is made of them. */
static void size_visit(void *context, const char *name) {
    struct size_walk *walk = context;
    struct stat info;
    const char *path = arena_format(walk->arena, "%s/%s", walk->folder, name);
    if (stat(path, &info) != 0)
        return;
    if (S_ISREG(info.st_mode))
        walk->bytes += (uint64_t)info.st_size;
    if (!S_ISDIR(info.st_mode) || walk->depth == SIZE_DEPTH_MAX)
        return;
    struct size_walk inner = {walk->arena, path, walk->depth + 1, 0};
    each_name(path, walk->arena, size_visit, &inner);
    walk->bytes += inner.bytes;
}

static uint64_t folder_bytes(const char *folder, struct arena *arena) {
    struct size_walk walk = {arena, folder, 0, 0};
    each_name(folder, arena, size_visit, &walk);
    return walk.bytes;
}

/* ---- places ---- */

struct place_walk {
    struct arena *arena;
    struct hub_entries *out;
    const char *folder, *organisation; /* NULL: we are one level above them */
};

static const char *without_part(const char *name, struct arena *arena) {
    size_t len = strlen(name), part_len = sizeof part_ending - 1;
    bool is_part = len > part_len && strcmp(name + len - part_len, part_ending) == 0;
    return is_part ? arena_text(arena, name, len - part_len) : NULL;
}

/* A folder with a config.json is a model, one without is an organisation with models in it. */
static void own_visit(void *context, const char *name) {
    struct place_walk *walk = context;
    struct arena *arena = walk->arena;
    const char *folder = arena_format(arena, "%s/%s", walk->folder, name);
    const char *finished = without_part(name, arena);
    if (!file_is_folder(folder))
        return;
    if (!finished && !file_exists(arena_format(arena, "%s/config.json", folder))) {
        struct place_walk inner = {arena, walk->out, folder, name};
        if (!walk->organisation)
            each_name(folder, arena, own_visit, &inner);
        return;
    }
    const char *last = finished ? finished : name;
    struct hub_entry entry = {
        .place = HUB_PLACE_OWN,
        .name = walk->organisation ? arena_format(arena, "%s/%s", walk->organisation, last) : last,
        .where = folder,
        .bytes = folder_bytes(folder, arena),
        .unfinished = finished != NULL,
    };
    if (hub_name_is_id(entry.name))
        add(walk->out, arena, entry);
}

/* "models--BAAI--bge-m3" is BAAI/bge-m3; what holds no whole snapshot is not there. */
static void cache_visit(void *context, const char *name) {
    struct place_walk *walk = context;
    struct arena *arena = walk->arena;
    size_t prefix_len = sizeof cache_prefix - 1;
    if (strncmp(name, cache_prefix, prefix_len) != 0)
        return;
    const char *id = name + prefix_len, *dashes = strstr(id, "--");
    const char *where =
        hub_snapshot_folder(arena_format(arena, "%s/%s", walk->folder, name), arena);
    if (dashes)
        id = arena_format(arena, "%.*s/%s", (int)(dashes - id), id, dashes + 2);
    if (!where || !hub_name_is_id(id) || !file_exists(arena_format(arena, "%s/config.json", where)))
        return;
    add(walk->out, arena,
        (struct hub_entry){.place = HUB_PLACE_CACHE,
                           .name = id,
                           .where = where,
                           .bytes = folder_bytes(where, arena)});
}

static uint64_t embedded_bytes(void) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors",
                                        "modules.json", "1_Pooling/config.json"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct embedded_file *file = embedded_find(names[i]);
        bytes += file ? (uint64_t)(file->end - file->begin) : 0;
    }
    return bytes;
}

void hub_list(struct arena *arena, struct hub_entries *out) {
    *out = (struct hub_entries){0};
    add(out, arena,
        (struct hub_entry){.place = HUB_PLACE_EMBEDDED,
                           .name = EMBEDDED_MODEL_NAME,
                           .where = "embedded:" EMBEDDED_MODEL_NAME,
                           .bytes = embedded_bytes()});
    struct place_walk own = {arena, out, hub_own_root(arena), NULL};
    struct place_walk cache = {arena, out, hub_cache_root(arena), NULL};
    if (own.folder)
        each_name(own.folder, arena, own_visit, &own);
    if (cache.folder)
        each_name(cache.folder, arena, cache_visit, &cache);
}
