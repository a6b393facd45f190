/* measure.h - one case through the model: how long it took and what came out.
 *
 * Timed is session_run with the heads: ids in, vectors or logits out. Rates are those of the best
 * of several passes, by elapsed and by processor time apart: other work on the machine only ever
 * makes a pass slower. */
#ifndef TERCET_BENCH_MEASURE_H
#define TERCET_BENCH_MEASURE_H

#include <stddef.h>

#include "engine/cost.h"
#include "engine/model.h"
#include "tools/bench/cases.h"

struct pool;

struct measured {
    size_t tokens_n, passes_n; /* tokens of a pass */
    struct cost cost;          /* of a pass */
    double pass_s, pass_cpu_s; /* of the best pass; CASE_LATENCY: of all texts once */
    double p50_ms, p99_ms;     /* of a call: a batch, or one text */
    double memory_mib;         /* the most that was used beyond the model; -1: not known */
    float *outputs;            /* [texts_n, width]: vectors as the model says, or logits */
    size_t width;
};

/* Outputs of 1 for a cross-encoder, else dense_dim. pool NULL: the calling thread works alone.
 * Release with measured_done. */
void measure_case(const struct model *model, struct pool *pool, const struct bench_case *which,
                  double seconds, struct measured *out);
void measured_done(struct measured *measured);

/* Of all threads of the pool at once, summed; NULL: of this thread. */
struct cost_peak measure_peak(const struct model *model, struct pool *pool);

/* The smallest and the mean cosine between the rows of a and b, [n, width]. */
struct cosines {
    double min, mean;
};
struct cosines measure_cosines(const float *a, const float *b, size_t n, size_t width);

#endif
