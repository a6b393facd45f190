/* tercet compact - an index without what is dead. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/json.h"
#include "index/care/compact.h"
#include "tools/commands.h"

static void print_json(const struct compact_totals *totals) {
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add_number(json, "documents", (double)totals->documents_n);
    json_add_number(json, "dead_reclaimed", (double)totals->dead_n);
    json_add_number(json, "bytes_before", (double)totals->bytes_before);
    json_add_number(json, "bytes_after", (double)totals->bytes_after);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(const struct compact_totals *totals) {
    const double mebibyte = 1024.0 * 1024.0;
    printf("%.1f MiB before, %.1f MiB now; %" PRIu64 " documents, %" PRIu64 " dead reclaimed\n",
           (double)totals->bytes_before / mebibyte, (double)totals->bytes_after / mebibyte,
           totals->documents_n, totals->dead_n);
}

static int run(int argc, char **argv) {
    bool json = false;
    const struct option table[] = {
        {"json", OPTION_FLAG, &json, NULL, "one JSON object: bytes before and after", 0, 0, 0},
        {0},
    };
    struct error err;
    struct compact_totals totals;
    size_t words_n;
    int status = options_parse(&command_compact, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_compact, "one index is needed, found %zu words", words_n);
    if (!index_compact(argv[0], &totals, &err))
        return command_failed(&err);
    (json ? print_json : print_text)(&totals);
    return EXIT_DONE;
}

const struct command command_compact = {
    "compact", "INDEX", "an index without what is dead, while others search it", run};
