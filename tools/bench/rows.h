/* rows.h - what was measured, a JSON object a line on standard output.
 *
 *   value, unit        tokens/s of the best pass; ms (p50) of one query; s of a reranker's request
 *   tokens_per_cpu_s   the same by processor time of all threads: comparable beside other work
 *   gops               1e9 operations a second (cost.h), by elapsed time
 *   peak_gops          what the layers' kernels could do in registers, all threads, this run
 *   peak_percent       gops of it; _cpu: by processor time
 *   products_limit_percent, attention_limit_percent
 *                      of the processor time: what the layers' products, and attention, would take
 *                      at the peak of their own kernels; the rest is all that could be won
 *   memory_mib         the most that was used beyond the open model
 *   cosine_min, _mean  to the f32 outputs of the same case, where f32 came before */
#ifndef TERCET_BENCH_ROWS_H
#define TERCET_BENCH_ROWS_H

#include "tools/bench/measure.h"

/* Who ran what. */
struct row_context {
    const char *bench; /* "encode" or "rerank" */
    const struct model_info *model;
    size_t threads_n;
    struct cost_peak peak;         /* of all threads */
    const struct cosines *cosines; /* to the f32 outputs of the same case; NULL: not known */
};

void rows_print(const struct row_context *context, const struct bench_case *which,
                const struct measured *measured);

/* The same in the form that a race's other runners have: {"peer", "version", "case", "threads",
 * "value", "unit", "quality"} and what of the above they do not know, a row a figure, with their
 * names of the cases. */
void rows_print_peer(const struct row_context *context, const struct bench_case *which,
                     const struct measured *measured);

#endif
