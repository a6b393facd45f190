/* tercet snapshot and tercet restore - a whole index somewhere else, and back. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/json.h"
#include "index/care/backup.h"
#include "index/index.h"
#include "tools/commands.h"

static void print_totals(const char *to, const struct backup_totals *totals, bool updated,
                         bool json) {
    struct buf out = {0};
    if (json) {
        struct json *object = json_new_object();
        json_add_string(object, "index", to);
        json_add_number(object, "documents", (double)totals->documents_n);
        json_add_number(object, "bytes", (double)totals->bytes);
        if (updated)
            json_add_number(object, "changed", (double)totals->changed_n);
        json_print(object, &out);
        json_release(object);
    } else {
        buf_format(&out, "%s: %" PRIu64 " documents, %.1f MiB", to, totals->documents_n,
                   (double)totals->bytes / (1024.0 * 1024.0));
        if (updated)
            buf_format(&out, ", brought up to date: %" PRIu64 " entries changed",
                       totals->changed_n);
    }
    puts(out.data);
    buf_done(&out);
}

struct choice {
    bool force, json;
};

/* -1, or the exit status. *choice is what was typed. */
static int parse(const struct command *command, const char *force_help, int argc, char **argv,
                 struct choice *choice) {
    const struct option table[] = {
        {"force", OPTION_FLAG, &choice->force, NULL, force_help, 0, 0, 0},
        {"json", OPTION_FLAG, &choice->json, NULL, "one JSON object: index, documents, bytes", 0, 0,
         0},
        {0},
    };
    size_t words_n;
    int status = options_parse(command, table, argc, argv, &words_n);
    if (status < 0 && words_n != 2)
        return options_wrong(command, "two folders are needed, found %zu words", words_n);
    return status;
}

/* Onto an index that is there: what changed since, if it is an older snapshot. */
static int run_snapshot(int argc, char **argv) {
    struct choice choice = {0};
    struct error err;
    struct backup_totals totals = {0};
    int status = parse(&command_snapshot, "a whole new copy, in the place of any index", argc, argv,
                       &choice);
    if (status >= 0)
        return status;
    bool update = !choice.force && index_exists(argv[1]);
    if (update ? !backup_update(argv[0], argv[1], &totals, &err)
               : !backup_copy(argv[0], argv[1], choice.force, &totals, &err))
        return command_failed(&err);
    print_totals(argv[1], &totals, update, choice.json);
    return EXIT_DONE;
}

static int run_restore(int argc, char **argv) {
    struct choice choice = {0};
    struct error err;
    struct backup_totals totals = {0};
    int status = parse(&command_restore, "put it in the place of an index that is there", argc,
                       argv, &choice);
    if (status >= 0)
        return status;
    if (!backup_copy(argv[1], argv[0], choice.force, &totals, &err))
        return command_failed(&err);
    print_totals(argv[0], &totals, false, choice.json);
    return EXIT_DONE;
}

const struct command command_snapshot = {
    "snapshot", "INDEX OUT", "a copy of an index as it is now, or an older copy brought up to date",
    run_snapshot};
const struct command command_restore = {"restore", "INDEX FROM", "an index out of a snapshot of it",
                                        run_restore};
