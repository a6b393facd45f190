#include "engine/hub_making.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/config.h"
#include "engine/hub.h"

/* What makes a model besides its weights; a folder has some of them. */
static const char *const small_files[] = {
    "config.json",
    "tokenizer.json",
    "vocab.txt",
    "tokenizer_config.json",
    "modules.json",
    "special_tokens_map.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    CONFIG_OWN_FILE,
};

bool hub_making_begin(struct hub_making *making, const char *folder, struct error *err) {
    size_t len = strlen(folder);
    *making = (struct hub_making){0};
    while (len > 1 && folder[len - 1] == '/')
        len--;
    making->folder = arena_text(&making->arena, folder, len);
    making->part = arena_format(&making->arena, "%s.part", making->folder);
    bool ok = !file_exists(making->folder) ||
              error_set(err, ERROR_INVALID, "%s exists already", making->folder);
    ok = ok && file_make_folder(making->part, err);
    if (!ok)
        arena_done(&making->arena);
    return ok;
}

bool hub_making_path(struct hub_making *making, const char *name, const char **path_out,
                     struct error *err) {
    const char *slash = strrchr(name, '/');
    *path_out = arena_format(&making->arena, "%s/%s", making->part, name);
    return !slash || file_make_folder(arena_format(&making->arena, "%s/%.*s", making->part,
                                                   (int)(slash - name), name),
                                      err);
}

bool hub_making_put(struct hub_making *making, const char *name, const void *data, size_t len,
                    struct error *err) {
    const char *path;
    return hub_making_path(making, name, &path, err) && file_write_atomic(path, data, len, err);
}

bool hub_making_settings(struct hub_making *making, struct model_files *files, struct error *err) {
    for (size_t i = 0; i < sizeof small_files / sizeof *small_files; i++) {
        struct model_file file;
        if (!model_files_has(files, small_files[i]))
            continue;
        if (!model_files_map(files, small_files[i], &file, err) ||
            !hub_making_put(making, small_files[i], file.data, file.len, err))
            return false;
    }
    return true;
}

/* The folder that holds this one, for fsync. */
static const char *parent_of(const char *folder, struct arena *arena) {
    char *parent = arena_text(arena, folder, strlen(folder));
    char *slash = strrchr(parent, '/');
    if (!slash)
        return ".";
    slash[slash == parent] = '\0';
    return parent;
}

/* sentence-transformers writes empty prompts where it knows of none. */
static bool has_prompts(const struct json *root) {
    const struct json *prompts = json_get(root, "prompts");
    size_t len;
    for (void *at = json_first(prompts); at; at = json_next(prompts, at)) {
        const struct json *prompt = json_member_value(at);
        if (json_kind_of(prompt) == JSON_KIND_STRING && *json_string_of(prompt, &len))
            return true;
    }
    return false;
}

bool hub_making_instructions(struct hub_making *making, struct model_files *files,
                             const char *query, const char *passage, struct error *err) {
    static const char name[] = "config_sentence_transformers.json";
    struct model_file file;
    struct json *root = NULL;
    struct buf text = {0};
    if (!*query && !*passage)
        return true;
    if (!model_files_has(files, name))
        root = json_new_object();
    else if (!model_files_map(files, name, &file, err) ||
             !(root = json_parse((const char *)file.data, file.len, err)))
        return error_wrap(err, "%s: ", name);
    bool ok = json_kind_of(root) == JSON_KIND_OBJECT ||
              error_set(err, ERROR_INVALID, "%s: not a JSON object", name);
    if (ok && !has_prompts(root)) {
        struct json *prompts = json_new_object();
        if (*query)
            json_add_string(prompts, "query", query);
        if (*passage)
            json_add_string(prompts, "document", passage);
        json_add(root, "prompts", prompts);
        json_print(root, &text);
        ok = hub_making_put(making, name, text.data, text.len, err);
    }
    json_release(root);
    buf_done(&text);
    return ok;
}

bool hub_making_say(struct hub_making *making, struct model_files *files,
                    const struct hub_making_word *words, size_t n, struct error *err) {
    struct model_file file;
    struct json *root = NULL;
    struct buf text = {0};
    if (!model_files_has(files, CONFIG_OWN_FILE))
        root = json_new_object();
    else if (!model_files_map(files, CONFIG_OWN_FILE, &file, err) ||
             !(root = json_parse((const char *)file.data, file.len, err)))
        return error_wrap(err, CONFIG_OWN_FILE ": ");
    bool ok = json_kind_of(root) == JSON_KIND_OBJECT ||
              error_set(err, ERROR_INVALID, CONFIG_OWN_FILE ": not a JSON object");
    for (size_t i = 0; i < n && ok; i++) {
        json_remove(root, words[i].name);
        if (words[i].word)
            json_add_string(root, words[i].name, words[i].word);
    }
    if (ok) {
        json_print(root, &text);
        ok = hub_making_put(making, CONFIG_OWN_FILE, text.data, text.len, err);
    }
    json_release(root);
    buf_done(&text);
    return ok;
}

bool hub_making_publish(struct hub_making *making, struct error *err) {
    if (!file_sync_folder(making->part, err))
        return false;
    if (renameat2(AT_FDCWD, making->part, AT_FDCWD, making->folder, RENAME_NOREPLACE) != 0)
        return error_set_errno(err, "%s: renaming to %s", making->part, making->folder);
    if (!file_sync_folder(parent_of(making->folder, &making->arena), err))
        return false;
    arena_done(&making->arena);
    return true;
}

static void remove_all(const char *folder, struct arena *arena) {
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        const char *path = arena_format(arena, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (file_is_folder(path))
            remove_all(path, arena);
        else
            unlink(path);
    }
    if (listing)
        closedir(listing);
    rmdir(folder);
}

void hub_making_give_up(struct hub_making *making) {
    remove_all(making->part, &making->arena);
    arena_done(&making->arena);
}
