/* Answers that are sent while their handler still works on them.
 *
 * A handler's thread leaves bytes with its exchange and wakes the loop; the loop puts them into
 * chunks behind one another on the socket. What the head needs is copied at the first flush, so the
 * two threads share nothing but that copy and the bytes, both under done_lock. */
#include <assert.h>

#include "query/server/content.h"
#include "query/server/loop.h"

enum {
    /* What a client may be behind its answer, beyond what the kernel holds for it. Handlers do not
     * wait for clients, so one that stops reading is given up. */
    BEHIND_BYTES_MAX = 4 << 20,
};

/* ---- the handler's thread ---- */

bool server_response_flush(struct server_response *response) {
    struct exchange *exchange = response->sender;
    if (!exchange) /* called without a server: it all comes at the end */
        return true;
    struct parts *parts = &exchange->parts;
    struct server *server = exchange->server;
    assert(exchange->match.route->lane != SERVER_LANE_LOOP);
    pthread_mutex_lock(&server->done_lock);
    if (!parts->flushed) {
        parts->head = *response;
        parts->head.body = (struct buf){0};
        parts->flushed = true;
    }
    if (!atomic_load(&exchange->cancelled))
        buf_append(&parts->bytes, response->body.data, response->body.len);
    if (!parts->listed) {
        parts->listed = true;
        parts->next = server->parting;
        server->parting = exchange;
        if (!parts->next)
            uv_async_send(&server->done_async);
    }
    pthread_mutex_unlock(&server->done_lock);
    buf_clear(&response->body);
    return !atomic_load(&exchange->cancelled);
}

/* ---- the loop ---- */

static void write_head(struct exchange *exchange, struct buf *out) {
    struct server *server = exchange->server;
    struct arena arena = {0}; /* the request's own is its handler's now */
    bool version_1_0 = exchange->message.version_1_0;
    exchange->keep_alive = exchange->keep_alive && !version_1_0 && !server->stopping;
    const struct response_head head = {server->date, version_1_0, exchange->keep_alive, true};
    exchange->parts.head.arena = &arena;
    content_allow_origin(server->options.cors_origins, &exchange->request, &exchange->parts.head);
    response_write_head(&exchange->parts.head, &head, out);
    arena_done(&arena);
    exchange->parts.begun = true;
}

static void write_part(struct exchange *exchange, const char *bytes, size_t len, struct buf *out) {
    exchange->parts.sent += len;
    if (len == 0 || exchange->message.method == SERVER_HEAD)
        return; /* an empty chunk would be the end */
    if (exchange->message.version_1_0) {
        buf_append(out, bytes, len);
        return;
    }
    buf_format(out, "%zx\r\n", len);
    buf_append(out, bytes, len);
    buf_append(out, "\r\n", 2);
}

static void send_parts(struct exchange *exchange) {
    struct connection *connection = exchange->connection;
    struct server *server = exchange->server;
    struct buf out = {0};
    pthread_mutex_lock(&server->done_lock);
    struct buf bytes = exchange->parts.bytes;
    exchange->parts.bytes = (struct buf){0};
    exchange->parts.listed = false;
    pthread_mutex_unlock(&server->done_lock);
    if (connection) {
        if (!exchange->parts.begun)
            write_head(exchange, &out);
        write_part(exchange, bytes.data, bytes.len, &out);
        wire_send(connection, &out);
        if (uv_stream_get_write_queue_size(&connection->socket.stream) > BEHIND_BYTES_MAX)
            connection_close(connection);
    }
    buf_done(&bytes);
}

/* The order between exchanges means nothing; within one, bytes are in theirs. */
void parts_send_all(struct exchange *newest) {
    while (newest) {
        struct exchange *next = newest->parts.next;
        send_parts(newest);
        newest = next;
    }
}

void parts_end(struct exchange *exchange) {
    const struct buf *rest = &exchange->response.body;
    write_part(exchange, rest->data, rest->len, &exchange->head_out);
    if (!exchange->message.version_1_0 && exchange->message.method != SERVER_HEAD)
        buf_append(&exchange->head_out, "0\r\n\r\n", 5);
}

void parts_reset(struct exchange *exchange) {
    struct buf bytes = exchange->parts.bytes;
    buf_clear(&bytes);
    exchange->parts = (struct parts){.bytes = bytes};
}
