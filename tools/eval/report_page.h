/* report_page.h - a report as one HTML file: shell, style and script (tools/eval/report/, and the
 * search page's own colours), with the data in a block of JSON.
 *
 * The page asks nobody for anything. Its policy allows this style and this script, by their hashes;
 * what the data holds becomes text on the page and never markup. */
#ifndef TERCET_EVAL_REPORT_PAGE_H
#define TERCET_EVAL_REPORT_PAGE_H

#include "engine/base/json.h"

/* Appends. */
void report_page(const struct json *data, struct buf *out);

#endif
