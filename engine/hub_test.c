/* Where models are found: each place in turn, and no way out of them. */
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/hub.h"
#include "engine/hub_list.h"
#include "tests/check.h"

enum { PATH_LEN = 512 };
static char root[PATH_LEN];

/* A file under root, with its folders. */
static void put(const char *below, const char *text) {
    char path[2 * PATH_LEN];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", root, below);
    *strrchr(path, '/') = '\0';
    CHECK_OK(file_make_folder(path, &err), err);
    path[strlen(path)] = '/';
    CHECK_OK(file_write_atomic(path, text, strlen(text), &err), err);
}

static void set_folder(const char *variable, const char *below) {
    char path[2 * PATH_LEN];
    snprintf(path, sizeof path, "%s/%s", root, below);
    setenv(variable, path, 1);
}

/* The model of this name must be found, and its config.json must hold `expected`. */
static void found(const char *name, const char *expected) {
    struct model_files *files = NULL;
    struct model_file file;
    struct error err;
    CHECK_OK(model_files_open(name, &files, &err), err);
    if (!files)
        return;
    CHECK_TEXT(model_files_name(files), name);
    CHECK(model_files_has(files, "config.json") && !model_files_has(files, "absent.json"));
    CHECK_OK(model_files_map(files, "config.json", &file, &err), err);
    CHECK(file.len == strlen(expected) && memcmp(file.data, expected, file.len) == 0);
    CHECK(strstr(file.path, "config.json") != NULL);
    CHECK(!model_files_map(files, "absent.json", &file, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    model_files_close(files);
}

static void not_found(const char *name) {
    struct model_files *files = NULL;
    struct error err = {0};
    CHECK(!model_files_open(name, &files, &err));
    CHECK_EQUAL(err.code, ERROR_NOT_FOUND);
    CHECK(strstr(err.message, name) != NULL);
    model_files_close(files);
}

static void places_are_tried_in_turn(void) {
    char folder[2 * PATH_LEN];
    put("plain/config.json", "a folder");
    put("own/models/mine/config.json", "own");
    put("own/models/org/both/config.json", "own, before the cache");
    put("hub/models--org--both/refs/main", "0123abc");
    put("hub/models--org--both/snapshots/0123abc/config.json", "the cache's");
    put("hub/models--org--cached/refs/main", "77ff\n");
    put("hub/models--org--cached/snapshots/77ff/config.json", "cached");
    put("hub/models--alone/refs/main", "1");
    put("hub/models--alone/snapshots/1/config.json", "no organisation");
    set_folder("TERCET_HOME", "own");
    set_folder("HF_HUB_CACHE", "hub");
    snprintf(folder, sizeof folder, "%s/plain", root);
    found(folder, "a folder");
    found("mine", "own");
    found("org/both", "own, before the cache");
    found("org/cached", "cached");
    found("alone", "no organisation");

    put("home/hub/models--org--third/refs/main", "2");
    put("home/hub/models--org--third/snapshots/2/config.json", "by HF_HOME");
    not_found("org/third");
    unsetenv("HF_HUB_CACHE");
    set_folder("HF_HOME", "home");
    found("org/third", "by HF_HOME");
}

static void names_do_not_escape(void) {
    static const char *const names[] = {"no/such-model", "../no-such-folder-here",
                                        "a/../b",        "/no/such/folder",
                                        "org/.hidden",   "x/y/z",
                                        "org//name",     "org/",
                                        "a\\b"};
    put("secret/config.json", "outside");
    put("own/models/in/config.json", "inside");
    set_folder("TERCET_HOME", "own");
    set_folder("HF_HUB_CACHE", "hub");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        not_found(names[i]);
    not_found("../../secret");
    put("hub/models--org--evil/refs/main", "../../../secret");
    not_found("org/evil");
    put("hub/models--org--evil/refs/main", "");
    not_found("org/evil");
    put("hub/models--org--evil/refs/main", "not-downloaded");
    not_found("org/evil");
}

static void embedded_model_is_whole(void) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors",
                                        "1_Pooling/config.json", "modules.json"};
    struct model_files *files = NULL;
    struct error err;
    const char *source = getenv("TERCET_SOURCE");
    CHECK_OK(model_files_open(NULL, &files, &err), err);
    CHECK_TEXT(model_files_where(files), "embedded:" HUB_DEFAULT_MODEL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct model_file file;
        struct file_map map;
        char path[2 * PATH_LEN];
        CHECK_OK(model_files_map(files, names[i], &file, &err), err);
        CHECK((uintptr_t)file.data % 64 == 0);
        snprintf(path, sizeof path, "%s/models/%s/%s", source ? source : ".", HUB_DEFAULT_MODEL,
                 names[i]);
        if (source && file_exists(path)) {
            CHECK_OK(file_map_open(path, &map, &err), err);
            CHECK(map.len == file.len && memcmp(map.data, file.data, map.len) == 0);
            file_map_close(&map);
        }
    }
    CHECK(!model_files_has(files, "../config.json"));
    model_files_close(files);
}

static const struct hub_entry *listed(const struct hub_entries *entries, const char *name,
                                      enum hub_place place) {
    for (size_t i = 0; i < entries->n; i++)
        if (strcmp(entries->items[i].name, name) == 0 && entries->items[i].place == place)
            return &entries->items[i];
    return NULL;
}

/* What places_are_tried_in_turn made is listed, each under the name that opens it. */
static void all_places_are_listed(void) {
    struct arena arena = {0};
    struct hub_entries entries;
    put("own/models/org/half.part/config.json", "cut off");
    put("own/models/org/sized/config.json", "12345");
    put("own/models/org/sized/1_Pooling/config.json", "678");
    put("own/models/org/empty/README.md", "no model");
    put("hub/models--org--never-ended/snapshots/1/config.json", "no refs");
    set_folder("TERCET_HOME", "own");
    set_folder("HF_HUB_CACHE", "hub");
    hub_list(&arena, &entries);
    const struct hub_entry *embedded = listed(&entries, HUB_DEFAULT_MODEL, HUB_PLACE_EMBEDDED);
    const struct hub_entry *sized = listed(&entries, "org/sized", HUB_PLACE_OWN);
    const struct hub_entry *half = listed(&entries, "org/half", HUB_PLACE_OWN);
    const struct hub_entry *hidden = listed(&entries, "org/both", HUB_PLACE_CACHE);
    CHECK(embedded == entries.items && embedded->bytes > 1000 * 1000);
    CHECK(sized && sized->bytes == 8 && !sized->unfinished && !sized->hidden);
    CHECK(half && half->unfinished);
    CHECK(hidden && hidden->hidden);
    CHECK(listed(&entries, "mine", HUB_PLACE_OWN));
    CHECK(listed(&entries, "org/both", HUB_PLACE_OWN));
    CHECK(listed(&entries, "org/cached", HUB_PLACE_CACHE));
    CHECK(listed(&entries, "alone", HUB_PLACE_CACHE));
    CHECK(!listed(&entries, "org/empty", HUB_PLACE_OWN));
    CHECK(!listed(&entries, "org/never-ended", HUB_PLACE_CACHE));
    CHECK(!listed(&entries, "org/evil", HUB_PLACE_CACHE));
    for (size_t i = 0; i < entries.n; i++) {
        struct model_files *files = NULL;
        struct error err;
        const struct hub_entry *entry = &entries.items[i];
        if (entry->unfinished || entry->hidden)
            continue;
        CHECK_OK(model_files_open(entry->name, &files, &err), err);
        CHECK(!files || strcmp(model_files_where(files), entry->where) == 0);
        model_files_close(files);
    }
    arena_done(&arena);
}

/* Everything was made below root by put(): three levels of names that we chose. */
static void remove_root(void) {
    char command[2 * PATH_LEN];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_EQUAL(system(command), 0);
}

int main(void) {
    const char *temporary = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/tercet-hub-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(root))
        return 1;
    embedded_model_is_whole();
    places_are_tried_in_turn();
    names_do_not_escape();
    all_places_are_listed();
    remove_root();
    return check_result();
}
