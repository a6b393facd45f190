/* report_sets.h - the files that `tercet eval` leaves behind: of one data set, or of several beside
 * each other with their mean. */
#ifndef TERCET_EVAL_REPORT_SETS_H
#define TERCET_EVAL_REPORT_SETS_H

#include "tools/eval/sets.h"

/* Writes what the settings ask for. pages: an array with report_eval_page of each set, or an empty
 * one where no page is asked for. */
bool report_sets(struct eval_sets *sets, const struct json *pages, const struct model_info *model,
                 struct error *err);

#endif
