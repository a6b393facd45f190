/* tercet check - is everything in an index what it should be? And if not, can it be made so? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "index/care/check.h"
#include "index/care/repair.h"
#include "tools/commands.h"

static void tell_text(void *context, const char *what) {
    (void)context;
    fprintf(stderr, "tercet: %s\n", what);
}

static void tell_json(void *context, const char *what) {
    json_push(context, json_new_string(what, strlen(what)));
}

struct report {
    bool json, repair;
    struct json *problems, *lost; /* as JSON only */
    struct check_totals checked;
    struct repair_totals repaired;
    bool was_repaired;
};

static void print_json(struct report *report) {
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add_bool(json, "sound", report->checked.problems_n == 0 || report->was_repaired);
    json_add_number(json, "documents",
                    (double)(report->was_repaired ? report->repaired.documents_n
                                                  : report->checked.documents_n));
    json_add_number(json, "postings", (double)report->checked.postings_n);
    json_add_number(json, "pages", (double)report->checked.pages_n);
    json_add_number(json, "problems_n", (double)report->checked.problems_n);
    json_add(json, "problems", json_copy_of(report->problems));
    if (report->was_repaired) {
        json_add_bool(json, "repaired", true);
        json_add_number(json, "documents_lost", (double)report->repaired.lost_n);
        json_add_number(json, "words_lost", (double)report->repaired.words_lost_n);
        json_add(json, "lost", json_copy_of(report->lost));
    }
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(const struct report *report) {
    const struct check_totals *totals = &report->checked;
    if (totals->problems_n == 0)
        printf("sound: %" PRIu64 " documents, %" PRIu64 " postings, %" PRIu64 " pages\n",
               totals->documents_n, totals->postings_n, totals->pages_n);
    else
        printf("%" PRIu64 " problem%s%s\n", totals->problems_n, totals->problems_n > 1 ? "s" : "",
               report->was_repaired || report->repair ? "" : "; --repair mends what can be mended");
    if (report->was_repaired)
        printf("repaired, and sound now: %" PRIu64 " documents; %" PRIu64 " lost, and %" PRIu64
               " words\n",
               report->repaired.documents_n, report->repaired.lost_n,
               report->repaired.words_lost_n);
}

static bool look(const char *folder, struct report *report, struct error *err) {
    struct check_listener listener = {report->problems, report->json ? tell_json : tell_text};
    struct repair_listener lost = {report->lost, report->json ? tell_json : tell_text};
    if (!index_check(folder, &listener, &report->checked, err))
        return false;
    if (report->checked.problems_n == 0 || !report->repair)
        return true;
    report->was_repaired = index_repair(folder, &lost, &report->repaired, err);
    return report->was_repaired;
}

static int run(int argc, char **argv) {
    struct report report = {0};
    const struct option table[] = {
        {"repair", OPTION_FLAG, &report.repair, NULL,
         "make a sound index of what can be read, and name what cannot", 0, 0, 0},
        {"json", OPTION_FLAG, &report.json, NULL, "one JSON object: sound, problems, counts", 0, 0,
         0},
        {0},
    };
    struct error err;
    size_t words_n;
    int status = options_parse(&command_check, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_check, "one index is needed, found %zu words", words_n);
    report.problems = report.json ? json_new_array() : NULL;
    report.lost = report.json ? json_new_array() : NULL;
    bool ok = look(argv[0], &report, &err);
    if (ok || report.checked.problems_n > 0)
        (report.json ? print_json(&report) : print_text(&report));
    json_release(report.problems);
    json_release(report.lost);
    if (!ok)
        return command_failed(&err);
    bool whole = report.was_repaired ? report.repaired.lost_n + report.repaired.words_lost_n == 0
                                     : report.checked.problems_n == 0;
    return whole ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_check = {"check", "INDEX", "is an index sound? --repair makes it so",
                                      run};
