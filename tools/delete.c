/* tercet delete - documents out of an index, by their ids or by a filter. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "index/fields/filter.h"
#include "index/remove.h"
#include "tools/commands.h"

static void print_json(char **keys, const bool *found, size_t n, size_t found_n) {
    struct json *json = json_new_object(), *missing = json_new_array();
    struct buf out = {0};
    for (size_t i = 0; i < n; i++)
        if (!found[i])
            json_push(missing, json_new_string(keys[i], strlen(keys[i])));
    json_add_number(json, "deleted", (double)found_n);
    json_add(json, "missing", missing);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(char **keys, const bool *found, size_t n, size_t found_n) {
    printf("deleted %zu of %zu\n", found_n, n);
    for (size_t i = 0; i < n; i++)
        if (!found[i])
            fprintf(stderr, "tercet: no document \"%s\"\n", keys[i]);
}

static bool delete_keys(const char *folder, char **keys, size_t n, bool *found, struct error *err) {
    struct index *index;
    if (!index_open(folder, INDEX_WRITE, &index, err))
        return false;
    struct index_key *views = mem_alloc(n, sizeof *views);
    for (size_t i = 0; i < n; i++)
        views[i] = (struct index_key){keys[i], strlen(keys[i])};
    bool ok = index_remove(index, views, n, found, err);
    free(views);
    index_close(index);
    return ok;
}

/* ---- by filter ---- */

struct choice {
    const char *filter; /* as typed */
    bool all, dry_run, json;
};

static void print_removed(uint64_t n, const struct choice *choice) {
    if (choice->json)
        printf("{\"%s\":%" PRIu64 "}\n", choice->dry_run ? "would_delete" : "deleted", n);
    else
        printf("%s %" PRIu64 "\n", choice->dry_run ? "would delete" : "deleted", n);
}

/* On failure *n_out is what is gone all the same. */
static bool delete_passing(const char *folder, const struct filter *filter, bool dry_run,
                           uint64_t *n_out, struct error *err) {
    struct index *index;
    if (!index_open(folder, dry_run ? INDEX_READ : INDEX_WRITE, &index, err))
        return false;
    bool ok = dry_run ? filter_count(filter, index, n_out, err)
                      : index_remove_passing(index, filter, n_out, err);
    index_close(index);
    return ok;
}

static int run_filter(const char *folder, const struct choice *choice) {
    const char *text = choice->all ? "{}" : choice->filter;
    struct error err;
    struct arena arena = {0};
    struct filter *filter;
    uint64_t n = 0;
    int status = EXIT_DONE;
    struct json *json = json_parse(text, strlen(text), &err);
    if (!json || !filter_parse(json, &arena, &filter, &err)) {
        status = options_wrong(&command_delete, "%s%s", json ? "" : "filter: ", err.message);
    } else if (filter_passes_all(filter) && !choice->all) {
        status = options_wrong(&command_delete,
                               "filter: it names no condition, so every document passes; --all "
                               "deletes them all");
    } else if (delete_passing(folder, filter, choice->dry_run, &n, &err)) {
        print_removed(n, choice);
    } else {
        if (n > 0)
            error_wrap(&err, "%" PRIu64 " are deleted, then: ", n);
        status = command_failed(&err);
    }
    json_release(json);
    arena_done(&arena);
    return status;
}

/* ---- which ---- */

static int run_keys(const char *folder, char **keys, size_t n, bool json) {
    struct error err;
    size_t found_n = 0;
    int status = EXIT_DONE;
    bool *found = mem_zalloc(n, sizeof *found);
    if (delete_keys(folder, keys, n, found, &err)) {
        for (size_t i = 0; i < n; i++)
            found_n += found[i];
        (json ? print_json : print_text)(keys, found, n, found_n);
    } else {
        status = command_failed(&err);
    }
    free(found);
    return status;
}

static int run(int argc, char **argv) {
    struct choice choice = {0};
    const struct option table[] = {
        {"filter", OPTION_TEXT, &choice.filter, "JSON",
         "every document whose fields pass: {\"year\":{\"$lt\":2020}}", 0, 0, 0},
        {"all", OPTION_FLAG, &choice.all, NULL, "every document there is", 0, 0, 0},
        {"dry-run", OPTION_FLAG, &choice.dry_run, NULL,
         "with --filter or --all: how many it would be", 0, 0, 0},
        {"json", OPTION_FLAG, &choice.json, NULL, "one JSON object: deleted, missing", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_delete, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    bool keys = words_n > 1, chosen = choice.filter || choice.all;
    if (words_n == 0 || keys == chosen || (choice.filter && choice.all))
        return options_wrong(&command_delete,
                             "an index is needed, and either ids, --filter or --all");
    if (keys && choice.dry_run)
        return options_wrong(&command_delete, "--dry-run goes with --filter or --all");
    return keys ? run_keys(argv[0], argv + 1, words_n - 1, choice.json)
                : run_filter(argv[0], &choice);
}

const struct command command_delete = {"delete", "INDEX ID... | --filter JSON | --all",
                                       "documents out of an index", run};
