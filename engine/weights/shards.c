#include "engine/weights/shards.h"

#include <string.h>

#include "engine/base/json.h"
#include "engine/base/map.h"
#include "engine/base/mem.h"
#include "engine/weights/table.h"

/* hub.c maps at most 256 files of a model, and a shard is mapped twice: to be read and for the
 * fingerprint. The encoders in use have at most a dozen (gte-Qwen2-7B: 7). */
enum { SHARDS_MAX = 100 };
/* An entry has some 150 bytes; the largest models published have 100,000 tensors. */
enum { INDEX_BYTES_MAX = 32 << 20 };
enum { NAME_BYTES_MAX = 255 }; /* of a file, on any file system */

/* ---- the index ---- */

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Which shards an index may name: those of its own format. */
static const char *ending_of(const char *index) {
    return strcmp(index, SHARDS_TORCH_INDEX) == 0 ? ".bin" : ".safetensors";
}

/* A plain file of the model's folder, of the right kind: nothing that could lead out of it. */
static bool check_name(const struct json *value, const char *tensor, const char *ending,
                       const char **name_out, struct error *err) {
    size_t len = 0;
    if (json_kind_of(value) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID,
                         "weight_map: the file of \"%s\" must be a string, "
                         "found %s",
                         tensor, json_kind_name(json_kind_of(value)));
    const char *name = json_string_of(value, &len);
    bool plain = len > 0 && len <= NAME_BYTES_MAX && name[0] != '.' && strlen(name) == len &&
                 strcspn(name, "/\\") == len;
    if (!plain)
        return error_set(err, ERROR_INVALID,
                         "weight_map: the file of \"%s\" must be a plain file "
                         "name, found \"%.300s\"",
                         tensor, name);
    if (!ends_with(name, ending))
        return error_set(err, ERROR_UNSUPPORTED,
                         "weight_map: the file \"%s\" of \"%s\" does not end in %s", name, tensor,
                         ending);
    *name_out = name;
    return true;
}

/* The whole file; *map_out is its weight_map, an object with members. */
static struct json *parse_index(struct model_files *files, const char *index,
                                struct model_file *file_out, const struct json **map_out,
                                struct error *err) {
    if (!model_files_map(files, index, file_out, err))
        return NULL;
    if (file_out->len > INDEX_BYTES_MAX) {
        error_set(err, ERROR_LIMIT, "%s: %zu bytes, at most %d", file_out->path, file_out->len,
                  INDEX_BYTES_MAX);
        return NULL;
    }
    struct json *root = json_parse((const char *)file_out->data, file_out->len, err);
    if (root) {
        *map_out = json_get(root, "weight_map");
        if (json_kind_of(*map_out) == JSON_KIND_OBJECT && json_count(*map_out) > 0)
            return root;
        error_set(err, ERROR_INVALID,
                  "weight_map: must be an object that names the tensors, "
                  "found %s",
                  *map_out ? json_kind_name(json_kind_of(*map_out)) : "nothing");
        json_release(root);
    }
    error_wrap(err, "%s: ", file_out->path);
    return NULL;
}

/* Collects the distinct names, in the order in which they come. Texts are borrowed from the tree;
 * numbers: name -> index into names. */
static bool collect_names(const struct json *map, const char *index, struct map *numbers,
                          const char *names[SHARDS_MAX], struct error *err) {
    for (void *at = json_first(map); at; at = json_next(map, at)) {
        const char *name = NULL;
        bool is_new;
        if (!check_name(json_member_value(at), json_member_key(at), ending_of(index), &name, err))
            return false;
        map_put(numbers, name, strlen(name), (uint32_t)numbers->n, &is_new);
        if (!is_new)
            continue;
        if (numbers->n > SHARDS_MAX)
            return error_set(err, ERROR_LIMIT, "weight_map: more than %d files", SHARDS_MAX);
        names[numbers->n - 1] = name;
    }
    return true;
}

bool shards_list(struct model_files *files, const char *index, struct arena *arena,
                 struct shard_names *out, struct error *err) {
    struct model_file file;
    struct map numbers = {0};
    const char *names[SHARDS_MAX];
    const struct json *map = NULL;
    struct json *root = parse_index(files, index, &file, &map, err);
    if (!root)
        return false;
    bool ok = collect_names(map, index, &numbers, names, err);
    if (ok) {
        *out = (struct shard_names){numbers.n, ARENA_NEW(arena, const char *, numbers.n)};
        for (size_t i = 0; i < out->n; i++)
            out->names[i] = arena_text(arena, names[i], strlen(names[i]));
    } else {
        error_wrap(err, "%s: ", file.path);
    }
    map_done(&numbers);
    json_release(root);
    return ok;
}

/* ---- the shards ---- */

static bool open_shards(struct model_files *files, const char *const *names, size_t n,
                        struct weights *whole, struct error *err) {
    whole->parts = ARENA_ZERO(&whole->arena, struct weights *, n);
    for (size_t i = 0; i < n; i++) {
        struct model_file file;
        if (!model_files_map(files, names[i], &file, err))
            return error_wrap(err, "%s names a file: ", whole->where);
        bool torch = ends_with(names[i], ".bin");
        if (!(torch ? weights_open_torch : weights_open)(file.data, file.len, file.path,
                                                         &whole->parts[i], err))
            return false;
        whole->parts_n = i + 1;
        whole->n += whole->parts[i]->n;
    }
    return true;
}

/* All entries in one table. The texts stay in the shards' arenas, which close with it. */
static bool merge_entries(struct weights *whole, struct error *err) {
    whole->entries = ARENA_NEW(&whole->arena, struct entry, whole->n);
    map_reserve(&whole->by_name, whole->n);
    whole->n = 0;
    for (size_t i = 0; i < whole->parts_n; i++)
        for (size_t j = 0; j < whole->parts[i]->n; j++) {
            const struct entry *entry = &whole->parts[i]->entries[j];
            bool is_new;
            uint32_t *at = map_put(&whole->by_name, entry->name, strlen(entry->name),
                                   (uint32_t)whole->n, &is_new);
            if (!is_new)
                return error_set(err, ERROR_CORRUPT, "tensor \"%s\" stands twice: in %s and in %s",
                                 entry->name, whole->entries[*at].where, entry->where);
            whole->entries[whole->n++] = *entry;
        }
    return true;
}

/* The map's tensors are where it says. */
static bool check_places(const struct weights *whole, const struct json *map,
                         const struct map *numbers, struct error *err) {
    for (void *at = json_first(map); at; at = json_next(map, at)) {
        const char *tensor = json_member_key(at);
        const char *name = json_string_of(json_member_value(at), NULL);
        const uint32_t *number = map_find(numbers, name, strlen(name));
        const uint32_t *i = map_find(&whole->by_name, tensor, strlen(tensor));
        if (!i)
            return error_set(err, ERROR_CORRUPT,
                             "%s: tensor \"%s\" is missing; %s has it in that file",
                             whole->parts[*number]->where, tensor, whole->where);
        if (whole->entries[*i].where != whole->parts[*number]->where)
            return error_set(err, ERROR_CORRUPT, "%s: tensor \"%s\" is expected in %s, found in %s",
                             whole->where, tensor, name, whole->entries[*i].where);
    }
    return true;
}

/* Nothing but the map's tensors is there; its places are checked. */
static bool check_extra(const struct weights *whole, const struct json *map, struct error *err) {
    for (size_t i = 0; i < whole->n; i++)
        if (!json_get(map, whole->entries[i].name))
            return error_set(err, ERROR_CORRUPT, "%s: tensor \"%s\" is not in weight_map of %s",
                             whole->entries[i].where, whole->entries[i].name, whole->where);
    return true;
}

bool shards_open(struct model_files *files, const char *index, struct weights **out,
                 struct error *err) {
    struct model_file file;
    struct map numbers = {0};
    const char *names[SHARDS_MAX];
    const struct json *map = NULL;
    struct json *root = parse_index(files, index, &file, &map, err);
    if (!root)
        return false;
    struct weights *whole = mem_zalloc(1, sizeof *whole);
    whole->where = arena_text(&whole->arena, file.path, strlen(file.path));
    bool ok = collect_names(map, index, &numbers, names, err) || error_wrap(err, "%s: ", file.path);
    ok = ok && open_shards(files, names, numbers.n, whole, err) && merge_entries(whole, err) &&
         check_places(whole, map, &numbers, err) && check_extra(whole, map, err);
    map_done(&numbers);
    json_release(root);
    if (!ok) {
        weights_close(whole);
        return false;
    }
    weights_attach_scales(whole);
    *out = whole;
    return true;
}
