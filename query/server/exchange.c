#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "query/server/content.h"
#include "query/server/loop.h"

enum {
    /* Exchanges kept for the next requests: more than run at once in an ordinary hour. */
    FREE_MAX = 32,
    /* One that held a body larger than this gives its memory back first; and what its handler
     * needed beyond the second. A search and its answer stay below both, so 32 rest on some 20 MB
     * however large a request once was. */
    KEEP_BYTES_MAX = 128 << 10,
    KEEP_ARENA_BYTES_MAX = 1 << 20,
};

struct exchange *exchange_take(struct server *server, struct connection *connection) {
    struct exchange *exchange = server->free_exchanges;
    if (exchange) {
        server->free_exchanges = exchange->next;
        server->free_exchanges_n--;
    } else {
        exchange = mem_zalloc(1, sizeof *exchange);
        exchange->server = server;
    }
    exchange->next = NULL;
    exchange->connection = connection;
    exchange->begun_ms = clock_now_ms();
    exchange->queued_ms = exchange->started_ms = exchange->ended_ms = 0;
    exchange->queue_ms = exchange->handler_ms = 0;
    exchange->keep_alive = exchange->complete = exchange->in_pieces = false;
    exchange->stream = (struct server_stream){0};
    exchange->body_kept = 0;
    exchange->coding = CONTENT_PLAIN;
    atomic_store(&exchange->cancelled, false);
    exchange->match = (struct router_match){0};
    exchange->request = (struct server_request){
        .path = "",
        .query = "",
        .body = "",
        .arena = &exchange->arena,
        .cancelled = &exchange->cancelled,
    };
    response_init(&exchange->response, &exchange->arena);
    exchange->response.sender = exchange;
    parts_reset(exchange);
    return exchange;
}

static void release(struct exchange *exchange) {
    http_message_done(&exchange->message);
    buf_done(&exchange->response.body);
    buf_done(&exchange->parts.bytes);
    buf_done(&exchange->head_out);
    buf_done(&exchange->spare);
    buf_done(&exchange->unpacked);
    buf_done(&exchange->sealed);
    arena_done(&exchange->arena);
}

void exchange_give_back(struct exchange *exchange) {
    struct server *server = exchange->server;
    if (exchange->stream.state)
        exchange->stream.close(exchange->stream.state);
    exchange->stream.state = NULL;
    content_unpack_close(exchange->unpack);
    exchange->unpack = NULL;
    buf_clear(&exchange->unpacked);
    server->bodies_bytes -= exchange->body_counted;
    exchange->body_counted = 0;
    if (server->free_exchanges_n == FREE_MAX) {
        release(exchange);
        free(exchange);
        return;
    }
    if (exchange->message.body.cap > KEEP_BYTES_MAX ||
        exchange->response.body.cap > KEEP_BYTES_MAX || exchange->unpacked.cap > KEEP_BYTES_MAX ||
        exchange->spare.cap > KEEP_BYTES_MAX || exchange->sealed.cap > KEEP_BYTES_MAX)
        release(exchange);
    arena_trim(&exchange->arena, KEEP_ARENA_BYTES_MAX);
    buf_clear(&exchange->head_out);
    exchange->connection = NULL;
    exchange->next = server->free_exchanges;
    server->free_exchanges = exchange;
    server->free_exchanges_n++;
}

void exchange_pool_done(struct server *server) {
    while (server->free_exchanges) {
        struct exchange *exchange = server->free_exchanges;
        server->free_exchanges = exchange->next;
        release(exchange);
        free(exchange);
    }
}

void exchange_read_head(struct exchange *exchange) {
    struct http_message *message = &exchange->message;
    struct server_request *request = &exchange->request;
    struct server_pair *headers =
        ARENA_NEW(&exchange->arena, struct server_pair, message->headers_n + 1);
    for (size_t i = 0; i < message->headers_n; i++) {
        headers[i].name = message->head.data + message->headers[i].name;
        headers[i].value = message->head.data + message->headers[i].value;
    }
    router_match(exchange->server->router, message->method, message->head.data, message->target_len,
                 &exchange->arena, &exchange->match);
    request->method = message->method;
    request->path = exchange->match.path;
    request->query = exchange->match.query;
    request->params = exchange->match.params;
    request->params_n = exchange->match.params_n;
    request->headers = headers;
    request->headers_n = message->headers_n;
    request->peer = exchange->connection->peer;
}

/* ---- packed bodies ---- */

static void refuse_packed(struct exchange *exchange, int status, const char *code,
                          const char *message) {
    server_response_error(&exchange->response, status, code, NULL, "%s", message);
}

/* Appends up to `max` bytes of what is packed to `unpacked`. False: refused. */
static bool unpack_some(struct exchange *exchange, size_t *at, size_t max) {
    const struct buf *packed = &exchange->message.body;
    size_t used;
    if (!exchange->unpack)
        exchange->unpack = content_unpack_open(exchange->coding);
    if (!exchange->unpack ||
        !content_unpack_some(exchange->unpack, packed->data + *at, packed->len - *at, max, &used,
                             &exchange->unpacked)) {
        refuse_packed(exchange, 400, "broken_body",
                      "the body is not what its Content-Encoding says");
        return false;
    }
    *at += used;
    return true;
}

static bool check_end(struct exchange *exchange) {
    if (!content_unpack_is_end(exchange->unpack))
        refuse_packed(exchange, 400, "broken_body", "the packed body ends too early");
    return content_unpack_is_end(exchange->unpack);
}

static void call_unpacked(struct exchange *exchange, size_t worker) {
    const struct server_route *route = exchange->match.route;
    exchange->request.body = exchange->unpacked.len ? exchange->unpacked.data : "";
    exchange->request.body_len = exchange->unpacked.len;
    route->handler(route->context, worker, &exchange->request, &exchange->response);
}

/* A piece may hold a thousand times its size: it is unpacked and handed over bite by bite. */
static void run_packed_piece(struct exchange *exchange, size_t worker) {
    struct server_stream *stream = &exchange->stream;
    struct buf *unpacked = &exchange->unpacked;
    size_t at = 0, body_max = exchange->server->options.body_bytes_max;
    bool is_last = stream->is_last;
    for (bool more = true;
         more && exchange->response.status == 200 && !atomic_load(&exchange->cancelled);) {
        size_t before = unpacked->len;
        if (!unpack_some(exchange, &at, SERVER_PIECE_BYTES))
            break;
        more = unpacked->len - before == SERVER_PIECE_BYTES;
        stream->is_last = is_last && !more;
        stream->used = unpacked->len;
        if (stream->is_last && !check_end(exchange))
            break;
        call_unpacked(exchange, worker);
        size_t used = stream->used < unpacked->len ? stream->used : unpacked->len;
        memmove(unpacked->data, unpacked->data + used, unpacked->len - used);
        unpacked->len -= used;
        stream->calls_n += more;
        if (unpacked->len > body_max)
            refuse_packed(exchange, 413, "body_too_large",
                          "a line of the body, or an array, is too large");
    }
    stream->is_last = is_last;
    stream->used = exchange->message.body.len;
}

static void run_packed(struct exchange *exchange, size_t worker) {
    size_t at = 0, body_max = exchange->server->options.body_bytes_max;
    if (exchange->request.stream)
        run_packed_piece(exchange, worker);
    else if (!unpack_some(exchange, &at, body_max + 1))
        return;
    else if (exchange->unpacked.len > body_max)
        refuse_packed(exchange, 413, "body_too_large", "the request's body is too large");
    else if (check_end(exchange))
        call_unpacked(exchange, worker);
}

void exchange_run(struct exchange *exchange, size_t worker) {
    const struct server_route *route = exchange->match.route;
    if (exchange->started_ms == 0) /* else it was prepared with others */
        exchange->started_ms = clock_now_ms();
    /* A write was sent whole, so it is carried out even when its sender does not wait; what was
     * prepared is for its handler to release. */
    bool may_end = route->lane == SERVER_LANE_WORKERS || route->lane == SERVER_LANE_REMOTE ||
                   exchange->request.stream;
    bool in_vain = may_end && !exchange->request.prepared && atomic_load(&exchange->cancelled);
    if (!in_vain && exchange->coding != CONTENT_PLAIN)
        run_packed(exchange, worker);
    else if (!in_vain)
        route->handler(route->context, worker, &exchange->request, &exchange->response);
    if (!in_vain && !exchange->parts.flushed)
        content_tag(&exchange->request, &exchange->response);
    if (!in_vain && route->lane != SERVER_LANE_LOOP && !exchange->parts.flushed &&
        exchange->response.status != 304)
        content_pack(&exchange->request, &exchange->response, &exchange->spare);
    exchange->ended_ms = clock_now_ms();
}

static const struct server_together *together_of(const struct exchange *exchange) {
    const struct server_options *options = &exchange->server->options;
    const struct server_route *route = exchange->match.route;
    for (size_t i = 0; i < options->together_n && route->lane == SERVER_LANE_WORKERS; i++)
        if (options->together[i].handler == route->handler)
            return &options->together[i];
    return NULL;
}

static bool may_be_together(const struct exchange *exchange) {
    return together_of(exchange) && exchange->coding == CONTENT_PLAIN &&
           exchange->request.body_len <= SERVER_TOGETHER_BYTES_MAX &&
           !atomic_load(&exchange->cancelled);
}

static bool is_alike(const struct lane_job *first, const struct lane_job *other) {
    const struct exchange *a = (const struct exchange *)first;
    const struct exchange *b = (const struct exchange *)other;
    return a->match.route == b->match.route && may_be_together(b);
}

size_t exchange_gather(struct exchange *first, size_t worker, struct exchange **out) {
    const struct server_route *route = first->match.route;
    struct lane_job *jobs[SERVER_TOGETHER_MAX];
    struct server_request *requests[SERVER_TOGETHER_MAX];
    size_t n = 1;
    out[0] = first;
    if (!may_be_together(first))
        return n;
    n += lane_take_alike(first->server->lanes[route->lane], &first->job, is_alike,
                         SERVER_TOGETHER_MAX - 1, jobs);
    if (n == 1)
        return n;
    double now_ms = clock_now_ms();
    for (size_t i = 0; i < n; i++) {
        if (i)
            out[i] = (struct exchange *)jobs[i - 1];
        out[i]->started_ms = now_ms;
        requests[i] = &out[i]->request;
    }
    together_of(first)->prepare(route->context, worker, requests, n);
    return n;
}

bool exchange_wants_pieces(const struct exchange *exchange) {
    const struct server_options *options = &exchange->server->options;
    for (size_t i = 0; i < options->pieces_n; i++)
        if (options->pieces[i].handler == exchange->match.route->handler)
            return options->pieces[i].wanted(&exchange->request);
    return false;
}

void exchange_next_piece(struct exchange *exchange) {
    struct server_stream *stream = &exchange->stream;
    struct buf *body = &exchange->message.body;
    size_t used = stream->used < body->len ? stream->used : body->len;
    exchange->body_kept = body->len - used;
    if (used) {
        memmove(body->data, body->data + used, exchange->body_kept);
        body->len = exchange->body_kept;
        body->data[body->len] = '\0';
    }
    stream->calls_n++;
    exchange->queue_ms += exchange->started_ms - exchange->queued_ms;
    exchange->handler_ms += exchange->ended_ms - exchange->started_ms;
    exchange->started_ms = exchange->ended_ms = 0;
    exchange_count_body(exchange);
}

bool exchange_count_body(struct exchange *exchange) {
    struct server *server = exchange->server;
    server->bodies_bytes += exchange->message.body.len - exchange->body_counted;
    exchange->body_counted = exchange->message.body.len;
    return server->bodies_bytes <= server->options.bodies_bytes_max;
}

void exchange_log(const struct exchange *exchange) {
    const struct server_options *options = &exchange->server->options;
    if (!options->access)
        return;
    struct server_access access = {
        .peer = exchange->connection->peer,
        .method = router_method_name(exchange->message.method),
        .target = exchange->message.head.len ? exchange->message.head.data : "",
        .route = exchange->match.route ? exchange->match.route->pattern : NULL,
        .subject = exchange->response.subject,
        .stages = exchange->response.stages,
        .stages_n = exchange->response.stages_n,
        .status = exchange->response.status,
        .bytes_in = exchange->message.body_bytes,
        .total_ms = clock_now_ms() - exchange->begun_ms,
        .queue_ms = exchange->queue_ms,
        .handler_ms = exchange->handler_ms,
    };
    if (exchange->started_ms) {
        access.queue_ms += exchange->started_ms - exchange->queued_ms;
        access.handler_ms += exchange->ended_ms - exchange->started_ms;
    }
    if (exchange->parts.begun)
        access.bytes_out = exchange->parts.sent;
    else
        response_body(&exchange->response, &access.bytes_out);
    options->access(options->context, &access);
}
