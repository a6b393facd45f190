/* What is counted comes out, in the text format that Prometheus reads. */
#include "query/metrics.h"

#include <string.h>

#include "tests/check.h"

static struct server_response response;

static const char *scrape(struct metrics *metrics) {
    buf_clear(&response.body);
    metrics_handler(metrics, 0, NULL, &response);
    return response.body.data;
}

static void count(struct metrics *metrics, const char *route, int status, double total_ms,
                  double handler_ms) {
    static const struct server_stage stages[] = {{"encode", 3}};
    const struct server_access access = {
        .peer = "p",
        .method = "POST",
        .target = "/secret?a",
        .route = route,
        .status = status,
        .bytes_in = 10,
        .bytes_out = 100,
        .total_ms = total_ms,
        .queue_ms = handler_ms > 0 ? 2 : 0,
        .handler_ms = handler_ms,
        .stages = stages,
        .stages_n = handler_ms > 0 ? 1 : 0,
    };
    metrics_count(metrics, &access);
}

/* Every line is a comment or "name{labels} number", and every sample has its TYPE before it. */
static void check_format(const char *text) {
    char type[128] = "", name[128];
    for (const char *at = text; *at;) {
        const char *end = strchr(at, '\n');
        CHECK(end);
        if (!end)
            return;
        if (sscanf(at, "# TYPE %127s", type) != 1 && *at != '#') {
            size_t len = strcspn(at, "{ ");
            snprintf(name, sizeof name, "%.*s", (int)len, at);
            CHECK(strncmp(name, type, strlen(type)) == 0); /* histograms add _bucket and so on */
            const char *value = strrchr(name, ' ');
            for (value = end; value > at && value[-1] != ' ';)
                value--;
            char *number_end;
            strtod(value, &number_end);
            CHECK(number_end == end && value > at);
        }
        at = end + 1;
    }
}

int main(void) {
    struct metrics *metrics = metrics_open(NULL, NULL);
    check_format(scrape(metrics));
    count(metrics, "/v1/a/{c}", 200, 4, 3.5);
    count(metrics, "/v1/a/{c}", 200, 60, 40);
    count(metrics, "/v1/a/{c}", 503, 1e6, 0); /* a full queue: no handler */
    count(metrics, NULL, 404, .1, 0);
    const char *text = scrape(metrics);
    check_format(text);
    static const char *const lines[] = {
        "tercet_http_requests_total{route=\"/v1/a/{c}\",method=\"POST\",status=\"200\"} 2\n",
        "tercet_http_requests_total{route=\"/v1/a/{c}\",method=\"POST\",status=\"503\"} 1\n",
        "tercet_http_requests_total{route=\"none\",method=\"POST\",status=\"404\"} 1\n",
        "tercet_http_request_seconds_bucket{route=\"/v1/a/{c}\",le=\"0.0025\"} 0\n",
        "tercet_http_request_seconds_bucket{route=\"/v1/a/{c}\",le=\"0.005\"} 1\n",
        "tercet_http_request_seconds_bucket{route=\"/v1/a/{c}\",le=\"0.1\"} 2\n",
        "tercet_http_request_seconds_bucket{route=\"/v1/a/{c}\",le=\"10\"} 2\n",
        "tercet_http_request_seconds_bucket{route=\"/v1/a/{c}\",le=\"+Inf\"} 3\n",
        "tercet_http_request_seconds_sum{route=\"/v1/a/{c}\"} 1000.064\n",
        "tercet_http_request_seconds_count{route=\"/v1/a/{c}\"} 3\n",
        "tercet_stage_seconds_count{stage=\"queue\"} 2\n",
        "tercet_stage_seconds_sum{stage=\"handler\"} 0.0435\n",
        "tercet_stage_seconds_bucket{stage=\"encode\",le=\"0.005\"} 2\n",
        "tercet_http_bytes_total{direction=\"in\"} 40\n",
        "tercet_http_bytes_total{direction=\"out\"} 400\n",
        "# TYPE process_resident_memory_bytes gauge\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!strstr(text, lines[i]))
            fprintf(stderr, "missing: %s", lines[i]);
        CHECK(strstr(text, lines[i]));
    }
    CHECK(!strstr(text, "secret"));
    CHECK(strncmp(response.content_type, "text/plain; version=0.0.4", 25) == 0);
    for (int i = 0; i < 2000; i++) /* more series than there is room for: summed up in the last */
        count(metrics, "/v1/a/{c}", i, 1, 0);
    check_format(scrape(metrics));
    metrics_close(metrics);
    buf_done(&response.body);
    return check_result();
}
