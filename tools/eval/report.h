/* report.h - the files that an evaluation or a comparison leaves behind, besides what it prints:
 * a page for a browser, and the printed table as CSV and as Markdown. */
#ifndef TERCET_EVAL_REPORT_H
#define TERCET_EVAL_REPORT_H

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

/* Paths; NULL where not asked for. */
struct report_files {
    const char *html, *csv, *markdown;
};

/* Rows for an option table. */
#define REPORT_OPTION_ROWS(files)                                                                  \
    {"report", OPTION_TEXT, &(files).html, "FILE", "write it all as one HTML page", 0, 0, 0},      \
        {"csv", OPTION_TEXT, &(files).csv, "FILE", "write the table as CSV", 0, 0, 0}, {           \
        "markdown", OPTION_TEXT, &(files).markdown, "FILE", "write the table as Markdown", 0, 0, 0 \
    }

/* rows: an array of flat objects, the table's rows. caption, left_out: report_table.h. */
bool report_write_tables(const struct report_files *files, const struct json *rows,
                         const char *caption, const char *const *left_out, struct error *err);

/* data: what tools/eval/report/ (the page's script) reads. */
bool report_write_page(const char *path, const struct json *data, struct error *err);

/* ---- the beginnings of data that every page has ---- */

/* {"kind","title","made","version"}. */
struct json *report_begin(const char *kind, const char *title, const char *version);
/* One more {"name","value"} of its "facts"; nothing when the value is "". */
void report_fact(struct json *facts, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The last part of a path: a report is passed on, and where its files lay is nobody's business. */
const char *report_name_of(const char *path, struct arena *arena);

#endif
