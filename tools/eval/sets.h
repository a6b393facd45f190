/* sets.h - the data sets of one command, evaluated alike: one, or several languages or folders,
 * whose figures then stand side by side with their mean, as in BGE-M3's tables. */
#ifndef TERCET_EVAL_SETS_H
#define TERCET_EVAL_SETS_H

#include "tools/eval/evaluation.h"

/* MKQA has 25 languages, MIRACL 18. Each is a column, of which a table has 64 (report_table.c). */
enum { EVAL_SETS_MAX = 48 };

struct eval_sets {
    struct evaluation *items; /* [n] */
    size_t n;
    bool by_language; /* labels are languages of one folder; else the folders' names */
    struct arena arena;
};

/* langs: "ar,en", or one, or NULL. Several languages of one folder or several folders, each named
 * differently: ERROR_INVALID else. Released by eval_sets_done, also after a failure. */
bool eval_sets_make(const struct eval_settings *settings, char *const *folders, size_t folders_n,
                    const char *langs, struct eval_sets *out, struct error *err);
void eval_sets_done(struct eval_sets *sets);

/* Queries and judgments of all of them: what is missing is told before anything is indexed. */
bool eval_sets_read(struct eval_sets *sets, struct error *err);

/* Whether set i is searched in the corpus of set j, as MKQA's languages all are. */
bool eval_sets_share(const struct eval_sets *sets, size_t i, size_t j);

/* Below: of several, all of which have been evaluated, with the same rows: what an index offers is
 * decided by the model, and that is one. */

/* A row's means over the sets, as eval_line_json prints a row; published: where every set's is. */
struct json *eval_average_json(const struct eval_sets *sets, size_t row);
/* The measure that the summary shows, and one row of it: a value a set, and their mean. */
size_t eval_sets_measure(const struct eval_sets *sets);
double eval_sets_mean(const struct eval_sets *sets, size_t row, size_t measure);

/* The summary on the terminal, or the averages as an object a row. */
void eval_sets_print(const struct eval_sets *sets);

#endif
