/* report_eval.h - the report of a benchmark's run: what was run and how, the table, recall by
 * depth, how long queries took, and the hardest of them with what was found. */
#ifndef TERCET_EVAL_REPORT_EVAL_H
#define TERCET_EVAL_REPORT_EVAL_H

#include "tools/eval/evaluation.h"

/* Writes the files that the settings ask for. index: the one that was searched, still open. */
bool report_eval(struct evaluation *e, struct index *index, const struct model *model,
                 struct error *err);

#endif
