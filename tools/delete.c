/* tercet delete - documents out of an index, by their ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
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

static int run(int argc, char **argv) {
    bool json = false;
    const struct option table[] = {
        {"json", OPTION_FLAG, &json, NULL, "one JSON object: deleted, missing", 0, 0, 0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_delete, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n < 2)
        return options_wrong(&command_delete, "an index and at least one id are needed");
    char **keys = argv + 1;
    size_t n = words_n - 1, found_n = 0;
    bool *found = mem_zalloc(n, sizeof *found);
    if (delete_keys(argv[0], keys, n, found, &err)) {
        for (size_t i = 0; i < n; i++)
            found_n += found[i];
        (json ? print_json : print_text)(keys, found, n, found_n);
    } else {
        status = command_failed(&err);
    }
    free(found);
    return status < 0 ? EXIT_DONE : status;
}

const struct command command_delete = {"delete", "INDEX ID...", "documents out of an index", run};
