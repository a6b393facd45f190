/* report_compare.h - the report of two runs beside each other: means and intervals, every query's
 * difference, and those that won and lost most with what both found. */
#ifndef TERCET_EVAL_REPORT_COMPARE_H
#define TERCET_EVAL_REPORT_COMPARE_H

#include "tools/eval/report.h"
#include "tools/eval/trec.h"

struct report_comparison {
    const char *names[2], *qrels; /* paths */
    const char *queries, *corpus; /* files with texts (report_texts.h); NULL: keys alone */
    const struct judged_queries *judged;
    const struct measure_list *measures;
    const struct run_query *runs[2]; /* [judged->n], judged: in trec_eval's order */
    const double *values[2];         /* [judged->n, measures] */
    const struct json *rows;         /* as --json prints them, a measure each */
    uint32_t seed;
};

/* Writes the files that were asked for. */
bool report_compare(const struct report_comparison *c, const struct report_files *files,
                    struct error *err);

#endif
