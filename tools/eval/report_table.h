/* report_table.h - rows of flat JSON objects as the tables that other programs take in.
 *
 * A column for every member that a row has, in the order in which they come first; a row without it
 * has an empty cell. */
#ifndef TERCET_EVAL_REPORT_TABLE_H
#define TERCET_EVAL_REPORT_TABLE_H

#include "engine/base/buf.h"
#include "engine/base/json.h"

/* RFC 4180, but for lines that end in LF. Numbers as in JSON: 9 digits. Appends. */
void report_table_csv(const struct json *rows, struct buf *out);

/* caption: a line before the table. left_out: members that the caption tells, NULL at the end.
 * Numbers as on the terminal. */
void report_table_markdown(const struct json *rows, const char *caption,
                           const char *const *left_out, struct buf *out);

#endif
