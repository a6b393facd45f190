/* ingest_report.h - what a person, or a program, is told while an ingest runs and behind it.
 *
 * On stderr: the progress line, a line a bad row, and at the end what was stored, what was skipped
 * and why. With json, events on stdout, an object a line: "progress", "bad", "repeated", "deleted",
 * "done".
 * With an errors file, {"file","line","id","error"} a line for every bad and every repeated row. */
#ifndef TERCET_INGEST_REPORT_H
#define TERCET_INGEST_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "ingest/pipeline.h"
#include "ingest/progress.h"

enum { REPORT_REASONS_MAX = 12, REPORT_REASON_BYTES = 80 };

struct report_reason {
    char text[REPORT_REASON_BYTES];
    uint64_t n;
};

struct ingest_report {
    struct progress_line line;
    bool json;
    FILE *errors;                                     /* NULL: none asked for */
    const char *errors_path;                          /* borrowed */
    struct report_reason reasons[REPORT_REASONS_MAX]; /* of bad rows; the last one: all others */
    size_t reasons_n;
    uint64_t repeated_n;
};

/* errors_path: NULL for none; an older file is replaced. */
bool report_open(struct ingest_report *report, bool json, const char *errors_path,
                 struct error *err);
/* False when the errors file could not be written to its end. */
bool report_close(struct ingest_report *report, struct error *err);

void report_progress(struct ingest_report *report, const struct ingest_stats *stats);
void report_bad(struct ingest_report *report, const struct row *row, const struct error *err);
void report_deleted(struct ingest_report *report, const char *key);
void report_repeated(struct ingest_report *report, const struct row *row);
void report_summary(struct ingest_report *report, const struct ingest_stats *stats,
                    const struct walk *files);

#endif
