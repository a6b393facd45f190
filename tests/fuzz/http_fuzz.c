/* http_fuzz - whatever a client sends: requests and refusals, the same in whatever packets.
 *
 * The first byte of an input says how many bytes a packet has; the rest is what a connection
 * carries. It goes through the parser, the router and, where a body says that it is packed, through
 * the unpacker, once in packets and once whole; both must come to the same. Beside the sanitizers
 * this checks what http.h and router.h promise to handlers. Run it: docs/fuzzing.md. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "query/server/content.h"
#include "query/server/http.h"
#include "query/server/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = 2000, HEADERS_MAX = 16, BODY_MAX = 4096 };

static void handle(void *context, size_t worker, const struct server_request *request,
                   struct server_response *response) {
    (void)context, (void)worker, (void)request, (void)response;
}

static struct router *open_router(void) {
    static const struct server_route routes[] = {
        {SERVER_GET, "/", handle, NULL, SERVER_LANE_LOOP},
        {SERVER_GET, "/v1/collections", handle, NULL, SERVER_LANE_LOOP},
        {SERVER_PUT, "/v1/collections/{c}", handle, NULL, SERVER_LANE_LOOP},
        {SERVER_POST, "/v1/collections/{c}/search", handle, NULL, SERVER_LANE_LOOP},
        {SERVER_POST, "/v1/collections/{c}/documents/delete", handle, NULL, SERVER_LANE_LOOP},
        {SERVER_DELETE, "/v1/collections/{c}/documents/{id:text}", handle, NULL, SERVER_LANE_LOOP},
    };
    struct error err;
    struct router *router = router_open(routes, sizeof routes / sizeof *routes, &err);
    assert(router);
    return router;
}

static void check_text(const char *text) {
    for (; *text; text++)
        assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

/* What a handler relies on. */
static void check_match(const struct router_match *match) {
    if (match->status != 200) {
        assert(match->status == 204 || (match->code && match->message));
        assert((match->status != 204 && match->status != 405) || match->allow);
        return;
    }
    assert(match->route && match->path[0] == '/');
    check_text(match->path);
    for (size_t i = 0; i < match->params_n; i++) {
        const struct server_pair *param = &match->params[i];
        check_text(param->value);
        if (strcmp(param->name, "c") == 0)
            assert(router_name_is_valid(param->value));
        else
            assert(strlen(param->value) <= ROUTER_TEXT_BYTES_MAX);
    }
}

static void check_head(const struct http_message *message) {
    assert(message->headers_n <= HEADERS_MAX && message->head.len <= HEAD_MAX + 3 * HEADERS_MAX);
    for (size_t i = 0; i < message->headers_n; i++) {
        const char *name = message->head.data + message->headers[i].name;
        assert(name[strcspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n")] == '\0');
        const char *value = message->head.data + message->headers[i].value;
        assert(value[strcspn(value, "\r\n")] == '\0');
    }
}

static void unpack(const struct http_message *message, struct buf *log) {
    enum content_coding coding;
    const char *header = http_message_header(message, "content-encoding");
    if (!content_coding_of_body(header, &coding) || coding == CONTENT_PLAIN)
        return;
    struct content_unpack *unpack = content_unpack_open(coding);
    struct buf out = {0};
    size_t used = 0;
    bool ok = content_unpack_some(unpack, message->body.data, message->body.len, 10 * BODY_MAX,
                                  &used, &out);
    assert(out.len <= 10 * BODY_MAX && used <= message->body.len);
    buf_format(log, "%d %zu;", ok, out.len);
    content_unpack_close(unpack);
    buf_done(&out);
}

static void log_message(const struct router *router, const struct http_message *message,
                        struct buf *log) {
    struct arena arena = {0};
    struct router_match match = {0};
    router_match(router, message->method, message->head.data, message->target_len, &arena, &match);
    check_match(&match);
    buf_format(log, "%d %d %zu %zu %d;", match.status, message->method, message->headers_n,
               message->body.len, message->keep_alive);
    buf_append(log, message->body.data, message->body.len);
    unpack(message, log);
    arena_done(&arena);
}

static void run(const struct router *router, const char *bytes, size_t len, size_t packet,
                struct buf *log) {
    const struct http_limits limits = {HEAD_MAX, HEADERS_MAX, BODY_MAX};
    struct http_parser *parser = http_parser_open(&limits);
    struct http_message message = {0};
    enum http_event event = HTTP_EVENT_MORE;
    http_parser_begin(parser, &message);
    for (size_t at = 0, used; event != HTTP_EVENT_BAD;) {
        size_t feed = len - at < packet ? len - at : packet;
        bool at_head = event == HTTP_EVENT_HEAD; /* its end may need no more bytes */
        if (feed == 0 && !at_head)
            break;
        event = http_parser_feed(parser, bytes + at, feed, &used);
        assert(used <= feed);
        at += used;
        if (event == HTTP_EVENT_HEAD)
            check_head(&message);
        if (event == HTTP_EVENT_DONE) {
            assert(message.body.len <= BODY_MAX && message.body_bytes == message.body.len);
            log_message(router, &message, log);
            http_parser_begin(parser, &message);
        }
    }
    if (event == HTTP_EVENT_BAD) {
        assert(message.status >= 400 && message.code && message.reason);
        buf_text(log, "bad"); /* for which of two reasons, packets may decide */
    }
    http_message_done(&message);
    http_parser_close(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct router *router;
    struct buf whole = {0}, packets = {0};
    if (!router)
        router = open_router();
    if (size == 0)
        return 0;
    run(router, (const char *)data + 1, size - 1, size, &whole);
    run(router, (const char *)data + 1, size - 1, 1 + data[0] % 64, &packets);
    assert(whole.len == packets.len &&
           (whole.len == 0 || memcmp(whole.data, packets.data, whole.len) == 0));
    buf_done(&whole);
    buf_done(&packets);
    return 0;
}
