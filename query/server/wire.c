/* Between a connection and its socket: plain bytes, or TLS around them. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "query/server/loop.h"

/* Decrypted at once: a TLS record holds at most so much. */
enum { PLAIN_BYTES = 16 * 1024 };

bool wire_open(struct connection *connection) {
    struct tls *tls = connection->server->tls;
    if (!tls)
        return true;
    connection->tls = tls_session_open(tls);
    return connection->tls != NULL;
}

void wire_close(struct connection *connection) {
    tls_session_close(connection->tls);
    connection->tls = NULL;
}

/* Bytes that nobody's answer owns: a handshake's, a part's. */
struct loose_write {
    uv_write_t write;
    struct buf bytes;
};

static void on_loose_written(uv_write_t *write, int status) {
    struct loose_write *loose = write->data;
    (void)status; /* a broken socket is noticed by reading */
    buf_done(&loose->bytes);
    free(loose);
}

static void write_loose(struct connection *connection, struct buf bytes) {
    if (bytes.len == 0) {
        buf_done(&bytes);
        return;
    }
    struct loose_write *loose = mem_zalloc(1, sizeof *loose);
    loose->bytes = bytes;
    loose->write.data = loose;
    uv_buf_t buf = uv_buf_init(bytes.data, (unsigned)bytes.len);
    if (uv_write(&loose->write, &connection->socket.stream, &buf, 1, on_loose_written) != 0)
        on_loose_written(&loose->write, 0);
}

static void flush(struct connection *connection) {
    struct buf bytes = {0};
    tls_session_take(connection->tls, &bytes);
    write_loose(connection, bytes);
}

void wire_send(struct connection *connection, struct buf *bytes) {
    if (connection->tls) {
        tls_session_write(connection->tls, bytes->data, bytes->len);
        buf_done(bytes);
        flush(connection);
    } else {
        write_loose(connection, *bytes);
        *bytes = (struct buf){0};
    }
}

enum wire_event wire_receive(struct connection *connection, const char *bytes, size_t len,
                             wire_use *use) {
    char plain[PLAIN_BYTES];
    size_t plain_len;
    enum tls_event event;
    if (!connection->tls) {
        use(connection, bytes, len);
        return WIRE_OPEN;
    }
    tls_session_receive(connection->tls, bytes, len);
    while ((event = tls_session_read(connection->tls, plain, sizeof plain, &plain_len)) ==
           TLS_DATA) {
        use(connection, plain, plain_len);
        if (connection->state == CONNECTION_CLOSED)
            return WIRE_OPEN;
    }
    flush(connection);
    return event == TLS_MORE ? WIRE_OPEN : event == TLS_END ? WIRE_END : WIRE_BAD;
}

size_t wire_seal(struct connection *connection, uv_buf_t bufs[2], bool last, struct buf *sealed) {
    if (!connection->tls)
        return bufs[1].len ? 2 : 1;
    for (size_t i = 0; i < 2; i++)
        tls_session_write(connection->tls, bufs[i].base, bufs[i].len);
    if (last)
        tls_session_end(connection->tls);
    buf_clear(sealed);
    tls_session_take(connection->tls, sealed);
    bufs[0] = uv_buf_init(sealed->data, (unsigned)sealed->len);
    bufs[1] = uv_buf_init(NULL, 0);
    return 1;
}
