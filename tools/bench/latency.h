/* latency.h - how long single calls took, and the row that says so.
 *
 *   struct latency latency = {0};
 *   while (latency_goes_on(&latency, calls_n, seconds)) {
 *       latency_begin(&latency);
 *       ... one call ...
 *       latency_end(&latency);
 *   }
 *   struct json *row = latency_row(&latency, "sparse", "1000000/top10", 1);
 *   json_add_number(row, "recall", ...);
 *   bench_print(row);
 *   latency_done(&latency);
 *
 * Rows: {"bench", "case", "threads", "unit": "ms", "value": p50, "p50_ms", "p99_ms", "cpu_ms": mean
 * processor time of a call on this thread, "calls", ...}. On a machine that others use, too, cpu_ms
 * is the figure to compare. */
#ifndef TERCET_BENCH_LATENCY_H
#define TERCET_BENCH_LATENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/json.h"

/* Zeros are a valid empty one. */
struct latency {
    double *calls_ms; /* [n] */
    size_t n, cap;
    double cpu_s; /* of all of them */
    double began_ms, began_cpu_s, first_ms;
};

void latency_begin(struct latency *latency);
void latency_end(struct latency *latency);
/* Until at least calls_n calls have been timed and `seconds` are over. */
bool latency_goes_on(const struct latency *latency, size_t calls_n, double seconds);
/* part: 0.5 for the median; of no calls it is 0. Sorts the calls. */
double latency_percentile(struct latency *latency, double part);
void latency_done(struct latency *latency);

struct json *latency_row(struct latency *latency, const char *bench, const char *name,
                         size_t threads_n);
/* A row of one figure. */
struct json *figure_row(const char *bench, const char *name, size_t threads_n, const char *unit,
                        double value);
void bench_print(struct json *row); /* prints the row on standard output and releases it */

/* The same in the form that a race's other runners have (tools/bench/rows.h): {"peer": "tercet",
 * "version", "case", "threads", "value", "unit", "quality": {quality: quality_value}}; no quality
 * when it is NULL. */
void bench_print_peer(const char *name, size_t threads_n, const char *unit, double value,
                      const char *quality, double quality_value);

#endif
