#include "query/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/model.h"
#include "query/encoders.h"
#include "query/service.h"

/* From a page out of memory to a large batch of documents, in seconds. */
static const double bounds_s[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

enum {
    BOUNDS_N = sizeof bounds_s / sizeof *bounds_s,
    /* Of each kind. Routes, methods and statuses are some dozens; what comes beyond is summed up
     * in the last. */
    SERIES_MAX = 512,
    LABEL_BYTES_MAX = 512,
};

struct histogram {
    const char *label;             /* static, or a route's pattern */
    uint64_t counts[BOUNDS_N + 1]; /* not cumulative */
    double sum_s;
};

struct counter {
    const char *route, *method;
    int status;
    uint64_t n;
};

struct metrics {
    struct service *service;
    struct encoders *encoders;
    struct server *server; /* NULL until it listens */
    struct counter requests[SERIES_MAX];
    struct histogram durations[SERIES_MAX], stages[SERIES_MAX];
    size_t requests_n, durations_n, stages_n;
    uint64_t bytes_in, bytes_out;
    time_t started;
};

struct metrics *metrics_open(struct service *service, struct encoders *encoders) {
    struct metrics *metrics = mem_zalloc(1, sizeof *metrics);
    metrics->service = service;
    metrics->encoders = encoders;
    metrics->started = time(NULL);
    return metrics;
}

void metrics_close(struct metrics *metrics) {
    free(metrics);
}

void metrics_watch(struct metrics *metrics, struct server *server) {
    metrics->server = server;
}

/* ---- counting ---- */

static void count_request(struct metrics *metrics, const char *route, const char *method,
                          int status) {
    size_t i = 0;
    for (; i < metrics->requests_n; i++) {
        const struct counter *each = &metrics->requests[i];
        if (each->status == status && strcmp(each->method, method) == 0 &&
            strcmp(each->route, route) == 0)
            break;
    }
    if (i == SERIES_MAX)
        i--;
    if (i == metrics->requests_n) {
        metrics->requests[i] = (struct counter){.route = route, .method = method, .status = status};
        metrics->requests_n++;
    }
    metrics->requests[i].n++;
}

static void observe(struct histogram *histograms, size_t *n, const char *label, double seconds) {
    size_t i = 0, bound = 0;
    while (i < *n && strcmp(histograms[i].label, label) != 0)
        i++;
    if (i == SERIES_MAX)
        i--;
    if (i == *n) {
        histograms[i].label = label;
        (*n)++;
    }
    while (bound < BOUNDS_N && seconds > bounds_s[bound])
        bound++;
    histograms[i].counts[bound]++;
    histograms[i].sum_s += seconds;
}

static void observe_stage(struct metrics *metrics, const char *stage, double ms) {
    observe(metrics->stages, &metrics->stages_n, stage, ms / 1e3);
}

void metrics_count(struct metrics *metrics, const struct server_access *access) {
    const char *route = access->route ? access->route : "none";
    count_request(metrics, route, access->method, access->status);
    observe(metrics->durations, &metrics->durations_n, route, access->total_ms / 1e3);
    metrics->bytes_in += access->bytes_in;
    metrics->bytes_out += access->bytes_out;
    if (access->handler_ms > 0) {
        observe_stage(metrics, "queue", access->queue_ms);
        observe_stage(metrics, "handler", access->handler_ms);
    }
    for (size_t i = 0; i < access->stages_n; i++)
        observe_stage(metrics, access->stages[i].name, access->stages[i].ms);
}

/* ---- telling ---- */

static void print_head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are escaped. */
static const char *label_of(const char *text, char out[LABEL_BYTES_MAX]) {
    size_t len = 0;
    for (; *text && len + 2 < LABEL_BYTES_MAX; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n')
            out[len++] = '\\';
        out[len++] = *text == '\n' ? 'n' : *text;
    }
    out[len] = '\0';
    return out;
}

static void print_histograms(struct buf *out, const char *name, const char *label,
                             const struct histogram *histograms, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct histogram *each = &histograms[i];
        uint64_t below = 0;
        for (size_t j = 0; j < BOUNDS_N; j++) {
            below += each->counts[j];
            buf_format(out, "%s_bucket{%s=\"%s\",le=\"%g\"} %llu\n", name, label, each->label,
                       bounds_s[j], (unsigned long long)below);
        }
        below += each->counts[BOUNDS_N];
        buf_format(out, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %llu\n", name, label, each->label,
                   (unsigned long long)below);
        buf_format(out, "%s_sum{%s=\"%s\"} %.9g\n", name, label, each->label, each->sum_s);
        buf_format(out, "%s_count{%s=\"%s\"} %llu\n", name, label, each->label,
                   (unsigned long long)below);
    }
}

static void print_requests(const struct metrics *metrics, struct buf *out) {
    print_head(out, "tercet_http_requests_total", "counter", "Answered requests.");
    for (size_t i = 0; i < metrics->requests_n; i++) {
        const struct counter *each = &metrics->requests[i];
        buf_format(out,
                   "tercet_http_requests_total{route=\"%s\",method=\"%s\",status=\"%d\"} %llu\n",
                   each->route, each->method, each->status, (unsigned long long)each->n);
    }
    print_head(out, "tercet_http_request_seconds", "histogram",
               "From a request's first byte to its answer's last.");
    print_histograms(out, "tercet_http_request_seconds", "route", metrics->durations,
                     metrics->durations_n);
    print_head(out, "tercet_stage_seconds", "histogram", "Parts of that time.");
    print_histograms(out, "tercet_stage_seconds", "stage", metrics->stages, metrics->stages_n);
    print_head(out, "tercet_http_bytes_total", "counter", "Bytes of bodies.");
    buf_format(out, "tercet_http_bytes_total{direction=\"in\"} %llu\n",
               (unsigned long long)metrics->bytes_in);
    buf_format(out, "tercet_http_bytes_total{direction=\"out\"} %llu\n",
               (unsigned long long)metrics->bytes_out);
}

static void print_load(const struct metrics *metrics, struct buf *out) {
    struct server_load load;
    if (!metrics->server)
        return;
    server_load(metrics->server, &load);
    print_head(out, "tercet_queue_length", "gauge", "Requests that wait for a thread.");
    buf_format(out, "tercet_queue_length{lane=\"workers\"} %zu\n",
               load.waiting_n[SERVER_LANE_WORKERS]);
    buf_format(out, "tercet_queue_length{lane=\"writer\"} %zu\n",
               load.waiting_n[SERVER_LANE_WRITER]);
    buf_format(out, "tercet_queue_length{lane=\"remote\"} %zu\n",
               load.waiting_n[SERVER_LANE_REMOTE]);
    print_head(out, "tercet_connections", "gauge", "Open connections.");
    buf_format(out, "tercet_connections %zu\n", load.connections_n);
    size_t waiting = 0;
    for (int lane = 0; lane < SERVER_LANES_N; lane++)
        waiting += load.waiting_n[lane];
    print_head(out, "tercet_requests_running", "gauge", "Requests that a thread has.");
    buf_format(out, "tercet_requests_running %zu\n",
               load.jobs_n > waiting ? load.jobs_n - waiting : 0);
}

/* A format wants each metric's samples together, so three texts grow side by side. */
struct index_texts {
    struct buf documents, segments, bytes;
};

static void print_collection(void *context, const char *name, struct index *index) {
    struct index_texts *texts = context;
    struct index_counts counts;
    struct error err;
    if (!index_count(index, &counts, &err))
        return; /* its own requests say what is wrong with it */
    buf_format(&texts->documents, "tercet_documents{collection=\"%s\"} %llu\n", name,
               (unsigned long long)counts.documents_n);
    buf_format(&texts->segments, "tercet_segments{collection=\"%s\"} %llu\n", name,
               (unsigned long long)counts.segments_n);
    buf_format(&texts->bytes, "tercet_index_bytes{collection=\"%s\"} %llu\n", name,
               (unsigned long long)counts.bytes_on_disk);
}

static void print_indexes(const struct metrics *metrics, struct buf *out) {
    struct index_texts texts = {0};
    if (!metrics->service)
        return;
    service_each(metrics->service, print_collection, &texts);
    const struct {
        const char *name, *help;
        struct buf *text;
    } parts[] = {
        {"tercet_documents", "Documents that can be found.", &texts.documents},
        {"tercet_segments", "Segments.", &texts.segments},
        {"tercet_index_bytes", "Bytes on disk.", &texts.bytes},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        print_head(out, parts[i].name, "gauge", parts[i].help);
        buf_append(out, parts[i].text->data, parts[i].text->len);
        buf_done(parts[i].text);
    }
}

static void print_model(const struct metrics *metrics, struct buf *out) {
    char label[LABEL_BYTES_MAX];
    if (!metrics->encoders)
        return;
    const struct model *model = encoders_model(metrics->encoders);
    print_head(out, "tercet_encoder_tokens_total", "counter",
               "Tokens that the encode routes sent through the model.");
    buf_format(out, "tercet_encoder_tokens_total %llu\n",
               (unsigned long long)encoders_tokens_n(metrics->encoders));
    print_head(out, "tercet_model_info", "gauge", "The model in use.");
    buf_format(out, "tercet_model_info{model=\"%s\",precision=\"%s\"} 1\n",
               label_of(encoders_name(model), label), model_info(model)->precision);
}

static void print_process(const struct metrics *metrics, struct buf *out) {
    print_head(out, "process_start_time_seconds", "gauge", "Unix time.");
    buf_format(out, "process_start_time_seconds %lld\n", (long long)metrics->started);
    FILE *in = fopen("/proc/self/statm", "r");
    unsigned long long pages, resident;
    if (in && fscanf(in, "%llu %llu", &pages, &resident) == 2) {
        print_head(out, "process_resident_memory_bytes", "gauge", "Resident memory.");
        buf_format(out, "process_resident_memory_bytes %llu\n",
                   resident * (unsigned long long)sysconf(_SC_PAGESIZE));
    }
    if (in)
        fclose(in);
}

void metrics_handler(void *context, size_t worker, const struct server_request *request,
                     struct server_response *response) {
    const struct metrics *metrics = context;
    (void)worker, (void)request;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    print_requests(metrics, &response->body);
    print_load(metrics, &response->body);
    print_indexes(metrics, &response->body);
    print_model(metrics, &response->body);
    print_process(metrics, &response->body);
}
