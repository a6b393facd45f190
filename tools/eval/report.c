#include "tools/eval/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/file.h"
#include "tools/eval/report_page.h"
#include "tools/eval/report_table.h"

static bool write_and_done(const char *path, struct buf *text, struct error *err) {
    bool ok = file_write_atomic(path, text->data, text->len, err);
    buf_done(text);
    return ok;
}

bool report_write_tables(const struct report_files *files, const struct json *rows,
                         const char *caption, const char *const *left_out, struct error *err) {
    struct buf csv = {0}, markdown = {0};
    if (files->csv) {
        report_table_csv(rows, &csv);
        if (!write_and_done(files->csv, &csv, err))
            return false;
    }
    if (files->markdown) {
        report_table_markdown(rows, caption, left_out, &markdown);
        return write_and_done(files->markdown, &markdown, err);
    }
    return true;
}

bool report_write_page(const char *path, const struct json *data, struct error *err) {
    struct buf page = {0};
    report_page(data, &page);
    return write_and_done(path, &page, err);
}

struct json *report_begin(const char *kind, const char *title, const char *version) {
    struct json *report = json_new_object();
    time_t now = time(NULL);
    struct tm utc;
    char made[32];
    strftime(made, sizeof made, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
    json_add_string(report, "kind", kind);
    json_add_string(report, "title", title);
    json_add_string(report, "made", made);
    json_add_string(report, "version", version);
    return report;
}

void report_fact(struct json *facts, const char *name, const char *format, ...) {
    enum { VALUE_BYTES = 1024 }; /* an instruction is the longest */
    char value[VALUE_BYTES];
    va_list words;
    va_start(words, format);
    vsnprintf(value, sizeof value, format, words);
    va_end(words);
    if (!*value)
        return;
    struct json *fact = json_new_object();
    json_add_string(fact, "name", name);
    json_add_string(fact, "value", value);
    json_push(facts, fact);
}

const char *report_name_of(const char *path, struct arena *arena) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && (path[begin - 1] != '/' || begin == end)) /* "/" is its own name */
        begin--;
    return arena_text(arena, path + begin, end - begin);
}
