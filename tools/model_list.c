/* tercet model list - the models of this machine, and where they are. */
#include <stdio.h>

#include "engine/base/arena.h"
#include "engine/config.h"
#include "engine/hub_list.h"
#include "tools/model_commands.h"

static const char *place_name(enum hub_place place) {
    return place == HUB_PLACE_EMBEDDED ? "embedded" : place == HUB_PLACE_OWN ? "own" : "cache";
}

static bool is_three_mode(const struct model_files *files) {
    return model_files_has(files, "heads.safetensors") ||
           model_files_has(files, "sparse_linear.safetensors") ||
           model_files_has(files, "sparse_linear.pt");
}

/* Told by the small files alone; what is no model of ours says why in *why_out. */
static const char *kind_of(const struct hub_entry *entry, struct error *why_out) {
    struct model_files *files = NULL;
    struct model_config config;
    const char *kind = "unreadable";
    const char *name = entry->place == HUB_PLACE_EMBEDDED ? entry->name : entry->where;
    if (entry->unfinished) {
        error_set(why_out, ERROR_INVALID, "tercet model pull %s fetches the rest", entry->name);
        return "unfinished";
    }
    if (model_files_open(name, &files, why_out) && config_read(files, &config, why_out))
        kind = config.is_reranker     ? "reranker"
               : is_three_mode(files) ? "three-mode encoder"
                                      : "encoder";
    model_files_close(files);
    return kind;
}

static void print_json(const struct hub_entry *entry, const char *kind, const char *why) {
    struct json *row = json_new_object();
    json_add_string(row, "model", entry->name);
    json_add_string(row, "kind", kind);
    json_add_string(row, "place", place_name(entry->place));
    json_add_string(row, "where", entry->where);
    json_add_number(row, "bytes", (double)entry->bytes);
    json_add_bool(row, "hidden", entry->hidden);
    if (*why)
        json_add_string(row, "why", why);
    model_print_json(row);
}

static void print_text(const struct hub_entry *entry, const char *kind, const char *why) {
    const double mebibyte = 1024.0 * 1024.0;
    printf("%-32s %-18s %9.1f MiB  %s%s\n", entry->name, kind, (double)entry->bytes / mebibyte,
           entry->where, entry->hidden ? "  (the one above is used)" : "");
    if (*why)
        printf("%-32s %s\n", "", why);
}

static int run(int argc, char **argv) {
    bool json = false;
    const struct option table[] = {
        {"json", OPTION_FLAG, &json, NULL, "a JSON object a line", 0, 0, 0},
        {0},
    };
    struct arena arena = {0};
    struct hub_entries entries;
    size_t words_n;
    int status = options_parse(&command_model_list, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n)
        return options_wrong(&command_model_list, "unexpected \"%s\"", argv[0]);
    hub_list(&arena, &entries);
    for (size_t i = 0; i < entries.n; i++) {
        struct error why = {0};
        const char *kind = kind_of(&entries.items[i], &why);
        (json ? print_json : print_text)(&entries.items[i], kind, why.message);
    }
    arena_done(&arena);
    return EXIT_DONE;
}

const struct command command_model_list = {"model list", "", "the models of this machine", run};
