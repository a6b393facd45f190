/* Lines of the log: their form, and what must not be in them. */
#include "tools/serve_log.h"

#include <string.h>

#include "engine/base/json.h"
#include "tests/check.h"

#define TIME "2026-11-21T16:00:00.123Z"

static const struct server_stage stages[] = {{"encode", 3.14159}, {"score", 1.5}};

static struct server_access make(const char *target, double total_ms, const char *subject) {
    return (struct server_access){
        .peer = "127.0.0.1:5012",
        .method = "POST",
        .target = target,
        .route = "/v1/collections/{c}/search",
        .subject = subject,
        .stages = stages,
        .stages_n = 2,
        .status = 200,
        .bytes_in = 31,
        .bytes_out = 2048,
        .total_ms = total_ms,
        .queue_ms = .12345,
        .handler_ms = 12,
    };
}

static const char *line(enum serve_log_form form, uint32_t slow_ms, struct server_access access) {
    static struct buf out;
    const struct serve_log log = {form, slow_ms};
    buf_clear(&out);
    buf_append(&out, "", 0);
    return serve_log_line(&log, &access, TIME, &out) ? out.data : NULL;
}

static void writes_text(void) {
    CHECK_TEXT(line(SERVE_LOG_TEXT, 0, make("/v1/collections/c/search?key=secret", 12.34, "q")),
               TIME " 127.0.0.1:5012 POST /v1/collections/c/search 200 12.3 ms (queue 0.1, "
                    "handler 12.0, encode 3.1, score 1.5) in 31 out 2048");
    CHECK(strstr(line(SERVE_LOG_TEXT, 10, make("/a", 12.34, "say \"a\"\n\x1b[1m")),
                 "out 2048 slow \"say \\\"a\\\"\\n\\u001B[1m\""));
    CHECK(strstr(line(SERVE_LOG_TEXT, 0, make("/\x1b[31m\xff", 1, NULL)), " /\\x1b[31m\\xff 200 "));
    CHECK(strstr(line(SERVE_LOG_TEXT, 0, make("", 1, NULL)), "POST - 200"));
}

static void writes_json(void) {
    struct error err;
    const char *text =
        line(SERVE_LOG_JSON, 10, make("/v1/collections/c/search?key=secret", 12.34, "tides"));
    CHECK(!strstr(text, "secret") && !strchr(text, '\n'));
    struct json *json = json_parse(text, strlen(text), &err);
    CHECK_OK(json, err);
    CHECK_TEXT(json_string_of(json_get(json, "time"), NULL), TIME);
    CHECK_TEXT(json_string_of(json_get(json, "path"), NULL), "/v1/collections/c/search");
    CHECK_TEXT(json_string_of(json_get(json, "route"), NULL), "/v1/collections/{c}/search");
    CHECK_TEXT(json_string_of(json_get(json, "subject"), NULL), "tides");
    CHECK(json_bool_of(json_get(json, "slow")));
    CHECK(json_number_of(json_get(json_get(json, "stages"), "encode")) == 3.142);
    json_release(json);
    text = line(SERVE_LOG_JSON, 0, make("/\xff\"", 12.34, "tides"));
    json = json_parse(text, strlen(text), &err);
    CHECK_OK(json, err);
    CHECK(!json_get(json, "slow") && !json_get(json, "subject")); /* queries of slow ones only */
    json_release(json);
}

static void keeps_to_what_was_asked(void) {
    CHECK(!line(SERVE_LOG_OFF, 0, make("/a", 1e6, "q")));
    CHECK(!line(SERVE_LOG_OFF, 100, make("/a", 99, "q")));
    CHECK(strstr(line(SERVE_LOG_OFF, 100, make("/a", 100, "q")), " slow \"q\""));
    CHECK(!strstr(line(SERVE_LOG_TEXT, 100, make("/a", 99, "q")), "slow"));
    char subject[1000];
    for (size_t i = 0; i + 3 < sizeof subject; i += 3) /* three bytes a character */
        memcpy(subject + i, "\xe6\xbd\xae", 4);
    const char *text = line(SERVE_LOG_OFF, 1, make("/a", 5, subject));
    CHECK(strlen(text) < 400 && !strstr(text, "\xef\xbf\xbd")); /* cut, and between characters */
    enum serve_log_form form = SERVE_LOG_OFF;
    CHECK(serve_log_parse("json", &form) && form == SERVE_LOG_JSON);
    CHECK(!serve_log_parse("xml", &form) && form == SERVE_LOG_JSON);
}

int main(void) {
    writes_text();
    writes_json();
    keeps_to_what_was_asked();
    return check_result();
}
