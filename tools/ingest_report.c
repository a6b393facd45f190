#include "tools/ingest_report.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/json.h"

/* On stderr; all of them are in the errors file and in the count. */
enum { REPEATED_TOLD_MAX = 5 };

bool report_open(struct ingest_report *report, bool json, const char *errors_path,
                 struct error *err) {
    *report = (struct ingest_report){.line = {.out = stderr}, .json = json};
    report->errors_path = errors_path;
    report->errors = errors_path ? fopen(errors_path, "w") : NULL;
    return !errors_path || report->errors || error_set_errno(err, "%s", errors_path);
}

bool report_close(struct ingest_report *report, struct error *err) {
    if (!report->errors)
        return true;
    bool failed = ferror(report->errors);
    failed |= fclose(report->errors) != 0;
    report->errors = NULL;
    return !failed ||
           error_set_errno(err, "%s: not all bad rows could be written", report->errors_path);
}

static void print_json(FILE *out, struct json *json) {
    struct buf text = {0};
    json_print(json, &text);
    buf_append(&text, "\n", 1);
    fwrite(text.data, 1, text.len, out);
    fflush(out);
    buf_done(&text);
    json_release(json);
}

/* ---- bad rows ---- */

/* The message behind "file:line: ", which are members of their own. */
static const char *without_place(const struct row *row, const char *message) {
    struct buf place = {0};
    buf_format(&place, "%s:%zu: ", row->file, row->line);
    if (row->line == 0 || strncmp(message, place.data, place.len) != 0) {
        buf_clear(&place);
        buf_format(&place, "%s: ", row->file);
    }
    size_t len = strncmp(message, place.data, place.len) == 0 ? place.len : 0;
    buf_done(&place);
    return message + len;
}

/* "event": NULL for the errors file. A line of 0, the whole file, is null. */
static struct json *complaint(const char *event, const struct row *row, const char *error) {
    struct json *json = json_new_object();
    if (event)
        json_add_string(json, "event", event);
    json_add_string(json, "file", row->file);
    json_add(json, "line", row->line ? json_new_number((double)row->line) : json_new_null());
    json_add(json, "id", row->key_len ? json_new_string(row->key, row->key_len) : json_new_null());
    json_add_string(json, "error", error);
    return json;
}

static void tell(struct ingest_report *report, const char *event, const struct row *row,
                 const char *error) {
    if (report->errors)
        print_json(report->errors, complaint(NULL, row, error));
    if (report->json)
        print_json(stdout, complaint(event, row, error));
}

/* Bad rows are counted by what is the same in messages: the part before the details. */
static void count_reason(struct ingest_report *report, const char *message) {
    static const char *const details[] = {": ", "; ", ", found", " at byte "};
    char text[REPORT_REASON_BYTES] = "";
    size_t i = 0;
    memccpy(text, message, '\0', sizeof text - 1);
    for (size_t d = 0; d < sizeof details / sizeof *details; d++) {
        char *detail = strstr(text, details[d]);
        if (detail)
            *detail = '\0';
    }
    while (i < report->reasons_n && strcmp(report->reasons[i].text, text) != 0)
        i++;
    if (i >= REPORT_REASONS_MAX - 1) {
        i = REPORT_REASONS_MAX - 1;
        strcpy(text, "other reasons");
    }
    if (i == report->reasons_n) {
        memcpy(report->reasons[i].text, text, sizeof text);
        report->reasons_n++;
    }
    report->reasons[i].n++;
}

void report_bad(struct ingest_report *report, const struct row *row, const struct error *err) {
    const char *message = without_place(row, err->message);
    progress_clear(&report->line);
    fprintf(stderr, "tercet: %s\n", err->message);
    tell(report, "bad", row, message);
    count_reason(report, message);
}

void report_repeated(struct ingest_report *report, const struct row *row) {
    static const char message[] = "this id came before in this run; the later row is kept";
    tell(report, "repeated", row, message);
    if (++report->repeated_n > REPEATED_TOLD_MAX)
        return;
    progress_clear(&report->line);
    fprintf(stderr, "tercet: %s", row->file);
    if (row->line)
        fprintf(stderr, ":%zu", row->line);
    fprintf(stderr, ": \"%s\": %s\n", row->key, message);
    if (report->repeated_n == REPEATED_TOLD_MAX)
        fprintf(stderr, "tercet: more of these are counted, and listed with --errors FILE\n");
}

void report_deleted(struct ingest_report *report, const char *key) {
    if (!report->json)
        return; /* they are counted */
    struct json *json = json_new_object();
    json_add_string(json, "event", "deleted");
    json_add_string(json, "id", key);
    print_json(stdout, json);
}

/* ---- progress and summary ---- */

static struct json *stats_event(const char *event, const struct ingest_stats *stats) {
    struct json *json = json_new_object();
    json_add_string(json, "event", event);
    json_add_number(json, "stored", (double)stats->stored);
    json_add_number(json, "unchanged", (double)stats->unchanged);
    json_add_number(json, "bad", (double)stats->bad);
    json_add_number(json, "deleted", (double)stats->deleted);
    json_add_number(json, "tokens", (double)stats->tokens);
    json_add_number(json, "bytes_read", (double)stats->bytes_read);
    json_add_number(json, "bytes_total", (double)stats->bytes_total);
    json_add_number(json, "seconds", stats->seconds);
    json_add_number(json, "tokens_per_s",
                    stats->seconds > 0 ? (double)stats->tokens / stats->seconds : 0);
    return json;
}

void report_progress(struct ingest_report *report, const struct ingest_stats *stats) {
    if (!report->json) {
        progress_show(&report->line, stats);
        return;
    }
    struct json *json = stats_event("progress", stats);
    double left = progress_seconds_left(&report->line, stats);
    json_add(json, "seconds_left", left >= 0 ? json_new_number(left) : json_new_null());
    print_json(stdout, json);
}

static void print_done(const struct ingest_report *report, const struct ingest_stats *stats,
                       const struct walk *files) {
    struct json *json = stats_event("done", stats);
    struct json *reasons = json_new_object(), *passed = json_new_object();
    for (size_t i = 0; i < report->reasons_n; i++)
        json_add_number(reasons, report->reasons[i].text, (double)report->reasons[i].n);
    for (size_t i = 0; i < files->passed_n; i++)
        json_add_number(passed, files->passed[i].what, (double)files->passed[i].n);
    json_add_number(json, "files", (double)files->files_n);
    json_add(json, "resumed", json_new_bool(stats->resumed));
    json_add_number(json, "repeated", (double)report->repeated_n);
    json_add(json, "skipped", reasons);
    json_add(json, "passed_over", passed);
    print_json(stdout, json);
}

static void print_passed(const struct walk *files) {
    size_t n = 0;
    for (size_t i = 0; i < files->passed_n; i++)
        n += files->passed[i].n;
    fprintf(stderr, "  %zu file%s passed over: ", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < files->passed_n; i++)
        fprintf(stderr, "%s%zu %s", i ? ", " : "", files->passed[i].n, files->passed[i].what);
    fprintf(stderr, "\n");
}

void report_summary(struct ingest_report *report, const struct ingest_stats *stats,
                    const struct walk *files) {
    struct buf text = {0};
    if (report->json) {
        print_done(report, stats, files);
        return;
    }
    progress_clear(&report->line);
    progress_summary(stats, &text);
    fprintf(stderr, "%s\n", text.data);
    buf_done(&text);
    for (size_t i = 0; i < report->reasons_n; i++)
        fprintf(stderr, "  %" PRIu64 " bad: %s\n", report->reasons[i].n, report->reasons[i].text);
    if (stats->resumed)
        fprintf(stderr, "  went on where an earlier run was broken off\n");
    if (stats->deleted)
        fprintf(stderr, "  %" PRIu64 " deleted: not there any more\n", stats->deleted);
    if (report->repeated_n)
        fprintf(stderr, "  %" PRIu64 " replaced an earlier row of the same id in this run\n",
                report->repeated_n);
    if (files->passed_n)
        print_passed(files);
}
