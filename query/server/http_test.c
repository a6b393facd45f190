/* The parser alone: every request is fed whole and byte by byte, and must mean the same. */
#include <string.h>

#include "query/server/http.h"
#include "tests/check.h"

static const struct http_limits limits = {
    .head_bytes_max = 1000, .headers_n_max = 8, .body_bytes_max = 100};

/* Feeds `step` bytes at a time until something other than MORE and HEAD; counts the heads. */
static enum http_event feed(struct http_parser *parser, struct http_message *message,
                            const char *text, size_t len, size_t step, size_t *at_out,
                            int *heads_out) {
    enum http_event event = HTTP_EVENT_MORE;
    size_t at = 0;
    *heads_out = 0;
    http_parser_begin(parser, message);
    while (at < len || event == HTTP_EVENT_HEAD) {
        size_t used, some = len - at < step ? len - at : step;
        event = http_parser_feed(parser, text + at, some, &used);
        *heads_out += event == HTTP_EVENT_HEAD;
        if (event == HTTP_EVENT_BAD)
            break;
        at += used;
        if (event == HTTP_EVENT_DONE)
            break;
    }
    *at_out = at;
    return event;
}

struct good {
    const char *text;
    enum server_method method;
    const char *target, *header, *value, *body;
    bool keep_alive, has_body, expect;
};

static void reads_requests(void) {
    static const struct good cases[] = {
        {"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Long-Name:  va lue \t \r\n\r\n", SERVER_GET,
         "/a?b", "x-long-name", "va lue", "", true, false, false},
        {"GET / HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n", SERVER_GET, "/", "x-empty", "", "", true,
         false, false},
        {"\r\n\r\nDELETE /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", SERVER_DELETE, "/a",
         "connection", "close", "", false, false, false},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\nhello",
         SERVER_POST, "/", "host", "x", "hello", true, true, true},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: kept-out\r\n\r\n",
         SERVER_POST, "/", "host", "x", "hello", true, true, false},
        {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", SERVER_PUT, "/", "host", "x", "",
         true, false, false},
        {"GET / HTTP/1.0\r\n\r\n", SERVER_GET, "/", NULL, NULL, "", false, false, false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", SERVER_GET, "/", NULL, NULL, "", true,
         false, false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", SERVER_GET,
         "/", "upgrade", "h2c", "", true, false, false},
        {"PURGE / HTTP/1.1\r\nHost: x\r\n\r\n", SERVER_METHOD_OTHER, "/", "host", "x", "", true,
         false, false},
        {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", SERVER_METHOD_OTHER, "a:1", "host", "x", "",
         true, false, false},
    };
    struct http_parser *parser = http_parser_open(&limits);
    struct http_message message = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct good *good = &cases[i];
        char text[2048];
        size_t len = strlen(good->text);
        snprintf(text, sizeof text, "%sGET /next", good->text); /* must be left alone */
        for (size_t step = 1; step <= sizeof text; step = step < 40 ? step + 1 : sizeof text + 1) {
            size_t at;
            int heads;
            enum http_event event =
                feed(parser, &message, text, step > 40 ? strlen(text) : len, step, &at, &heads);
            if (event != HTTP_EVENT_DONE)
                fprintf(stderr, "case %zu, step %zu: %s\n", i, step, message.reason);
            CHECK(event == HTTP_EVENT_DONE && heads == 1);
            if (event != HTTP_EVENT_DONE)
                continue;
            CHECK_EQUAL(at, len);
            CHECK_EQUAL(message.method, good->method);
            CHECK_TEXT(message.head.data, good->target);
            CHECK_EQUAL(message.target_len, strlen(good->target));
            if (good->header)
                CHECK_TEXT(http_message_header(&message, good->header), good->value);
            CHECK(!http_message_header(&message, "trailer"));
            CHECK_TEXT(message.body.len ? message.body.data : "", good->body);
            CHECK(message.keep_alive == good->keep_alive && message.has_body == good->has_body &&
                  message.expect_continue == good->expect);
        }
    }
    http_message_done(&message);
    http_parser_close(parser);
    http_parser_close(NULL);
}

static void refuses_requests(void) {
    char long_target[9000], long_header[3000], many[600] = "GET / HTTP/1.1\r\nHost: x\r\n";
    memset(long_target, 'a', sizeof long_target);
    memcpy(long_target, "GET /", 5);
    long_target[sizeof long_target - 1] = '\0';
    memset(long_header, 'a', sizeof long_header);
    memcpy(long_header, "GET / HTTP/1.1\r\nA: ", 19);
    long_header[sizeof long_header - 1] = '\0';
    for (int i = 0; i < 8; i++)
        strcat(many, "A: b\r\n");
    const struct {
        const char *text;
        int status;
    } cases[] = {
        {"hello\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET /\r\n\r\n", 505}, /* HTTP/0.9 */
        {"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400},
        {"GET / HTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400}, /* a blank before the colon */
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\nA\x01: b\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "32\r\n01234567890123456789012345678901234567890123456789\r\n"
         "33\r\n012345678901234567890123456789012345678901234567890\r\n",
         413},
        {long_target, 414},
        {long_header, 431},
        {many, 431},
    };
    struct http_parser *parser = http_parser_open(&limits);
    struct http_message message = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= 10001; step += 10000) {
            size_t at;
            int heads;
            enum http_event event =
                feed(parser, &message, cases[i].text, strlen(cases[i].text), step, &at, &heads);
            if (event != HTTP_EVENT_BAD || message.status != cases[i].status)
                fprintf(stderr, "case %zu, step %zu\n", i, step);
            CHECK_EQUAL(event, HTTP_EVENT_BAD);
            CHECK_EQUAL(message.status, cases[i].status);
            CHECK(message.code && message.reason);
        }
    http_message_done(&message);
    http_parser_close(parser);
}

/* Bytes that are almost requests: it may say what it likes, but must not read astray. */
static void survives_random_bytes(void) {
    static const char base[] = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    unsigned long long seed = 11;
    struct http_parser *parser = http_parser_open(&limits);
    struct http_message message = {0};
    for (size_t round = 0; round < 50000; round++) {
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        for (size_t i = check_random(&seed) % 4; i > 0; i--)
            text[check_random(&seed) % (sizeof base - 1)] = (char)check_random(&seed);
        size_t at;
        int heads;
        feed(parser, &message, text, sizeof base - 1, 1 + check_random(&seed) % 80, &at, &heads);
        if (at > sizeof base - 1 || heads > 1)
            CHECK(!"used more than there was");
    }
    CHECK(true);
    http_message_done(&message);
    http_parser_close(parser);
}

int main(void) {
    reads_requests();
    refuses_requests();
    survives_random_bytes();
    return check_result();
}
