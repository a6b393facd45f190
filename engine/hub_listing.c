#include "engine/hub_listing.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/config.h"

/* The largest file on the hub; a sum of LISTING_CHOSEN_MAX of them fits in 64 bits. */
static const double size_max = 1e12;

/* ---- names ---- */

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *ending) {
    size_t len = strlen(text), ending_len = strlen(ending);
    return len >= ending_len && strcmp(text + len - ending_len, ending) == 0;
}

/* Absolute, with a backslash, a control character, or an empty, "." or ".." part. */
static bool name_leads_out(const char *name) {
    for (const char *c = name; *c; c++)
        if (*c == '\\' || (unsigned char)*c < ' ')
            return true;
    for (const char *part = name;;) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
            return true;
        if (part[len] == '\0')
            return false;
        part += len + 1;
    }
}

static bool name_is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* "model-00001-of-00004.safetensors" */
static bool name_is_shard(const char *name, const char *stem, const char *ending) {
    static const char allowed[] = "0123456789-of";
    if (!begins_with(name, stem) || !ends_with(name, ending))
        return false;
    name += strlen(stem);
    return name[strspn(name, allowed)] == '.' && strcmp(strchr(name, '.'), ending) == 0;
}

/* "1_Pooling/config.json" */
static bool name_is_pooling(const char *name) {
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits < 3 && strcmp(name + digits, "_Pooling/config.json") == 0;
}

static bool name_is_small(const char *name) {
    static const char *const names[] = {"config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "vocab.txt",
                                        "modules.json",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        CONFIG_OWN_FILE,
                                        "heads.safetensors",
                                        "sparse_linear.safetensors",
                                        "colbert_linear.safetensors",
                                        "sparse_linear.pt",
                                        "colbert_linear.pt",
                                        NULL};
    return name_is_one_of(name, names) || name_is_pooling(name);
}

static bool name_is_safetensors(const char *name) {
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", NULL};
    return name_is_one_of(name, names) || name_is_shard(name, "model-", ".safetensors");
}

static bool name_is_torch(const char *name) {
    static const char *const names[] = {"pytorch_model.bin", "pytorch_model.bin.index.json", NULL};
    return name_is_one_of(name, names) || name_is_shard(name, "pytorch_model-", ".bin");
}

/* ---- one file ---- */

static bool read_hash(const char *text, enum hub_hash_kind kind, struct listing_file *file,
                      struct error *err) {
    static const char hex[] = "0123456789abcdef";
    size_t len = hub_hash_hex_len(kind);
    if (strlen(text) != len || strspn(text, hex) != len)
        return error_set(err, ERROR_INVALID, "\"%s\": no checksum that we know: \"%.80s\"",
                         file->name, text);
    file->hash_kind = kind;
    memcpy(file->hash, text, len + 1);
    return true;
}

static bool read_file(const struct json *sibling, const char *name, struct arena *arena,
                      struct listing_file *file, struct error *err) {
    const struct json *lfs = json_get(sibling, "lfs");
    bool is_large = json_kind_of(lfs) == JSON_KIND_OBJECT;
    const char *hash = "";
    double size = -1;
    *file = (struct listing_file){.name = arena_text(arena, name, strlen(name))};
    if (!json_read_double(is_large ? lfs : sibling, "size", 0, size_max, &size, err) ||
        !json_read_string(is_large ? lfs : sibling, is_large ? "sha256" : "blobId", &hash, err))
        return error_wrap(err, "\"%s\": ", name);
    if (size < 0)
        return error_set(err, ERROR_INVALID, "\"%s\": its size is missing", name);
    file->size = (uint64_t)size;
    return read_hash(hash, is_large ? HUB_HASH_SHA256 : HUB_HASH_GIT_BLOB, file, err);
}

/* ---- the listing ---- */

static bool sibling_name(const struct json *sibling, const char **out, struct error *err) {
    const struct json *name = json_get(sibling, "rfilename");
    size_t len;
    if (json_kind_of(name) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "a file's \"rfilename\" must be a string, found %s",
                         json_kind_name(json_kind_of(name)));
    *out = json_string_of(name, &len);
    if (strlen(*out) != len || name_leads_out(*out))
        return error_set(err, ERROR_INVALID,
                         "the file name \"%.100s\" leads out of the model's folder", *out);
    return true;
}

static bool read_commit(const struct json *root, struct listing *listing, struct error *err) {
    const char *commit = "";
    if (!json_read_string(root, "sha", &commit, err))
        return false;
    if (strlen(commit) != COMMIT_HEX || strspn(commit, "0123456789abcdef") != COMMIT_HEX)
        return error_set(err, ERROR_INVALID, "\"sha\" must be a commit, found \"%.80s\"", commit);
    memcpy(listing->commit, commit, COMMIT_HEX + 1);
    return true;
}

static bool is_listed(const struct listing *listing, const char *name) {
    for (size_t i = 0; i < listing->files_n; i++)
        if (strcmp(listing->files[i].name, name) == 0)
            return true;
    return false;
}

/* Adds the siblings whose name the filter takes. */
static bool choose(const struct json *siblings, bool (*filter)(const char *), struct arena *arena,
                   struct listing *listing, struct error *err) {
    for (size_t i = 0; i < json_count(siblings); i++) {
        const char *name = NULL;
        if (!sibling_name(json_at(siblings, i), &name, err))
            return false;
        if (!filter(name))
            continue;
        if (listing->files_n == LISTING_CHOSEN_MAX || is_listed(listing, name))
            return error_set(err, ERROR_LIMIT,
                             "\"%s\" is listed twice, or behind %d others that are wanted", name,
                             LISTING_CHOSEN_MAX);
        struct listing_file *file = &listing->files[listing->files_n];
        if (!read_file(json_at(siblings, i), name, arena, file, err))
            return false;
        listing->files_n++;
        listing->bytes += file->size;
    }
    return true;
}

static bool read_listing(const struct json *root, struct arena *arena, struct listing *listing,
                         struct error *err) {
    const struct json *siblings = json_get(root, "siblings");
    if (json_kind_of(siblings) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "\"siblings\" must be an array, found %s",
                         json_kind_name(json_kind_of(siblings)));
    if (json_count(siblings) > LISTING_FILES_MAX)
        return error_set(err, ERROR_LIMIT, "%zu files, at most %d", json_count(siblings),
                         LISTING_FILES_MAX);
    if (!read_commit(root, listing, err) || !choose(siblings, name_is_small, arena, listing, err))
        return false;
    if (!is_listed(listing, "config.json"))
        return error_set(err, ERROR_UNSUPPORTED, "no config.json: not a model that is read here");
    size_t before = listing->files_n;
    if (!choose(siblings, name_is_safetensors, arena, listing, err))
        return false;
    if (listing->files_n == before && !choose(siblings, name_is_torch, arena, listing, err))
        return false;
    return listing->files_n > before ||
           error_set(err, ERROR_UNSUPPORTED,
                     "neither model.safetensors nor pytorch_model.bin: not a model that is read "
                     "here");
}

bool listing_parse(const char *json, size_t len, struct arena *arena, struct listing *out,
                   struct error *err) {
    struct json *root = json_parse(json, len, err);
    *out = (struct listing){0};
    bool ok = root && read_listing(root, arena, out, err);
    json_release(root);
    return ok || error_wrap(err, "the hub's list of files: ");
}
