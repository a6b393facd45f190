#include "tools/bench/rows.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "tools/bench/latency.h"

/* The processor as Linux calls it; "unknown" elsewhere. */
static const char *processor_name(char out[128]) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    strcpy(out, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 && colon) {
            snprintf(out, 128, "%s", colon + 1 + strspn(colon + 1, " "));
            out[strcspn(out, "\n")] = '\0';
            break;
        }
    }
    if (file)
        fclose(file);
    return out;
}

static void add_value(struct json *row, enum case_kind kind, const struct measured *measured) {
    switch (kind) {
    case CASE_CORPUS:
    case CASE_FIXED:
        json_add_string(row, "unit", "tokens/s");
        json_add_number(row, "value", (double)measured->tokens_n / measured->pass_s);
        break;
    case CASE_LATENCY:
        json_add_string(row, "unit", "ms");
        json_add_number(row, "value", measured->p50_ms);
        break;
    case CASE_SECONDS:
        json_add_string(row, "unit", "s");
        json_add_number(row, "value", measured->pass_s);
        break;
    }
}

/* Percent of the time that a machine which only multiplies at its peak would have needed. */
static void add_percents(struct json *row, const struct row_context *context,
                         const struct measured *measured) {
    const struct cost *cost = &measured->cost;
    const struct cost_peak *peak = &context->peak;
    double gop = (cost->linear + cost->attention) / 1e9;
    double cpu_s = measured->pass_cpu_s / (double)context->threads_n;
    json_add_number(row, "gops", gop / measured->pass_s);
    if (peak->linear_gops <= 0 || peak->attention_gops <= 0)
        return;
    double linear_s = cost->linear / 1e9 / peak->linear_gops;
    double attention_s = cost->attention / 1e9 / peak->attention_gops;
    json_add_number(row, "peak_gops", peak->linear_gops);
    json_add_number(row, "peak_percent", 100 * gop / measured->pass_s / peak->linear_gops);
    json_add_number(row, "peak_percent_cpu", 100 * gop / cpu_s / peak->linear_gops);
    json_add_number(row, "products_limit_percent", 100 * linear_s / cpu_s);
    json_add_number(row, "attention_limit_percent", 100 * attention_s / cpu_s);
}

static void add_memory(struct json *row, const struct measured *measured) {
    if (measured->memory_mib >= 0)
        json_add_number(row, "memory_mib", measured->memory_mib);
}

void rows_print(const struct row_context *context, const struct bench_case *which,
                const struct measured *measured) {
    char processor[128];
    struct json *row = json_new_object();
    json_add_string(row, "bench", context->bench);
    json_add_string(row, "case", which->name);
    json_add_string(row, "model", context->model->name);
    json_add_string(row, "version", TERCET_VERSION);
    json_add_string(row, "processor", processor_name(processor));
    json_add_number(row, "threads", (double)context->threads_n);
    json_add_string(row, "precision", context->model->precision);
    json_add_string(row, "kernels", context->peak.linear_kernels);
    json_add_string(row, "attention_kernels", context->peak.attention_kernels);
    add_value(row, which->kind, measured);
    json_add_number(row, "p50_ms", measured->p50_ms);
    json_add_number(row, "p99_ms", measured->p99_ms);
    json_add_number(row, "tokens_per_s", (double)measured->tokens_n / measured->pass_s);
    json_add_number(row, "tokens_per_cpu_s", (double)measured->tokens_n / measured->pass_cpu_s);
    add_percents(row, context, measured);
    add_memory(row, measured);
    if (context->cosines) {
        json_add_number(row, "cosine_min", context->cosines->min);
        json_add_number(row, "cosine_mean", context->cosines->mean);
    }
    bench_print(row);
}

/* ---- for a race ---- */

static void print_peer(const struct row_context *context, const struct bench_case *which,
                       const struct measured *measured, const char *suffix, double value,
                       const char *unit) {
    char text[512];
    struct json *row = json_new_object();
    snprintf(text, sizeof text, "tercet-%s", context->model->precision);
    json_add_string(row, "peer", text);
    json_add_string(row, "version", TERCET_VERSION);
    snprintf(text, sizeof text, "%s%s", which->name, suffix);
    json_add_string(row, "case", text);
    json_add_number(row, "threads", (double)context->threads_n);
    json_add_number(row, "value", value);
    json_add_string(row, "unit", unit);
    json_add(row, "quality", json_new_null());
    add_percents(row, context, measured);
    add_memory(row, measured);
    bench_print(row);
}

void rows_print_peer(const struct row_context *context, const struct bench_case *which,
                     const struct measured *measured) {
    /* Processor time with more threads says how long they waited for each other, too. */
    bool alone = context->threads_n == 1;
    double tokens = (double)measured->tokens_n;
    switch (which->kind) {
    case CASE_CORPUS:
    case CASE_FIXED:
        print_peer(context, which, measured, "", tokens / measured->pass_s, "tokens/s");
        if (alone)
            print_peer(context, which, measured, "/cpu", tokens / measured->pass_cpu_s,
                       "tokens/cpu-s");
        break;
    case CASE_LATENCY:
        print_peer(context, which, measured, "/p50", measured->p50_ms, "ms");
        print_peer(context, which, measured, "/p99", measured->p99_ms, "ms");
        if (alone)
            print_peer(context, which, measured, "/cpu",
                       1e3 * measured->pass_cpu_s / (double)which->texts_n, "cpu-ms");
        break;
    case CASE_SECONDS: print_peer(context, which, measured, "", measured->pass_s, "s"); break;
    }
}
