/* report_lists.h - what a report tells of single queries: the head of a ranking, what was judged
 * relevant, and how recall grows with depth. */
#ifndef TERCET_EVAL_REPORT_LISTS_H
#define TERCET_EVAL_REPORT_LISTS_H

#include "tools/eval/report_texts.h"
#include "tools/eval/trec.h"

enum {
    REPORT_TOP_MAX = 5,      /* hits of a ranking that are shown */
    REPORT_RELEVANT_MAX = 5, /* of what was judged relevant, the best */
    REPORT_DEPTHS_MAX = 9,
};

/* All hits stand in trec_eval's order (ranking_make). */

/* [{"doc": place, "score", "relevance"}]; no relevance where nobody judged. */
struct json *report_top(const struct judged_query *query, const struct run_query *ranking,
                        struct report_texts *documents);

/* [{"doc", "relevance", "ranks": [from 1, a ranking each; 0: not in it]}], the most relevant first.
 * *n_out: how many there are in all. */
struct json *report_relevant(const struct judged_query *query,
                             const struct run_query *const *rankings, size_t rankings_n,
                             struct report_texts *documents, size_t *n_out);

/* Adds "depths" and "recall", [rankings][depths]: recall at 1, 3, 5, 10, .. up to depth_max; the
 * hit rate where relevance was decided by answers, whose number nobody knows ("recall_name").
 * runs: [runs_n][judged->n]. */
void report_recall_add(struct json *report, const struct run_query *const *runs, size_t runs_n,
                       const struct judged_queries *judged, bool by_answer, size_t depth_max);

/* The measure by which queries are called hard: nDCG@10 where it was asked for, else the first that
 * grows with quality. */
size_t report_main_measure(const struct measure_list *measures);

/* The measures' names. */
struct json *report_measures(const struct measure_list *measures);

struct json *report_numbers(const double *values, size_t n);

#endif
