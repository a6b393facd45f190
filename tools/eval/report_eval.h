/* report_eval.h - the report of one data set: what was run and how, the table, recall by depth, how
 * long queries took, and the hardest of them with what was found. report_sets.h writes it. */
#ifndef TERCET_EVAL_REPORT_EVAL_H
#define TERCET_EVAL_REPORT_EVAL_H

#include "tools/eval/evaluation.h"

/* What the page shows, to be released. index: the one that was searched, still open. */
bool report_eval_page(struct evaluation *e, struct index *index, const struct model_info *model,
                      struct json **out, struct error *err);

/* The table's rows, as --json prints them but for the path of the data set. */
struct json *report_eval_rows(struct evaluation *e);
/* A table's first line, and the members of rows that it tells already (report_table.h). */
const char *report_eval_caption(struct evaluation *e);
extern const char *const report_eval_left_out[];

/* Of the model and the search, which several sets have in common. */
void report_eval_facts(struct json *facts, struct evaluation *e, const struct model_info *model);

#endif
