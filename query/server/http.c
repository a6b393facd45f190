#include "query/server/http.h"

#include <assert.h>
#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/mem.h"

/* A body is given this much at once when its length was announced; beyond it the buffer doubles as
 * bytes really arrive, so that an announcement alone costs nothing. */
enum { BODY_BYTES_AT_ONCE = 256 * 1024 };

/* A target longer than this is a 414 even when the head may be larger. */
enum { TARGET_BYTES_MAX = 8 * 1024 };

struct http_parser {
    llhttp_t llhttp; /* .data is this parser */
    const struct http_limits *limits;
    struct http_message *message;
    bool in_name; /* a header's name came in part */
    bool in_body; /* the head is complete: header lines from here on are trailers, not kept */
    size_t head_bytes;
    enum http_event event; /* what a pause means */
};

void http_message_init(struct http_message *message) {
    buf_clear(&message->head);
    buf_clear(&message->body);
    *message = (struct http_message){
        .head = message->head,
        .body = message->body,
        .headers = message->headers,
        .headers_cap = message->headers_cap,
        .method = SERVER_METHOD_OTHER,
    };
}

void http_message_done(struct http_message *message) {
    buf_done(&message->head);
    buf_done(&message->body);
    free(message->headers);
    *message = (struct http_message){0};
}

const char *http_message_header(const struct http_message *message, const char *name) {
    for (size_t i = 0; i < message->headers_n; i++)
        if (strcmp(message->head.data + message->headers[i].name, name) == 0)
            return message->head.data + message->headers[i].value;
    return NULL;
}

static int fail(struct http_parser *parser, int status, const char *code, const char *reason) {
    parser->message->status = status;
    parser->message->code = code;
    parser->message->reason = reason;
    return HPE_USER;
}

/* ---- llhttp's callbacks ---- */

static int count_head(struct http_parser *parser, size_t len) {
    parser->head_bytes += len;
    if (parser->head_bytes > parser->limits->head_bytes_max)
        return fail(parser, 431, "headers_too_large", "the request's headers are too large");
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len) {
    struct http_parser *parser = llhttp->data;
    size_t target_len = parser->message->head.len + len;
    if (target_len > TARGET_BYTES_MAX || target_len > parser->limits->head_bytes_max)
        return fail(parser, 414, "target_too_long", "the request target is too long");
    buf_append(&parser->message->head, at, len);
    return count_head(parser, len);
}

static int on_url_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    parser->message->target_len = parser->message->head.len;
    buf_append(&parser->message->head, "", 1);
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len) {
    struct http_parser *parser = llhttp->data;
    struct http_message *message = parser->message;
    if (!parser->in_body) {
        if (message->headers_n == parser->limits->headers_n_max)
            return fail(parser, 431, "too_many_headers", "the request has too many headers");
        if (message->headers_n == message->headers_cap) {
            message->headers_cap = message->headers_cap ? 2 * message->headers_cap : 16;
            message->headers =
                mem_realloc(message->headers, message->headers_cap, sizeof *message->headers);
        }
        size_t start = message->head.len;
        if (!parser->in_name)
            message->headers[message->headers_n].name = start;
        parser->in_name = true;
        buf_append(&message->head, at, len);
        for (size_t i = start; i < message->head.len; i++)
            if (message->head.data[i] >= 'A' && message->head.data[i] <= 'Z')
                message->head.data[i] |= 0x20;
    }
    return count_head(parser, len);
}

static int on_header_field_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    struct http_message *message = parser->message;
    if (parser->in_body)
        return 0;
    parser->in_name = false;
    buf_append(&message->head, "", 1);
    message->headers[message->headers_n].value = message->head.len;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len) {
    struct http_parser *parser = llhttp->data;
    if (!parser->in_body)
        buf_append(&parser->message->head, at, len);
    return count_head(parser, len);
}

static int on_header_value_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    struct http_message *message = parser->message;
    if (parser->in_body)
        return 0;
    struct buf *head = &message->head;
    size_t value = message->headers[message->headers_n].value;
    while (head->len > value && strchr(" \t", head->data[head->len - 1]))
        head->len--;
    buf_append(head, "", 1);
    message->headers_n++;
    return 0;
}

static enum server_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET: return SERVER_GET;
    case HTTP_HEAD: return SERVER_HEAD;
    case HTTP_POST: return SERVER_POST;
    case HTTP_PUT: return SERVER_PUT;
    case HTTP_PATCH: return SERVER_PATCH;
    case HTTP_DELETE: return SERVER_DELETE;
    case HTTP_OPTIONS: return SERVER_OPTIONS;
    default: return SERVER_METHOD_OTHER;
    }
}

static int check_head(struct http_parser *parser) {
    struct http_message *message = parser->message;
    if (parser->llhttp.http_major != 1) /* llhttp itself lets 0.9 and 2.0 pass */
        return fail(parser, 505, "http_version", "this server speaks HTTP/1.1 and HTTP/1.0");
    size_t hosts_n = 0;
    for (size_t i = 0; i < message->headers_n; i++)
        hosts_n += strcmp(message->head.data + message->headers[i].name, "host") == 0;
    if (hosts_n > 1 || (hosts_n == 0 && !message->version_1_0))
        return fail(parser, 400, "malformed_request", "a request needs one Host header");
    const char *expect = http_message_header(message, "expect");
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return fail(parser, 417, "expectation_failed", "the only known Expect is 100-continue");
    message->expect_continue = expect && message->has_body && !message->version_1_0;
    message->body_too_large = parser->llhttp.content_length > parser->limits->body_bytes_max;
    return 0;
}

static int refuse_body(struct http_parser *parser) {
    return fail(parser, 413, "body_too_large", "the request's body is too large");
}

static int on_headers_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    struct http_message *message = parser->message;
    bool chunked = llhttp->flags & F_CHUNKED;
    message->method = method_of(llhttp->method);
    message->version_1_0 = llhttp->http_major == 1 && llhttp->http_minor == 0;
    message->keep_alive = llhttp_should_keep_alive(llhttp);
    message->has_body = chunked || llhttp->content_length > 0;
    llhttp->upgrade = 0; /* offers of other protocols are not taken up: an ordinary request */
    parser->in_body = true;
    int refused = check_head(parser);
    if (refused)
        return refused;
    if (!chunked) {
        size_t announced = llhttp->content_length;
        buf_reserve(&message->body,
                    announced < BODY_BYTES_AT_ONCE ? announced : BODY_BYTES_AT_ONCE);
    }
    parser->event = HTTP_EVENT_HEAD;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len) {
    struct http_parser *parser = llhttp->data;
    struct http_message *message = parser->message;
    message->body_bytes += len;
    if (message->body_bytes > parser->limits->body_bytes_max && !message->unbounded)
        return refuse_body(parser);
    if (!message->discard_body)
        buf_append(&message->body, at, len);
    return 0;
}

static int on_message_complete(llhttp_t *llhttp) {
    struct http_parser *parser = llhttp->data;
    parser->event = HTTP_EVENT_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- the parser ---- */

struct http_parser *http_parser_open(const struct http_limits *limits) {
    struct http_parser *parser = mem_zalloc(1, sizeof *parser);
    parser->limits = limits;
    return parser;
}

void http_parser_close(struct http_parser *parser) {
    free(parser);
}

void http_parser_begin(struct http_parser *parser, struct http_message *message) {
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    parser->message = message;
    parser->in_name = parser->in_body = false;
    parser->head_bytes = 0;
    http_message_init(message);
}

enum http_event http_parser_feed(struct http_parser *parser, const char *bytes, size_t len,
                                 size_t *used_out) {
    if (parser->in_body && parser->message->body_too_large && !parser->message->unbounded) {
        refuse_body(parser);
        *used_out = 0;
        return HTTP_EVENT_BAD;
    }
    if (llhttp_get_errno(&parser->llhttp) == HPE_PAUSED)
        llhttp_resume(&parser->llhttp);
    llhttp_errno_t code = llhttp_execute(&parser->llhttp, bytes, len);
    if (code == HPE_OK) {
        *used_out = len;
        return HTTP_EVENT_MORE;
    }
    *used_out = (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes);
    if (code == HPE_PAUSED)
        return parser->event;
    if (parser->message->status == 0) { /* llhttp's complaint, not one of our callbacks' */
        bool method = code == HPE_INVALID_METHOD;
        const char *reason = llhttp_get_error_reason(&parser->llhttp);
        fail(parser, method ? 501 : 400, method ? "unknown_method" : "malformed_request",
             reason ? reason : "this is not HTTP/1.1");
    }
    return HTTP_EVENT_BAD;
}
