/* loop.h - inside the server: what the loop thread owns. The one home of uv.h.
 *
 * Three objects. The `server` is one event loop. A `connection` is a client's socket and where it
 * stands. An `exchange` is one request and its answer; it is taken when a request's first byte
 * comes and given back when the answer is written, so an idle connection costs about a kilobyte.
 * An exchange can outlive its connection: while a lane has it, the handler still reads from it.
 *
 *   IDLE -> HEAD -> BODY -> WORK -> WRITE -> IDLE       the way of a request
 *     BODY -> LINES -> WORK -> BODY -> ..               its body in pieces
 *           any of them -> WRITE -> DRAIN -> CLOSED     a refusal in the middle of one
 *
 * Threads: everything belongs to the loop thread except: `done` (its lock), `stops` (atomic), and
 * an exchange between lane_push and its return through `done`, which is the lane's, save for its
 * `connection` (the loop's always) and `cancelled` (atomic). */
#ifndef TERCET_QUERY_SERVER_LOOP_H
#define TERCET_QUERY_SERVER_LOOP_H

#include <pthread.h>
#include <uv.h>

#include "query/server/content.h"
#include "query/server/http.h"
#include "query/server/lane.h"
#include "query/server/response.h"
#include "query/server/router.h"
#include "query/server/tls.h"

enum connection_state {
    CONNECTION_IDLE,   /* between requests */
    CONNECTION_HEAD,   /* a request has begun */
    CONNECTION_BODY,   /* its head is there */
    CONNECTION_LINES,  /* a piece of its body is there, and may yet grow */
    CONNECTION_STALL,  /* a piece waits for room in its lane; bytes that come are kept for later */
    CONNECTION_WORK,   /* its handler has it; bytes that come are kept for later */
    CONNECTION_WRITE,  /* the answer did not fit into the socket at once */
    CONNECTION_DRAIN,  /* answered and shut down, but the client was still sending */
    CONNECTION_CLOSED, /* waits for libuv to let go of it */
    CONNECTION_STATES_N,
};

union socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe; /* a Unix socket */
};

struct listener {
    union socket socket; /* data: this listener */
    struct server *server;
    bool lines;   /* a search a line instead of HTTP */
    bool is_unix; /* else TCP */
    char address[80];
};

enum { LISTENERS_MAX = 3 };

struct connection {
    union socket socket;     /* data: this connection */
    struct tls_session *tls; /* NULL: plain */
    uv_shutdown_t shutdown;
    struct server *server;
    struct connection *previous, *next; /* in the list of its state */
    enum connection_state state;
    uint64_t deadline_ms;       /* loop time; by it the state must have been left */
    struct http_parser *parser; /* NULL: lines */
    char *key;                  /* of lines: what the first one gave; or NULL */
    bool greeted;               /* of lines: the first one has come */
    struct exchange *exchange;  /* NULL in IDLE, DRAIN and CLOSED */
    struct buf pending;         /* read while a request was in work */
    size_t write_queued;        /* bytes the client had not taken when it was last looked at */
    size_t drained;             /* bytes thrown away in DRAIN */
    bool reading, eof;
    char peer[64];
};

/* Connections in one state all have the same time to leave it, so a list in order of entering is a
 * list in order of deadlines: entering, leaving and finding the expired ones is O(1). */
struct wait_list {
    struct connection *first, *last;
    uint32_t timeout_ms; /* 0: none */
};

/* An answer that its handler sends bit by bit (server_response_flush). */
struct parts {
    struct buf bytes;            /* flushed, not yet taken by the loop; under done_lock */
    struct exchange *next;       /* in server->parting; under done_lock */
    bool listed;                 /* it is in there; under done_lock */
    struct server_response head; /* as it was at the first flush, which fixed it */
    bool flushed;                /* once; its handler's thread, later the loop's */
    bool begun;                  /* the loop's: the head is sent */
    size_t sent;                 /* the loop's: bytes of the body */
};

struct exchange {
    struct lane_job job; /* first: a lane hands back a pointer to it */
    struct server *server;
    struct connection *connection; /* NULL once the client is gone */
    struct exchange *next;         /* in the free list or in `done` */
    struct http_message message;
    struct router_match match;
    struct server_request request;
    struct server_response response;
    struct arena arena;
    struct parts parts;
    struct buf head_out;
    struct buf spare;              /* a body before it was packed */
    enum content_coding coding;    /* of the request's body */
    struct content_unpack *unpack; /* where it is packed, from its first piece on */
    struct buf unpacked;           /* what came out and is not used up */
    struct buf sealed;             /* head and body encrypted; empty on plain connections */
    uv_write_t write;
    atomic_bool cancelled;
    bool in_lane, writing;
    bool complete;   /* the request came whole */
    bool keep_alive; /* the connection stays after this answer */
    bool in_pieces;  /* its body is handed over as it comes */
    struct server_stream stream;
    size_t body_kept;    /* of the body: what a handler left over */
    size_t body_counted; /* its part of server->bodies_bytes */
    double begun_ms, queued_ms, started_ms, ended_ms;
    double queue_ms, handler_ms; /* of pieces before */
};

struct server {
    struct server_options options;
    struct http_limits limits;
    struct router *router;
    struct tls *tls;                    /* for connections to come; NULL: plain HTTP */
    struct lane *lanes[SERVER_LANES_N]; /* none for SERVER_LANE_LOOP */

    uv_loop_t loop;
    struct listener listeners[LISTENERS_MAX]; /* [listeners_n] the first one is HTTP's */
    size_t listeners_n;
    bool unix_bound; /* the file of options.lines_unix is ours */
    uv_timer_t tick;
    uv_async_t done_async, stop_async;
    uv_signal_t signals[3]; /* SIGTERM, SIGINT, SIGHUP */
    bool handles_open, signals_open;

    struct wait_list waits[CONNECTION_STATES_N];
    size_t connections_n; /* until their sockets are released */
    size_t jobs_n;        /* exchanges in lanes or in `done` */
    size_t bodies_bytes;
    struct exchange *free_exchanges;
    size_t free_exchanges_n;

    pthread_mutex_t done_lock;
    struct exchange *done;    /* answered by lanes, newest first */
    struct exchange *parting; /* with parts to send, newest first */

    atomic_int stops; /* server_stop calls */
    int stops_seen;
    bool stopping, hard;
    uint64_t stop_deadline_ms;

    char date[32];
    char read_bytes[64 * 1024]; /* every read lands here and is used up before the next */
};

/* loop.c: ends the loop when a stop has nothing more to wait for */
void server_finish_if_idle(struct server *server);

/* listen.c */
bool listen_check(const struct server_options *options, struct error *err);
bool listen_open(struct server *server, struct error *err);
void listen_close(struct server *server);
void listen_name_peer(struct connection *connection);

/* lines.c: a whole line is in the exchange's body. What is it? */
enum line_kind {
    LINE_BLANK,
    LINE_KEY,     /* {"key":".."}, taken note of */
    LINE_REQUEST, /* the exchange's request is filled for options.lines */
    LINE_FOREIGN, /* the first one is no JSON object: HTTP on the wrong port */
};
enum line_kind line_read(struct connection *connection);

/* connection.c: loop thread only */
void connection_accept(struct listener *listener);
void connection_close(struct connection *connection);
void connection_expire(struct connection *connection);
/* A body in pieces may never end: a stop ends it between two of them. */
void connection_stop_stream(struct connection *connection);
void connection_work_done(struct exchange *exchange); /* back from its lane */

/* exchange.c */
struct exchange *exchange_take(struct server *server, struct connection *connection);
void exchange_give_back(struct exchange *exchange);
/* Fills request and match from the complete head. */
void exchange_read_head(struct exchange *exchange);
/* Calls the handler; on the lane's thread or, for SERVER_LANE_LOOP, on the loop's. */
void exchange_run(struct exchange *exchange, size_t worker);
/* Takes what may be prepared together with `first` out of its lane and prepares it.
 * out: [SERVER_TOGETHER_MAX], `first` in front; each is to be run then. Returns how many. */
size_t exchange_gather(struct exchange *first, size_t worker, struct exchange **out);
/* Whether its body is to be handed over as it comes; it has a route. */
bool exchange_wants_pieces(const struct exchange *exchange);
/* Between two pieces: drops what the handler is done with. */
void exchange_next_piece(struct exchange *exchange);
/* Counts what came of the body; false when all bodies together are too much. */
bool exchange_count_body(struct exchange *exchange);
void exchange_log(const struct exchange *exchange);
void exchange_pool_done(struct server *server);

/* parts.c: loop thread only */
void parts_send_all(struct exchange *newest);
/* The rest of the body and its end, as what is still to be written, into head_out. */
void parts_end(struct exchange *exchange);
void parts_reset(struct exchange *exchange);

/* wire.c: plain bytes, or TLS around them */
bool wire_open(struct connection *connection);
void wire_close(struct connection *connection);
/* What came from the socket, as plain bytes to `use`, which may close the connection. */
enum wire_event {
    WIRE_OPEN,
    WIRE_END, /* the client said that it sends no more */
    WIRE_BAD, /* no TLS; to be closed */
};
typedef void wire_use(struct connection *connection, const char *bytes, size_t len);
enum wire_event wire_receive(struct connection *connection, const char *bytes, size_t len,
                             wire_use *use);
/* Turns plain bytes into what goes to the socket, in `sealed` where it is encrypted; last: nothing
 * will follow. Returns how many of the bufs are to be written. */
size_t wire_seal(struct connection *connection, uv_buf_t bufs[2], bool last, struct buf *sealed);
/* Writes in the background, behind what is being written; the bytes become the wire's. A broken
 * socket is noticed by reading. */
void wire_send(struct connection *connection, struct buf *bytes);

#endif
