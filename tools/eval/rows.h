/* rows.h - the ways of searching that a benchmark's table compares, with the weights that papers
 * used where the model has trained heads, and the figures that they printed. */
#ifndef TERCET_EVAL_ROWS_H
#define TERCET_EVAL_ROWS_H

#include "tools/eval/ask.h"

enum { EVAL_ROWS_MAX = 8 };

/* One row as asked for (table false), or one for each set of modes that the index offers. base:
 * what all of them share. Names live in the arena. Returns how many. */
size_t eval_rows(const char *kind, const struct index_settings *settings,
                 const struct search_request *base, bool table, struct arena *arena,
                 struct eval_row out[EVAL_ROWS_MAX]);

/* A published nDCG@10, 0 to 1; 0: none is known. folder: the benchmark's, known by its name. */
double eval_published(const char *kind, const char *folder, const char *lang, const char *model,
                      unsigned modes);

#endif
