/* A connection's way through its states. What libuv calls arrives here, is turned into bytes for
 * the parser, and every function leaves the connection in exactly one state with one deadline.
 *
 * Trap: connection_close only begins to close; the memory stays until on_closed, so callers may
 * still look at connection->state after any call that may have closed it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "query/server/content.h"
#include "query/server/loop.h"

enum {
    /* Read ahead of a request in work, so that a broken connection is noticed while it runs; a
     * client that pipelines more than this waits in its socket. One read may go beyond it. */
    PENDING_BYTES_MAX = 16 * 1024,
    /* Read and thrown away after a refusal, so that the client sees the answer and not a reset. */
    DRAIN_BYTES_MAX = 64 << 20,
    /* Refused with words when there are too many connections; beyond that without. */
    OVERFLOW_CONNECTIONS_MAX = 64,
};

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* ---- states ---- */

static void unlink_connection(struct connection *connection) {
    struct wait_list *list = &connection->server->waits[connection->state];
    *(connection->previous ? &connection->previous->next : &list->first) = connection->next;
    *(connection->next ? &connection->next->previous : &list->last) = connection->previous;
}

static void link_connection(struct connection *connection, enum connection_state state) {
    struct wait_list *list = &connection->server->waits[state];
    connection->state = state;
    connection->previous = list->last;
    connection->next = NULL;
    *(list->last ? &list->last->next : &list->first) = connection;
    list->last = connection;
    connection->deadline_ms = uv_now(&connection->server->loop) + list->timeout_ms;
}

static void enter(struct connection *connection, enum connection_state state) {
    unlink_connection(connection);
    link_connection(connection, state);
}

static bool is_receiving(const struct connection *connection) {
    return connection->state <= CONNECTION_LINES;
}

static void on_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    struct server *server = connection->server;
    unlink_connection(connection);
    http_parser_close(connection->parser);
    free(connection->key);
    wire_close(connection);
    buf_done(&connection->pending);
    free(connection);
    server->connections_n--;
    server_finish_if_idle(server);
}

void connection_close(struct connection *connection) {
    if (connection->state == CONNECTION_CLOSED)
        return;
    enter(connection, CONNECTION_CLOSED);
    struct exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    if (exchange) {
        atomic_store(&exchange->cancelled, true);
        exchange->connection = NULL;
        if (!exchange->in_lane && !exchange->writing) /* else it comes back and finds nobody */
            exchange_give_back(exchange);
    }
    uv_close(&connection->socket.handle, on_closed);
}

/* ---- reading on and off ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    (void)suggested;
    struct connection *connection = handle->data;
    struct server *server = connection->server;
    *out = uv_buf_init(server->read_bytes, sizeof server->read_bytes);
}

static void set_reading(struct connection *connection, bool reading) {
    if (connection->reading == reading || connection->eof || connection->state == CONNECTION_CLOSED)
        return;
    connection->reading = reading;
    if (!reading)
        uv_read_stop(&connection->socket.stream);
    else if (uv_read_start(&connection->socket.stream, on_alloc, on_read) != 0)
        connection_close(connection);
}

/* ---- writing ---- */

/* The client may still be sending: it was refused half-way, or we stop. Closing now would answer
 * its next bytes with a reset, which can overtake the answer; so shut down our side and read on for
 * a while. */
static void drain(struct connection *connection) {
    enter(connection, CONNECTION_DRAIN);
    buf_done(&connection->pending);
    if (connection->eof ||
        uv_shutdown(&connection->shutdown, &connection->socket.stream, NULL) != 0)
        connection_close(connection);
    else
        set_reading(connection, true);
}

static void after_write(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    bool keep_alive = exchange->keep_alive;
    bool is_written = uv_stream_get_write_queue_size(&connection->socket.stream) == 0;
    bool expects_close = exchange->complete && !exchange->message.keep_alive && is_written;
    exchange_log(exchange);
    connection->exchange = NULL;
    exchange_give_back(exchange);
    if (keep_alive)
        enter(connection, CONNECTION_IDLE);
    else if (expects_close)
        connection_close(connection);
    else
        drain(connection);
}

/* Goes on where a request in work had stopped the connection. */
static void resume(struct connection *connection);

static void on_written(uv_write_t *write, int status) {
    struct exchange *exchange = write->data;
    struct connection *connection = exchange->connection;
    exchange->writing = false;
    if (!connection) {
        exchange_give_back(exchange);
    } else if (status < 0) {
        connection_close(connection);
    } else {
        after_write(connection);
        resume(connection);
    }
}

/* Writes exchange->response: at once as far as the socket takes it, the rest in the background. */
static void answer(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    struct server *server = connection->server;
    if (server->stopping)
        exchange->keep_alive = false;
    struct response_head head = {
        .date = server->date,
        .version_1_0 = exchange->message.version_1_0,
        .keep_alive = exchange->keep_alive,
    };
    size_t body_len = 0;
    const char *body = "";
    if (!connection->parser) { /* a line has no head */
        buf_append(&exchange->response.body, "\n", 1);
        body = response_body(&exchange->response, &body_len);
    } else if (exchange->parts.begun) {
        parts_end(exchange);
    } else {
        content_allow_origin(server->options.cors_origins, &exchange->request, &exchange->response);
        body = response_body(&exchange->response, &body_len);
        response_write_head(&exchange->response, &head, &exchange->head_out);
    }
    if (exchange->message.method == SERVER_HEAD)
        body_len = 0; /* but Content-Length tells what GET would bring */
    uv_buf_t bufs[2] = {
        uv_buf_init(exchange->head_out.data, (unsigned)exchange->head_out.len),
        uv_buf_init((char *)(uintptr_t)body, (unsigned)body_len),
    };
    size_t bufs_n = wire_seal(connection, bufs, !exchange->keep_alive, &exchange->sealed);
    size_t all = bufs[0].len + bufs[1].len;
    uv_stream_t *stream = &connection->socket.stream;
    int written = uv_try_write(stream, bufs, (unsigned)bufs_n);
    if (written < 0 && written != UV_EAGAIN) {
        connection_close(connection);
        return;
    }
    size_t taken = written < 0 ? 0 : (size_t)written;
    if (taken == all) {
        after_write(connection);
        return;
    }
    for (size_t i = 0; i < 2; i++) { /* what is left */
        size_t skip = taken < bufs[i].len ? taken : bufs[i].len;
        bufs[i].base += skip;
        bufs[i].len -= skip;
        taken -= skip;
    }
    enter(connection, CONNECTION_WRITE);
    exchange->write.data = exchange;
    exchange->writing = true;
    if (uv_write(&exchange->write, stream, bufs, 2, on_written) != 0) {
        exchange->writing = false;
        connection_close(connection);
        return;
    }
    connection->write_queued = uv_stream_get_write_queue_size(stream);
}

/* An error of the server's own. last: the connection cannot be used any more. */
static void refuse(struct connection *connection, int status, const char *code, const char *field,
                   const char *message, bool last) {
    struct exchange *exchange = connection->exchange;
    server_response_error(&exchange->response, status, code, field, "%s", message);
    if (status == 503)
        server_response_header(&exchange->response, "Retry-After", RESPONSE_RETRY_AFTER_S);
    if (status == 401)
        server_response_header(&exchange->response, "WWW-Authenticate", "Bearer");
    if (status == 415)
        server_response_header(&exchange->response, "Accept-Encoding", "gzip, zstd");
    if (status == 405)
        server_response_header(&exchange->response, "Allow", exchange->match.allow);
    exchange->keep_alive = !last && exchange->message.keep_alive;
    answer(connection);
}

static void refuse_match(struct connection *connection, bool last) {
    const struct router_match *match = &connection->exchange->match;
    refuse(connection, match->status, match->code, match->field, match->message, last);
}

/* ---- a request ---- */

/* A request that has a route may still have to stay out: no key, a foreign Host. */
static void admit(struct exchange *exchange) {
    const struct server_options *options = &exchange->server->options;
    struct router_match *match = &exchange->match;
    struct server_refusal refusal = {0};
    if (match->status != 200 || !options->admit ||
        options->admit(options->admit_context, match->route, &exchange->request, &refusal))
        return;
    match->status = refusal.status;
    match->code = refusal.code;
    match->message = refusal.message;
}

static void take_coding(struct exchange *exchange) {
    struct router_match *match = &exchange->match;
    const char *header = server_header(&exchange->request, "content-encoding");
    if (!exchange->message.has_body || match->route->lane == SERVER_LANE_LOOP ||
        content_coding_of_body(header, &exchange->coding))
        return;
    match->status = 415;
    match->code = "unsupported_encoding";
    match->message = "a body may be packed with gzip or zstd";
}

static void take_head(struct connection *connection) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct exchange *exchange = connection->exchange;
    exchange_read_head(exchange);
    admit(exchange);
    if (exchange->match.status == 200)
        take_coding(exchange);
    bool found = exchange->match.status == 200;
    exchange->in_pieces = exchange->message.unbounded = found && exchange_wants_pieces(exchange);
    enter(connection, CONNECTION_BODY);
    if (exchange->message.expect_continue && !found) {
        refuse_match(connection, true); /* whether the body still comes is the client's choice */
        return;
    }
    exchange->message.discard_body = !found;
    if (!exchange->message.expect_continue ||
        (exchange->message.body_too_large && !exchange->in_pieces))
        return;
    uv_buf_t bufs[2] = {uv_buf_init((char *)(uintptr_t)text, sizeof text - 1),
                        uv_buf_init(NULL, 0)};
    wire_seal(connection, bufs, false, &exchange->sealed);
    if (uv_try_write(&connection->socket.stream, bufs, 1) != (int)bufs[0].len)
        connection_close(connection); /* an empty socket takes 25 bytes, unless it is broken */
}

/* Gives what there is of the body to the handler. */
static void hand_over(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    struct server *server = connection->server;
    struct server_request *request = &exchange->request;
    struct server_stream *stream = &exchange->stream;
    exchange->keep_alive = exchange->complete && exchange->message.keep_alive;
    request->body_len = exchange->message.body.len;
    request->body = request->body_len ? exchange->message.body.data : "";
    bool is_packed = exchange->coding != CONTENT_PLAIN;
    if (exchange->in_pieces && (stream->calls_n > 0 || !exchange->complete || is_packed))
        request->stream = stream;
    stream->is_last = exchange->complete;
    stream->used = request->body_len;
    enter(connection, CONNECTION_WORK);
    exchange->queued_ms = clock_now_ms();
    enum server_lane lane = exchange->match.route->lane;
    if (lane == SERVER_LANE_LOOP) {
        assert(!request->stream);
        exchange_run(exchange, 0);
        answer(connection);
        return;
    }
    exchange->in_lane = true;
    if (lane_push(server->lanes[lane], &exchange->job)) {
        server->jobs_n++;
        return;
    }
    exchange->in_lane = false;
    if (stream->calls_n > 0) /* what is begun waits */
        enter(connection, CONNECTION_STALL);
    else
        refuse(connection, 503, "busy", NULL, "too many requests are waiting; try again soon",
               !exchange->complete);
}

/* Some of a body that is taken in pieces came. */
static void take_piece(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    const struct buf *body = &exchange->message.body;
    size_t fresh = body->len - exchange->body_kept;
    if (fresh >= SERVER_PIECE_BYTES)
        hand_over(connection);
    else if (connection->state == CONNECTION_BODY && fresh &&
             (exchange->coding != CONTENT_PLAIN ||
              memchr(body->data + exchange->body_kept, '\n', fresh)))
        enter(connection, CONNECTION_LINES);
}

/* A piece is back from its handler, and the stream goes on. */
static void await_piece(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    exchange_next_piece(exchange);
    if (connection->server->stopping)
        connection_stop_stream(connection);
    else if (exchange->body_kept > connection->server->options.body_bytes_max)
        refuse(connection, 413, "body_too_large", NULL,
               "a line of the body, or an array, is too large", true);
    else
        enter(connection, CONNECTION_BODY);
}

void connection_stop_stream(struct connection *connection) {
    if (!connection->parser)
        connection_close(connection); /* the line is not whole */
    else if (connection->exchange->stream.calls_n > 0)
        refuse(connection, 503, "stopped", NULL,
               "the server stops; what it has committed of this body stays", true);
}

static void dispatch(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    struct server *server = connection->server;
    exchange->complete = true;
    if (content_is_preflight(server->options.cors_origins, &exchange->request)) {
        content_answer_preflight(&exchange->response);
        exchange->keep_alive = exchange->message.keep_alive;
        answer(connection);
        return;
    }
    if (exchange->match.status == 204) {
        exchange->response.status = 204; /* OPTIONS: what the path takes */
        server_response_header(&exchange->response, "Allow", exchange->match.allow);
        exchange->keep_alive = exchange->message.keep_alive;
        answer(connection);
        return;
    }
    if (exchange->match.status != 200) {
        refuse_match(connection, false);
        return;
    }
    hand_over(connection);
}

void connection_work_done(struct exchange *exchange) {
    struct connection *connection = exchange->connection;
    exchange->in_lane = false;
    if (!connection) {
        exchange_give_back(exchange);
        return;
    }
    bool goes_on = exchange->request.stream && !exchange->stream.is_last;
    if (goes_on && exchange->response.status == 200)
        await_piece(connection);
    else
        answer(connection);
    resume(connection);
}

/* ---- a line ---- */

static void dispatch_line(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    exchange->complete = true;
    enum line_kind kind = line_read(connection);
    if (kind == LINE_BLANK) {
        connection->exchange = NULL;
        exchange_give_back(exchange);
        enter(connection, CONNECTION_IDLE);
        return;
    }
    if (kind == LINE_FOREIGN) {
        refuse(connection, 400, "bad_request", NULL, "here a line is a JSON object", true);
        return;
    }
    admit(exchange);
    if (exchange->match.status != 200) {
        refuse_match(connection, true);
    } else if (kind == LINE_KEY) {
        buf_text(&exchange->response.body, "{\"ok\":true}");
        exchange->keep_alive = true;
        answer(connection);
    } else {
        hand_over(connection);
    }
}

/* Takes bytes up to the line's end; returns how many. */
static size_t take_line(struct connection *connection, const char *bytes, size_t len) {
    struct exchange *exchange = connection->exchange;
    struct http_message *message = &exchange->message;
    const char *end = memchr(bytes, '\n', len);
    size_t line_len = end ? (size_t)(end - bytes) : len;
    buf_append(&message->body, bytes, line_len);
    message->body_bytes = message->body.len;
    if (message->body.len > connection->server->options.body_bytes_max)
        refuse(connection, 413, "body_too_large", NULL, "the line is too long", true);
    else if (!exchange_count_body(exchange))
        refuse(connection, 503, "busy", NULL, "too many large requests at once; try again soon",
               true);
    else if (end)
        dispatch_line(connection);
    return line_len + (end != NULL);
}

/* ---- both ---- */

static void begin(struct connection *connection) {
    struct exchange *exchange = exchange_take(connection->server, connection);
    connection->exchange = exchange;
    if (connection->parser)
        http_parser_begin(connection->parser, &exchange->message);
    else
        http_message_init(&exchange->message);
    enter(connection, connection->parser ? CONNECTION_HEAD : CONNECTION_BODY);
}

/* Gives bytes to the parser and does what it says; returns how many are used up. */
static size_t parse(struct connection *connection, const char *bytes, size_t len) {
    struct exchange *exchange = connection->exchange;
    size_t used, more;
    enum http_event event = http_parser_feed(connection->parser, bytes, len, &used);
    if (event == HTTP_EVENT_HEAD) {
        take_head(connection);
        if (connection->state != CONNECTION_BODY)
            return used;
        /* Without bytes too: the end of a request that has no body takes none. */
        event = http_parser_feed(connection->parser, bytes + used, len - used, &more);
        used += more;
    }
    if (event == HTTP_EVENT_BAD) {
        const struct http_message *message = &exchange->message;
        refuse(connection, message->status, message->code, NULL, message->reason, true);
        return len;
    }
    if (!exchange_count_body(exchange))
        refuse(connection, 503, "busy", NULL, "too many large requests at once; try again soon",
               true);
    else if (event == HTTP_EVENT_DONE)
        dispatch(connection);
    else if (exchange->in_pieces)
        take_piece(connection);
    return used;
}

static void feed(struct connection *connection, const char *bytes, size_t len) {
    while (len > 0) {
        size_t used = 0;
        switch (connection->state) {
        case CONNECTION_IDLE: begin(connection); break;
        case CONNECTION_HEAD:
        case CONNECTION_BODY:
        case CONNECTION_LINES:
            used = connection->parser ? parse(connection, bytes, len)
                                      : take_line(connection, bytes, len);
            break;
        case CONNECTION_STALL:
        case CONNECTION_WORK:
        case CONNECTION_WRITE:
            buf_append(&connection->pending, bytes, len);
            if (connection->pending.len >= PENDING_BYTES_MAX)
                set_reading(connection, false);
            return;
        case CONNECTION_DRAIN:
            connection->drained += len;
            if (connection->drained > DRAIN_BYTES_MAX)
                connection_close(connection);
            return;
        default: return;
        }
        bytes += used;
        len -= used;
    }
}

static void resume(struct connection *connection) {
    if (is_receiving(connection) && connection->pending.len) {
        struct buf pending = connection->pending;
        connection->pending = (struct buf){0};
        feed(connection, pending.data, pending.len);
        buf_done(&pending);
    }
    if (is_receiving(connection) && connection->eof)
        connection_close(connection);
    else if (connection->pending.len < PENDING_BYTES_MAX)
        set_reading(connection, true);
}

/* A client may shut down its sending side and still wait for its answer. */
static void take_end(struct connection *connection) {
    set_reading(connection, false);
    connection->eof = true;
    const struct server_route *route =
        connection->state == CONNECTION_WORK ? connection->exchange->match.route : NULL;
    if (connection->state < CONNECTION_STALL || connection->state > CONNECTION_WRITE ||
        (route && route->lane == SERVER_LANE_REMOTE))
        connection_close(connection);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct connection *connection = stream->data;
    if (n > 0) {
        enum wire_event event = wire_receive(connection, buf->base, (size_t)n, feed);
        if (event == WIRE_BAD)
            connection_close(connection);
        else if (event == WIRE_END)
            take_end(connection);
    } else if (n == UV_EOF) {
        take_end(connection);
    } else if (n < 0) {
        connection_close(connection);
    }
}

/* ---- time ---- */

void connection_expire(struct connection *connection) {
    switch (connection->state) {
    case CONNECTION_HEAD:
        if (connection->server->stopping) {
            connection_close(connection);
            break;
        }
        refuse(connection, 408, "timeout", NULL, "the request's headers took too long", true);
        break;
    case CONNECTION_BODY:
        refuse(connection, 408, "timeout", NULL, "the request's body took too long", true);
        break;
    case CONNECTION_LINES:
    case CONNECTION_STALL: hand_over(connection); break;
    case CONNECTION_WRITE: {
        size_t queued = uv_stream_get_write_queue_size(&connection->socket.stream);
        if (queued < connection->write_queued) {
            connection->write_queued = queued;
            enter(connection, CONNECTION_WRITE);
            break;
        }
        connection_close(connection);
        break;
    }
    default: connection_close(connection); break;
    }
}

/* ---- the beginning ---- */

/* More connections than connections_max: say so, in one packet, whatever it wanted to ask. */
static void turn_away(struct connection *connection) {
    struct server *server = connection->server;
    if (connection->tls || /* it could not be told before the handshake */
        server->connections_n > server->options.connections_max + OVERFLOW_CONNECTIONS_MAX) {
        connection_close(connection);
        return;
    }
    struct exchange *exchange = connection->exchange = exchange_take(server, connection);
    http_message_init(&exchange->message);
    refuse(connection, 503, "busy", NULL, "too many connections; try again soon", true);
}

void connection_accept(struct listener *listener) {
    struct server *server = listener->server;
    struct connection *connection = mem_zalloc(1, sizeof *connection);
    uv_stream_t *stream = &connection->socket.stream;
    connection->server = server;
    connection->parser = listener->lines ? NULL : http_parser_open(&server->limits);
    if (listener->is_unix)
        uv_pipe_init(&server->loop, &connection->socket.pipe, 0);
    else
        uv_tcp_init(&server->loop, &connection->socket.tcp);
    connection->socket.handle.data = connection;
    server->connections_n++;
    link_connection(connection, CONNECTION_IDLE);
    if (uv_accept(&listener->socket.stream, stream) != 0 ||
        (connection->parser && !wire_open(connection))) {
        connection_close(connection);
        return;
    }
    if (listener->is_unix) {
        snprintf(connection->peer, sizeof connection->peer, "unix");
    } else {
        uv_tcp_nodelay(&connection->socket.tcp, 1);
        listen_name_peer(connection);
    }
    if (server->connections_n > server->options.connections_max)
        turn_away(connection);
    else
        set_reading(connection, true);
}
