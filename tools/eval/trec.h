/* trec.h - rankings as TREC writes them: "query Q0 document rank score tag", a line a hit.
 *
 * The order is made from the scores (measures.h), never from the ranks or the lines, as trec_eval
 * does it. Scores are f32 there, too. */
#ifndef TERCET_EVAL_TREC_H
#define TERCET_EVAL_TREC_H

#include "tools/eval/measures.h"

struct run_query {
    const char *id;
    struct run_hit *hits; /* [hits_n] */
    size_t hits_n;
};

struct run {
    struct run_query *queries; /* [n], in the order in which the file names them first */
    size_t n;
};

/* May be packed (.gz, .zst). All in the arena. */
bool run_read(const char *path, struct arena *arena, struct run *out, struct error *err);
/* Hits as they stand, ranks from 1. */
bool run_write(const char *path, const struct run *run, const char *tag, struct error *err);

/* The hits of each query of `judged` in its order, [judged->n]; none where the run has none: such a
 * query counts as 0 (trec_eval -c). */
struct run_query *run_aligned(const struct run *run, const struct judged_queries *judged,
                              struct arena *arena);

/* Values of every measure: [judged->n, measures->n]. aligned: [judged->n]. In the arena. */
double *run_values(const struct run_query *aligned, const struct judged_queries *judged,
                   const struct measure_list *measures, struct arena *arena);

#endif
