#include "engine/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/embedded.h"

/* A model has a dozen files and perhaps a hundred weight shards; more mapped at once is a bug. */
enum { MAPS_MAX = 256 };
/* A commit hash is 40 bytes; a longer refs/main is not one. */
enum { REF_BYTES_MAX = 128 };

struct model_files {
    struct arena arena; /* the texts below */
    const char *name, *where;
    const char *folder; /* NULL: embedded */
    struct mapped {
        const char *path;
        struct file_map map;
    } maps[MAPS_MAX];
    size_t maps_n;
};

/* ---- names ---- */

bool hub_name_is_id(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t parts = 0;
    for (;;) {
        size_t len = strspn(name, allowed);
        if (len == 0 || name[0] == '.' || ++parts > 2)
            return false;
        name += len;
        if (*name == '\0')
            return true;
        if (*name++ != '/')
            return false;
    }
}

/* ---- places ---- */

/* $variable, or $HOME with `below_home` behind it; NULL when neither is set. */
static const char *folder_of(const char *variable, const char *below_home, struct arena *arena) {
    const char *value = getenv(variable);
    if (value && *value)
        return value;
    const char *home = getenv("HOME");
    return home && *home ? arena_format(arena, "%s/%s", home, below_home) : NULL;
}

const char *hub_own_root(struct arena *arena) {
    const char *home = folder_of("TERCET_HOME", ".tercet", arena);
    return home ? arena_format(arena, "%s/models", home) : NULL;
}

static const char *own_folder(const char *name, struct arena *arena) {
    const char *root = hub_own_root(arena);
    return root ? arena_format(arena, "%s/%s", root, name) : NULL;
}

const char *hub_cache_root(struct arena *arena) {
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME");
    if (cache && *cache)
        return cache;
    if (!home || !*home) {
        const char *caches = folder_of("XDG_CACHE_HOME", ".cache", arena);
        if (!caches)
            return NULL;
        home = arena_format(arena, "%s/huggingface", caches);
    }
    return arena_format(arena, "%s/hub", home);
}

/* <cache>/models--ORG--NAME: the place of a hub id in the Hugging Face cache. */
static const char *cache_folder(const char *name, struct arena *arena) {
    const char *cache = hub_cache_root(arena), *slash = strchr(name, '/');
    if (!cache)
        return NULL;
    if (!slash)
        return arena_format(arena, "%s/models--%s", cache, name);
    return arena_format(arena, "%s/models--%.*s--%s", cache, (int)(slash - name), name, slash + 1);
}

const char *hub_snapshot_folder(const char *cached, struct arena *arena) {
    struct buf ref = {0};
    struct error ignored;
    const char *folder = NULL;
    if (file_read(arena_format(arena, "%s/refs/main", cached), REF_BYTES_MAX, &ref, &ignored) &&
        ref.len > 0) {
        ref.data[strcspn(ref.data, " \t\r\n")] = '\0';
        if (hub_name_is_id(ref.data) && !strchr(ref.data, '/')) {
            folder = arena_format(arena, "%s/snapshots/%s", cached, ref.data);
            folder = file_is_folder(folder) ? folder : NULL;
        }
    }
    buf_done(&ref);
    return folder;
}

/* Finds the folder of a name that is not the embedded model's. */
static const char *find_folder(const char *name, struct arena *arena, struct error *err) {
    if (!hub_name_is_id(name)) {
        error_set(err, ERROR_NOT_FOUND, "model \"%s\": no such folder", name);
        return NULL;
    }
    const char *own = own_folder(name, arena), *cached = cache_folder(name, arena);
    if (own && file_is_folder(own))
        return own;
    const char *snapshot = cached ? hub_snapshot_folder(cached, arena) : NULL;
    if (!snapshot)
        error_set(err, ERROR_NOT_FOUND,
                  "model \"%s\": found nowhere; looked for the folders %s, %s, %s/snapshots/*; "
                  "without a name the embedded " EMBEDDED_MODEL_NAME " is used; "
                  "tercet model pull fetches models",
                  name, name, own ? own : "$TERCET_HOME/models", cached ? cached : "$HF_HOME/hub");
    return snapshot;
}

/* ---- model_files ---- */

bool model_files_open(const char *name, struct model_files **out, struct error *err) {
    struct model_files *files = mem_zalloc(1, sizeof *files);
    struct arena *arena = &files->arena;
    if (!name || !*name)
        files->name = HUB_DEFAULT_MODEL;
    else
        files->name = arena_text(arena, name, strlen(name));
    if (name && *name && file_is_folder(name))
        files->folder = files->name;
    else if (strcmp(files->name, EMBEDDED_MODEL_NAME) != 0 &&
             !(files->folder = find_folder(files->name, arena, err))) {
        model_files_close(files);
        return false;
    }
    files->where =
        files->folder ? files->folder : arena_format(arena, "embedded:%s", EMBEDDED_MODEL_NAME);
    *out = files;
    return true;
}

void model_files_close(struct model_files *files) {
    if (!files)
        return;
    for (size_t i = 0; i < files->maps_n; i++)
        file_map_close(&files->maps[i].map);
    arena_done(&files->arena);
    free(files);
}

const char *model_files_name(const struct model_files *files) {
    return files->name;
}

const char *model_files_where(const struct model_files *files) {
    return files->where;
}

/* The file's path for the system, or for a message; false when it is too long to hold. */
static bool path_of(const struct model_files *files, const char *file, struct model_file *out) {
    int len = snprintf(out->path, sizeof out->path, "%s/%s", files->where, file);
    return len > 0 && (size_t)len < sizeof out->path;
}

bool model_files_has(const struct model_files *files, const char *file) {
    struct model_file place;
    if (!files->folder)
        return embedded_find(file) != NULL;
    return path_of(files, file, &place) && file_exists(place.path);
}

/* The file's map: a file that is asked for again has one already. NULL on failure. */
static const struct file_map *map_once(struct model_files *files, const char *path,
                                       struct error *err) {
    for (size_t i = 0; i < files->maps_n; i++)
        if (strcmp(files->maps[i].path, path) == 0)
            return &files->maps[i].map;
    if (files->maps_n == MAPS_MAX) {
        error_set(err, ERROR_LIMIT, "%s: more than %d files of one model", path, MAPS_MAX);
        return NULL;
    }
    struct mapped *mapped = &files->maps[files->maps_n];
    if (!file_map_open(path, &mapped->map, err))
        return NULL;
    mapped->path = arena_text(&files->arena, path, strlen(path));
    files->maps_n++;
    return &mapped->map;
}

bool model_files_map(struct model_files *files, const char *file, struct model_file *out,
                     struct error *err) {
    struct model_file found = {0};
    if (!path_of(files, file, &found))
        return error_set(err, ERROR_LIMIT, "%s/%s: the path is longer than %zu bytes", files->where,
                         file, sizeof found.path - 1);
    if (!files->folder) {
        const struct embedded_file *embedded = embedded_find(file);
        if (!embedded)
            return error_set(err, ERROR_NOT_FOUND, "%s: the embedded model has no such file",
                             found.path);
        found.data = embedded->begin;
        found.len = (size_t)(embedded->end - embedded->begin);
    } else {
        const struct file_map *map = map_once(files, found.path, err);
        if (!map)
            return false;
        found.data = map->data;
        found.len = map->len;
    }
    *out = found;
    return true;
}
