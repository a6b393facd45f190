#include "tools/bench/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/heads.h"
#include "engine/session.h"

enum {
    FIXED_PASSES_MIN = 3,
    LATENCY_WARM_UP = 10,
    CALLS_MAX = 1 << 16, /* whose times are kept for the percentiles */
};

static double cpu_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- memory ---- */

/* A figure of /proc/self/status in MiB; -1 where there is none. */
static double memory_figure_mib(const char *name) {
    char line[256];
    double kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name), NULL);
    fclose(file);
    return kib < 0 ? -1 : kib / 1024;
}

/* Lets the highest figure begin anew (Linux: 5 written to clear_refs) and gives where it begins:
 * without what the case before left in malloc's hands. */
static double memory_begin_mib(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return -1;
    bool ok = fputs("5", file) >= 0;
    ok = fclose(file) == 0 && ok;
    return ok ? memory_figure_mib("VmRSS:") : -1;
}

/* ---- calls ---- */

struct run {
    const struct model *model;
    const struct bench_case *which;
    struct session *session;
    float *scratch; /* [workers, hidden] */
    size_t width, hidden;
    float *outputs; /* [texts_n, width] */
    size_t batch_begin;
    double *calls_ms; /* [CALLS_MAX] */
    size_t calls_n;
};

static void take_outputs(void *context, size_t sequence, const float *hidden, size_t worker) {
    const struct run *run = context;
    const struct model_info *info = model_info(run->model);
    size_t text = run->batch_begin + sequence;
    float *out = run->outputs + text * run->width;
    if (info->is_reranker)
        *out = heads_relevance(run->model, hidden, run->scratch + worker * run->hidden);
    else
        heads_dense(run->model, hidden, run->which->texts[text].n, info->normalized, out);
}

/* Texts [begin, begin + n) in one call. */
static void call(struct run *run, size_t begin, size_t n) {
    double began_ms = clock_now_ms();
    run->batch_begin = begin;
    session_run(run->session, run->which->texts + begin, n, take_outputs, run);
    if (run->calls_n < CALLS_MAX)
        run->calls_ms[run->calls_n++] = clock_now_ms() - began_ms;
}

static void pass(struct run *run) {
    const struct bench_case *which = run->which;
    for (size_t at = 0; at < which->texts_n; at += which->batch)
        call(run, at, which->texts_n - at < which->batch ? which->texts_n - at : which->batch);
}

/* Sizes every buffer and wakes the processor: the last batch, which in a sorted corpus is the
 * longest, or some queries. */
static void warm_up(struct run *run) {
    const struct bench_case *which = run->which;
    if (which->kind == CASE_LATENCY) {
        for (size_t i = 0; i < which->texts_n && i < LATENCY_WARM_UP; i++)
            call(run, i, 1);
    } else {
        size_t begin = (which->texts_n - 1) / which->batch * which->batch;
        call(run, begin, which->texts_n - begin);
    }
    run->calls_n = 0;
}

static size_t passes_min(const struct bench_case *which) {
    switch (which->kind) {
    case CASE_FIXED: return FIXED_PASSES_MIN;
    case CASE_SECONDS: return which->repeats;
    default: return 1;
    }
}

static void time_passes(struct run *run, double seconds, struct measured *out) {
    const struct bench_case *which = run->which;
    bool once = which->kind == CASE_LATENCY || which->kind == CASE_SECONDS;
    double began_s = clock_now_s();
    out->pass_s = out->pass_cpu_s = INFINITY;
    do {
        double s = clock_now_s(), cpu_s = cpu_now_s();
        pass(run);
        out->pass_s = fmin(out->pass_s, clock_now_s() - s);
        out->pass_cpu_s = fmin(out->pass_cpu_s, cpu_now_s() - cpu_s);
        out->passes_n++;
    } while (out->passes_n < passes_min(which) || (!once && clock_now_s() - began_s < seconds));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: a value that was measured. sorted: [n] */
static double percentile(const double *sorted, size_t n, double percent) {
    size_t rank = (size_t)ceil(percent / 100 * (double)n);
    return sorted[rank ? rank - 1 : 0];
}

void measure_case(const struct model *model, struct pool *pool, const struct bench_case *which,
                  double seconds, struct measured *out) {
    const struct model_info *info = model_info(model);
    double memory_mib = memory_begin_mib();
    struct run run = {
        .model = model,
        .which = which,
        .session = session_open(model, pool),
        .width = info->is_reranker ? 1 : info->dense_dim,
        .hidden = info->dense_dim,
        .calls_ms = mem_alloc(CALLS_MAX, sizeof(double)),
    };
    run.scratch = mem_alloc(session_workers_n(run.session) * run.hidden, sizeof(float));
    run.outputs = mem_alloc(which->texts_n * run.width, sizeof(float));
    *out = (struct measured){.cost = cost_of(model, which->texts, which->texts_n),
                             .outputs = run.outputs,
                             .width = run.width};
    for (size_t i = 0; i < which->texts_n; i++)
        out->tokens_n += which->texts[i].n;
    warm_up(&run);
    time_passes(&run, seconds, out);
    qsort(run.calls_ms, run.calls_n, sizeof *run.calls_ms, by_value);
    out->p50_ms = percentile(run.calls_ms, run.calls_n, 50);
    out->p99_ms = percentile(run.calls_ms, run.calls_n, 99);
    out->memory_mib = memory_mib < 0 ? -1 : memory_figure_mib("VmHWM:") - memory_mib;
    session_close(run.session);
    free(run.scratch);
    free(run.calls_ms);
}

void measured_done(struct measured *measured) {
    if (measured)
        free(measured->outputs);
}

/* ---- the machine ---- */

struct peaks {
    const struct model *model;
    struct cost_peak *list; /* [members] */
};

static void peak_of_member(void *context, size_t member, size_t worker) {
    const struct peaks *peaks = context;
    (void)worker;
    peaks->list[member] = cost_peak_measure(peaks->model);
}

struct cost_peak measure_peak(const struct model *model, struct pool *pool) {
    if (!pool)
        return cost_peak_measure(model);
    size_t n = pool_workers_n(pool);
    struct peaks peaks = {model, mem_alloc(n, sizeof(struct cost_peak))};
    pool_run_together(pool, n, peak_of_member, &peaks);
    struct cost_peak sum = peaks.list[0];
    for (size_t i = 1; i < n; i++) {
        sum.linear_gops += peaks.list[i].linear_gops;
        sum.attention_gops += peaks.list[i].attention_gops;
    }
    free(peaks.list);
    return sum;
}

struct cosines measure_cosines(const float *a, const float *b, size_t n, size_t width) {
    struct cosines cosines = {.min = 1};
    for (size_t i = 0; i < n; i++) {
        double ab = 0, aa = 0, bb = 0;
        for (size_t j = i * width; j < (i + 1) * width; j++) {
            ab += (double)a[j] * (double)b[j];
            aa += (double)a[j] * (double)a[j];
            bb += (double)b[j] * (double)b[j];
        }
        double cosine = ab / sqrt(aa * bb);
        cosines.min = fmin(cosines.min, cosine);
        cosines.mean += cosine / (double)n;
    }
    return cosines;
}
