/* sweep.h - the weights that order judged candidates best.
 *
 * The exact scores of every mode are at hand, so trying weights is no search but a sum. For each
 * fusion the scores are normalised once; then weights move by steps along the simplex, a share from
 * one mode to another, as long as the mean nDCG@10 grows, with smaller and smaller steps
 * (coordinate search). That is honest only on queries that took no part in it: folds. */
#ifndef TERCET_TUNE_SWEEP_H
#define TERCET_TUNE_SWEEP_H

#include "query/fuse.h"
#include "tools/eval/judged.h"

struct sweep_query {
    /* [n] as a search scored them, in no order. Keys make the order of equal scores. */
    struct fuse_candidate *candidates;
    const int *gains; /* [n] relevance; 0 and below: none */
    size_t n;
    double best; /* the ideal DCG@10 of all judgments; above 0 */
};

struct sweep {
    const struct sweep_query *queries; /* [n] */
    size_t n;
    unsigned modes;
};

/* nDCG@10 of each query under a plan, out [n]. */
void sweep_values(const struct sweep *sweep, const struct fuse_plan *plan, double *out);

/* The best plan for the queries whose bit is set in take [n]. start: where the search begins, and
 * what it keeps where nothing is better. */
struct fuse_plan sweep_best(const struct sweep *sweep, const bool *take,
                            const struct fuse_plan *start);

/* What tuning earns on queries that took no part in it: each fold's queries are answered by the
 * plan tuned on the others. out: [n]. */
void sweep_cross_validate(const struct sweep *sweep, const struct fuse_plan *start, size_t folds_n,
                          uint64_t seed, double *out);

#endif
