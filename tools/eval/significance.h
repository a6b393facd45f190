/* significance.h - is the one ranking better than the other, or was it these queries?
 *
 * Both systems answered the same queries, so everything is computed from the differences a query.
 * Student's paired t-test, two-sided; and the bootstrap: the queries are drawn again with
 * replacement, some thousand times (Sakai, SIGIR 2006, compares both for retrieval). A seed makes
 * the draws repeatable. */
#ifndef TERCET_EVAL_SIGNIFICANCE_H
#define TERCET_EVAL_SIGNIFICANCE_H

#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_DRAWS = 10000 }; /* p is told to about .005 around .05 */

struct significance {
    double difference;           /* mean of b - a */
    double low, high;            /* 95 % of the means drawn lie between */
    double t, p_t;               /* p 1 where nothing differs */
    double p_bootstrap;          /* of means as far from 0, were there no difference */
    size_t better, worse, equal; /* queries of b against a */
};

/* a, b: [n] values of one measure, a query each; n at least 1. */
struct significance significance_of(const double *a, const double *b, size_t n, uint64_t seed);

/* P(|T| >= |t|) of Student's distribution with that many degrees of freedom. */
double student_p(double t, double degrees);

#endif
