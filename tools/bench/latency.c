#include "tools/bench/latency.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"

static double thread_cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void latency_begin(struct latency *latency) {
    latency->began_cpu_s = thread_cpu_s();
    latency->began_ms = clock_now_ms();
    if (latency->n == 0)
        latency->first_ms = latency->began_ms;
}

void latency_end(struct latency *latency) {
    double took_ms = clock_now_ms() - latency->began_ms;
    latency->cpu_s += thread_cpu_s() - latency->began_cpu_s;
    if (latency->n == latency->cap) {
        latency->cap = latency->cap ? 2 * latency->cap : 1024;
        latency->calls_ms = mem_realloc(latency->calls_ms, latency->cap, sizeof took_ms);
    }
    latency->calls_ms[latency->n++] = took_ms;
}

bool latency_goes_on(const struct latency *latency, size_t calls_n, double seconds) {
    return latency->n < calls_n || clock_now_ms() - latency->first_ms < 1e3 * seconds;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double latency_percentile(struct latency *latency, double part) {
    if (latency->n == 0)
        return 0;
    qsort(latency->calls_ms, latency->n, sizeof *latency->calls_ms, by_size);
    size_t at = (size_t)(part * (double)latency->n);
    return latency->calls_ms[at < latency->n ? at : latency->n - 1];
}

void latency_done(struct latency *latency) {
    free(latency->calls_ms);
    *latency = (struct latency){0};
}

struct json *figure_row(const char *bench, const char *name, size_t threads_n, const char *unit,
                        double value) {
    struct json *row = json_new_object();
    json_add_string(row, "bench", bench);
    json_add_string(row, "case", name);
    json_add_number(row, "threads", (double)threads_n);
    json_add_string(row, "unit", unit);
    json_add_number(row, "value", value);
    return row;
}

struct json *latency_row(struct latency *latency, const char *bench, const char *name,
                         size_t threads_n) {
    double p50_ms = latency_percentile(latency, 0.5);
    struct json *row = figure_row(bench, name, threads_n, "ms", p50_ms);
    json_add_number(row, "p50_ms", p50_ms);
    json_add_number(row, "p99_ms", latency_percentile(latency, 0.99));
    json_add_number(row, "cpu_ms", latency->n ? 1e3 * latency->cpu_s / (double)latency->n : 0);
    json_add_number(row, "calls", (double)latency->n);
    return row;
}

void bench_print(struct json *row) {
    struct buf line = {0};
    json_print(row, &line);
    printf("%s\n", line.data);
    fflush(stdout);
    buf_done(&line);
    json_release(row);
}

void bench_print_peer(const char *name, size_t threads_n, const char *unit, double value,
                      const char *quality, double quality_value) {
    struct json *row = json_new_object(), *qualities = json_new_object();
    json_add_string(row, "peer", "tercet");
    json_add_string(row, "version", TERCET_VERSION);
    json_add_string(row, "case", name);
    json_add_number(row, "threads", (double)threads_n);
    json_add_number(row, "value", value);
    json_add_string(row, "unit", unit);
    if (quality)
        json_add_number(qualities, quality, quality_value);
    json_add(row, "quality", qualities);
    bench_print(row);
}
