/* tercet check - is everything in an index what it should be? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "index/check.h"
#include "tools/commands.h"

static void tell_text(void *context, const char *what) {
    (void)context;
    fprintf(stderr, "tercet: %s\n", what);
}

static void tell_json(void *context, const char *what) {
    json_push(context, json_new_string(what, strlen(what)));
}

/* Takes `problems`. */
static void print_json(struct json *problems, const struct check_totals *totals) {
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add_bool(json, "sound", totals->problems_n == 0);
    json_add_number(json, "documents", (double)totals->documents_n);
    json_add_number(json, "postings", (double)totals->postings_n);
    json_add_number(json, "pages", (double)totals->pages_n);
    json_add_number(json, "problems_n", (double)totals->problems_n);
    json_add(json, "problems", problems);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(const struct check_totals *totals) {
    if (totals->problems_n == 0)
        printf("sound: %" PRIu64 " documents, %" PRIu64 " postings, %" PRIu64 " pages\n",
               totals->documents_n, totals->postings_n, totals->pages_n);
    else
        printf("%" PRIu64 " problem%s\n", totals->problems_n, totals->problems_n > 1 ? "s" : "");
}

static int run(int argc, char **argv) {
    bool json = false;
    const struct option table[] = {
        {"json", OPTION_FLAG, &json, NULL, "one JSON object: sound, problems, counts", 0, 0, 0},
        {0},
    };
    struct error err;
    struct check_totals totals = {0};
    size_t words_n;
    int status = options_parse(&command_check, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_check, "one index is needed, found %zu words", words_n);
    struct json *problems = json ? json_new_array() : NULL;
    struct check_listener listener = {problems, json ? tell_json : tell_text};
    if (!index_check(argv[0], &listener, &totals, &err)) {
        json_release(problems);
        return command_failed(&err);
    }
    if (json)
        print_json(problems, &totals);
    else
        print_text(&totals);
    return totals.problems_n == 0 ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_check = {"check", "INDEX", "is an index sound?", run};
