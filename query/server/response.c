#include "query/server/response.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "query/server/router.h"

/* ---- what a request holds ---- */

static const char *find_pair(const struct server_pair *pairs, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

const char *server_param(const struct server_request *request, const char *name) {
    const char *value = find_pair(request->params, request->params_n, name);
    assert(value && "the route's pattern has no such parameter");
    return value;
}

const char *server_header(const struct server_request *request, const char *name) {
    return find_pair(request->headers, request->headers_n, name);
}

const char *server_query(const struct server_request *request, const char *name) {
    const char *at = request->query;
    while (*at) {
        size_t member_len = strcspn(at, "&"), name_len = strcspn(at, "=&"), len;
        const char *value = at + name_len + (at[name_len] == '=');
        const char *found = router_decode(at, name_len, true, request->arena, &len);
        if (found && strcmp(found, name) == 0)
            return router_decode(value, (size_t)(at + member_len - value), true, request->arena,
                                 &len);
        at += member_len + (at[member_len] == '&');
    }
    return NULL;
}

bool server_request_cancelled(const struct server_request *request) {
    return atomic_load_explicit(request->cancelled, memory_order_relaxed);
}

/* ---- what a handler answers ---- */

void response_init(struct server_response *response, struct arena *arena) {
    buf_clear(&response->body);
    *response = (struct server_response){
        .status = 200,
        .content_type = "application/json",
        .body = response->body,
        .arena = arena,
    };
}

void server_response_stage(struct server_response *response, const char *name, double ms) {
    if (response->stages_n < SERVER_STAGES_MAX)
        response->stages[response->stages_n++] = (struct server_stage){name, ms};
}

static bool is_header_text(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
            return false;
    return true;
}

void server_response_header(struct server_response *response, const char *name, const char *value) {
    assert(is_header_text(name) && is_header_text(value));
    assert(response->headers_n < SERVER_RESPONSE_HEADERS_MAX);
    response->headers[response->headers_n++] = (struct server_pair){
        arena_text(response->arena, name, strlen(name)),
        arena_text(response->arena, value, strlen(value)),
    };
}

void server_response_error(struct server_response *response, int status, const char *code,
                           const char *field, const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    struct json *root = json_new_object(), *error = json_new_object();
    json_add_string(error, "code", code);
    json_add(error, "message", json_new_string(message, strlen(message)));
    json_add(error, "field", field ? json_new_string(field, strlen(field)) : json_new_null());
    json_add(root, "error", error);
    response->status = status;
    response->content_type = "application/json";
    response->static_body = NULL;
    buf_clear(&response->body);
    json_print(root, &response->body);
    json_release(root);
}

const char *server_error_code(enum error_code code, int *status_out) {
    static const struct {
        int status;
        const char *code;
    } answers[] = {
        [ERROR_NONE] = {500, "internal"},
        [ERROR_INVALID] = {400, "invalid"},
        [ERROR_NOT_FOUND] = {404, "not_found"},
        [ERROR_CORRUPT] = {500, "corrupt"},
        [ERROR_IO] = {500, "io"},
        [ERROR_UNSUPPORTED] = {422, "unsupported"},
        [ERROR_LIMIT] = {413, "limit"},
        [ERROR_BUSY] = {503, "busy"},
        [ERROR_STOPPED] = {503, "stopped"},
    };
    size_t known = (size_t)code < sizeof answers / sizeof *answers ? code : ERROR_NONE;
    *status_out = answers[known].status;
    return answers[known].code;
}

void server_response_failure(struct server_response *response, const struct error *err) {
    int status;
    const char *code = server_error_code(err->code, &status);
    server_response_error(response, status, code, NULL, "%s", err->message);
    if (err->code == ERROR_BUSY)
        server_response_header(response, "Retry-After", RESPONSE_RETRY_AFTER_S);
}

/* ---- bytes ---- */

static const char *status_text(int status) {
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status"; /* the text means nothing to a client; the line must have one */
    }
}

static void append_header(struct buf *out, const char *name, const char *value) {
    buf_text(out, name);
    buf_append(out, ": ", 2);
    buf_text(out, value);
    buf_append(out, "\r\n", 2);
}

static bool has_body(int status) {
    return status != 204 && status != 304;
}

const char *response_body(const struct server_response *response, size_t *len_out) {
    if (!has_body(response->status)) {
        *len_out = 0;
        return "";
    }
    *len_out = response->static_body ? response->static_len : response->body.len;
    return response->static_body ? response->static_body : response->body.data;
}

void response_write_head(const struct server_response *response, const struct response_head *head,
                         struct buf *out) {
    size_t body_len;
    response_body(response, &body_len);
    buf_format(out, "HTTP/1.1 %d %s\r\n", response->status, status_text(response->status));
    append_header(out, "Date", head->date);
    if (has_body(response->status)) {
        if (response->content_type)
            append_header(out, "Content-Type", response->content_type);
        if (!head->in_parts)
            buf_format(out, "Content-Length: %zu\r\n", body_len);
        else if (!head->version_1_0)
            append_header(out, "Transfer-Encoding", "chunked");
    }
    append_header(out, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < response->stages_n; i++)
        buf_format(out, "%s%s;dur=%.3f%s", i ? ", " : "Server-Timing: ", response->stages[i].name,
                   response->stages[i].ms, i + 1 == response->stages_n ? "\r\n" : "");
    for (size_t i = 0; i < response->headers_n; i++)
        append_header(out, response->headers[i].name, response->headers[i].value);
    if (!head->keep_alive)
        append_header(out, "Connection", "close");
    else if (head->version_1_0)
        append_header(out, "Connection", "keep-alive");
    buf_append(out, "\r\n", 2);
}
