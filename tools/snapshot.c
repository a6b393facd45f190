/* tercet snapshot and tercet restore - a whole index somewhere else, and back. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/json.h"
#include "index/backup.h"
#include "tools/commands.h"

static void print_totals(const char *to, const struct backup_totals *totals, bool json) {
    struct buf out = {0};
    if (json) {
        struct json *object = json_new_object();
        json_add_string(object, "index", to);
        json_add_number(object, "documents", (double)totals->documents_n);
        json_add_number(object, "bytes", (double)totals->bytes);
        json_print(object, &out);
        json_release(object);
    } else {
        buf_format(&out, "%s: %" PRIu64 " documents, %.1f MiB", to, totals->documents_n,
                   (double)totals->bytes / (1024.0 * 1024.0));
    }
    puts(out.data);
    buf_done(&out);
}

/* from, to: which of the two words each is. */
static int run(const struct command *command, int argc, char **argv, size_t from, size_t to) {
    bool json = false, force = false;
    const struct option table[] = {
        {"force", OPTION_FLAG, &force, NULL, "put it in the place of an index that is there", 0, 0,
         0},
        {"json", OPTION_FLAG, &json, NULL, "one JSON object: index, documents, bytes", 0, 0, 0},
        {0},
    };
    struct error err;
    struct backup_totals totals;
    size_t words_n;
    int status = options_parse(command, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 2)
        return options_wrong(command, "two folders are needed, found %zu words", words_n);
    if (!backup_copy(argv[from], argv[to], force, &totals, &err))
        return command_failed(&err);
    print_totals(argv[to], &totals, json);
    return EXIT_DONE;
}

static int run_snapshot(int argc, char **argv) {
    return run(&command_snapshot, argc, argv, 0, 1);
}

static int run_restore(int argc, char **argv) {
    return run(&command_restore, argc, argv, 1, 0);
}

const struct command command_snapshot = {
    "snapshot", "INDEX OUT", "a copy of an index as it is now, while others use it", run_snapshot};
const struct command command_restore = {"restore", "INDEX FROM", "an index out of a snapshot of it",
                                        run_restore};
