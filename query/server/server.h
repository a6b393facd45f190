/* server.h - an HTTP/1.1 server in front of handlers. It knows sockets, HTTP and threads; what a
 * request means is the handlers' matter.
 *
 *     struct server_options options;
 *     server_options_default(&options);
 *     struct server_route routes[] = {
 *         {SERVER_GET, "/health", health, NULL, SERVER_LANE_LOOP},
 *         {SERVER_POST, "/v1/collections/{c}/search", search, service, SERVER_LANE_WORKERS},
 *         {SERVER_POST, "/v1/collections/{c}/documents", put, service, SERVER_LANE_WRITER},
 *     };
 *     server_run(&options, routes, 3, &err);      returns when a stop is through
 *
 * Life of a request: the loop thread reads and parses it, finds its route as soon as the head is
 * there (a bad one is refused before its body is read), and with the whole body in memory puts it
 * in its lane's queue; a full queue answers 503 with Retry-After at once. A thread of the lane
 * calls the handler; the answer goes back to the loop thread, which writes it. So a slow client
 * costs a connection, never a worker. A route may take long bodies in pieces (struct
 * server_stream): its handler is called for each, and nothing waits for the next but a connection.
 * Requests of one route that wait at the same time may be prepared together (server_together);
 * none is ever made to wait for others. A connection has one request in work at a time; pipelined
 * ones wait in the socket and are answered in order.
 *
 * What the server does by itself: keep-alive, chunked and sized bodies, packed ones (gzip, zstd),
 * Expect: 100-continue, HEAD through the GET route, OPTIONS, ETag and 304 for answers to GET, 404,
 * 405 with Allow, 400, 408, 413, 414, 415, 417, 431, 503, 505. Every error
 * it makes is {"error":{"code","message","field"}}, as server_response_error writes them.
 *
 * Stopping (SIGTERM, SIGINT, server_stop): closes the listening socket and idle connections,
 * answers what is in flight (a head that is not whole within a second does not count), lets every
 * lane finish its queue, and server_run returns. After stop_ms, or on a second signal, it drops
 * what still waits in queues, marks running requests cancelled, closes every connection and returns
 * as soon as the running handlers do; a third signal then meets the system's default action.
 *
 * SIGHUP, with options.reload: reads certificate and key again, for connections to come.
 *
 * Threads: server_run keeps the calling thread (the loop thread) and starts workers_n, remote_n and
 * one for writing.
 * Handlers of SERVER_LANE_LOOP run on the loop thread and hold up everybody: microseconds only.
 * The server never prints and never exits. It raises the process's soft limit of open files as
 * far as connections_max needs and the hard limit allows. */
#ifndef TERCET_QUERY_SERVER_SERVER_H
#define TERCET_QUERY_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum server_method {
    SERVER_GET,
    SERVER_HEAD, /* handlers of SERVER_GET see it; the server leaves the body out */
    SERVER_POST,
    SERVER_PUT,
    SERVER_PATCH,
    SERVER_DELETE,
    SERVER_OPTIONS,
    SERVER_METHOD_OTHER, /* well-formed, but no route can have it */
};

enum server_lane {
    SERVER_LANE_LOOP,    /* on the loop thread; worker is 0 */
    SERVER_LANE_WORKERS, /* the pool of query workers; worker is in 0..workers_n */
    SERVER_LANE_WRITER,  /* one thread, first come first served; worker is 0 */
    SERVER_LANE_REMOTE,  /* for what waits for other machines; worker is in 0..remote_n */
    SERVER_LANES_N,
};

struct server_pair {
    const char *name, *value;
};

/* Everything in a request is borrowed and lives until the handler returns. */
struct server_request {
    enum server_method method;
    const char *path;  /* decoded, valid UTF-8 without control characters, begins with "/" */
    const char *query; /* behind the "?", as sent; "" when there is none */
    const struct server_pair *params; /* [params_n] the pattern's {..}, decoded and checked */
    size_t params_n;
    const struct server_pair *headers; /* [headers_n] names in lower case, values trimmed */
    size_t headers_n;
    const char *body; /* whole, or a piece; a NUL stands behind it; "" when empty */
    size_t body_len;
    struct server_stream *stream; /* NULL: the body is whole */
    const char *peer;             /* "127.0.0.1:50412" */
    struct arena *arena;          /* this request's own; reset when the answer is written */
    const atomic_bool *cancelled; /* see server_request_cancelled */
    void *prepared;               /* what a server_together left, in the arena; or NULL */
};

/* "" or the value of a {name} of the route's pattern; asserts that the pattern has it. */
const char *server_param(const struct server_request *request, const char *name);

/* The first header of that name (given in lower case), or NULL. */
const char *server_header(const struct server_request *request, const char *name);

/* A member of the query string, percent- and plus-decoded into the arena; NULL when absent or not
 * valid UTF-8. */
const char *server_query(const struct server_request *request, const char *name);

/* True once nobody waits for the answer (the connection broke) or a hard stop was asked for. A
 * handler that runs long looks here between its steps and returns early. A client that only shut
 * down its sending side still waits, but not on SERVER_LANE_REMOTE: there a closed connection would
 * else be noticed only by writing, which may be minutes away. */
bool server_request_cancelled(const struct server_request *request);

/* A body that came in pieces. The handler is called for each, in order, on its lane, with whatever
 * came since (struct server_request: body, and the same path, headers and arena each time). A piece
 * is handed over when SERVER_PIECE_BYTES of it are there, SERVER_PIECE_MS after a line's end came,
 * or at the body's end; no more is read from the client while a handler has one, so memory is
 * bounded by that and by what handlers leave over. A handler that answers with another status than
 * 200 before the last piece ends the stream; the last call answers otherwise. */
struct server_stream {
    size_t calls_n; /* before this one */
    bool is_last;   /* the body ends with this piece */
    /* To be set by the handler: bytes of this piece that it is done with (before the call: all).
     * The rest comes again, in front of the next piece; more than options.body_bytes_max of it is a
     * 413. */
    size_t used;
    /* The handler's own; `close` is called on the loop thread when the request is over, also when
     * its client was gone half-way. */
    void *state;
    void (*close)(void *state);
};

enum { SERVER_PIECE_BYTES = 128 * 1024, SERVER_PIECE_MS = 1000 };

/* Parts that a handler's time fell into, for logs, metrics and the Server-Timing header. */
struct server_stage {
    const char *name; /* static, letters and "_" */
    double ms;
};

enum { SERVER_STAGES_MAX = 8 };

/* Room for what handlers add; the server's own headers are not counted. */
enum { SERVER_RESPONSE_HEADERS_MAX = 16 };

/* A handler fills it; it begins as 200, application/json, no body. */
struct server_response {
    void *sender; /* the server's own; NULL where a handler is called without one */
    int status;
    const char *content_type; /* NULL: none. Lives until the answer is written: static or arena */
    struct buf body;          /* the server's from here on: append to it, never release it */
    const char *static_body;  /* instead of body: bytes that outlive the server, sent uncopied */
    size_t static_len;
    struct server_pair headers[SERVER_RESPONSE_HEADERS_MAX]; /* static or in the arena */
    size_t headers_n;
    struct server_stage stages[SERVER_STAGES_MAX];
    size_t stages_n;
    const char *subject; /* what it was about, for logs of slow requests: a query; in the arena */
    struct arena *arena; /* the request's */
};

/* For answers that come bit by bit: sends what the body holds so far, empties it, and goes on; what
 * it holds when the handler returns is sent behind. The first call sends the head, too (chunked; to
 * HTTP/1.0 until the connection's end): status, type and headers stay as they are from then on.
 * Never waits. False when nobody reads any more, or the client is too far behind: return soon.
 * Not on SERVER_LANE_LOOP. */
bool server_response_flush(struct server_response *response);

/* Adds a stage; beyond the last that has room it is left out. */
void server_response_stage(struct server_response *response, const char *name, double ms);

/* Copies both texts into the arena. The value must be visible ASCII and blanks (asserted): a line
 * end taken from input would end the header. */
void server_response_header(struct server_response *response, const char *name, const char *value);

/* {"error":{"code","message","field"}}, replacing whatever body there was. `code` is a word for
 * programs ("not_found"), the message a sentence for people, field the member or parameter that
 * is wrong, or NULL. */
void server_response_error(struct server_response *response, int status, const char *code,
                           const char *field, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same from an error value: INVALID 400, NOT_FOUND 404, LIMIT 413, UNSUPPORTED 422, BUSY 503
 * with Retry-After, STOPPED 503, the rest 500. */
void server_response_failure(struct server_response *response, const struct error *err);

/* What it makes of an error: the word for programs, and the status. */
const char *server_error_code(enum error_code code, int *status_out);

/* `worker` is the calling thread's number within the route's lane: it indexes state that the
 * lane's threads do not share. A handler must not keep anything of the request. */
typedef void server_handler(void *context, size_t worker, const struct server_request *request,
                            struct server_response *response);

/* Patterns: "/v1/collections/{c}/documents/{id:text}". Segments are literal, {name} (matches
 * [A-Za-z0-9_-]{1,64}, anything else is a 400 naming it) or {name:text} (1 to 512 bytes of decoded
 * UTF-8, "%2F" included). Where several match, the one whose literal comes first wins. */
struct server_route {
    enum server_method method; /* SERVER_GET answers HEAD as well */
    const char *pattern;
    server_handler *handler;
    void *context;
    enum server_lane lane;
};

/* For handlers that take long bodies in pieces (struct server_stream). `wanted` is asked on the
 * loop thread when a request's head is there: true, and its body may have any length. One that ends
 * within its first piece is handed over whole all the same. Not for SERVER_LANE_LOOP. */
struct server_pieces {
    server_handler *handler;
    bool (*wanted)(const struct server_request *request);
};

/* For handlers whose work is cheaper in company: when several requests of one route wait, the
 * worker that comes to them takes its share, at most SERVER_TOGETHER_MAX, and calls `prepare` once
 * with the route's context, then the handler for each. What it finds out goes to request->prepared;
 * what lies in an arena must lie in that request's own, for each is answered and reset as soon as
 * its handler returns. The handler of a request with something prepared is always called.
 * A request alone comes without. Bodies over SERVER_TOGETHER_BYTES_MAX go alone: they would make
 * the small ones wait. */
struct server_together {
    server_handler *handler;
    void (*prepare)(void *context, size_t worker, struct server_request *const *requests, size_t n);
};

enum { SERVER_TOGETHER_MAX = 16, SERVER_TOGETHER_BYTES_MAX = 16 * 1024 };

/* One line of an access log. Pointers live until the callback returns. */
struct server_access {
    const char *peer, *method, *target; /* target as sent; "" when the head was unreadable */
    const char *route;                  /* its pattern; NULL when none matched */
    const char *subject;                /* the handler's; or NULL */
    const struct server_stage *stages;  /* [stages_n] the handler's */
    size_t stages_n;
    int status;
    size_t bytes_in, bytes_out; /* bodies */
    double total_ms;            /* first byte read to last byte given to the system */
    double queue_ms, handler_ms;
};

struct server;

/* Why a request may not come in; texts static or in the request's arena. */
struct server_refusal {
    int status; /* 401 (with WWW-Authenticate: Bearer), 403, 421 */
    const char *code, *message;
};

struct server_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080", "localhost:0"; port 0: any free one */
    bool everywhere;    /* other addresses than loopback may be listened on */

    /* Beside HTTP: a JSON object a line in, one a line out, in order, over plain TCP
     * ("127.0.0.1:0") and over a Unix socket that only this user may open (a path; what a killed
     * server left there is replaced). Each line goes to `lines` as the body of a POST without
     * params and headers, for which the first line may give an API key: {"key":".."} is answered
     * {"ok":true}, and the key comes with every request as x-api-key. Answers' bodies must be one
     * line. All may be NULL. */
    const char *lines_tcp, *lines_unix;
    const struct server_route *lines; /* its pattern is for logs and for admit; borrowed */

    /* PEM files: HTTPS only, TLS 1.2 or 1.3; both or none. */
    const char *tls_certificate, *tls_key;

    /* CORS: sites whose pages may read answers: "*", or "https://a.example,http://localhost:3000".
     * NULL: only this server's own. */
    const char *cors_origins;

    /* On the loop thread, when a request's head is there and has a route: false keeps it out before
     * its body is read. NULL: everybody comes in. */
    bool (*admit)(void *context, const struct server_route *route,
                  const struct server_request *request, struct server_refusal *refusal);
    void *admit_context;
    size_t workers_n; /* query workers; 0: one for each core */
    size_t remote_n;  /* threads of SERVER_LANE_REMOTE; 0: no route may be on it */

    /* Waiting, not running, requests; one more is a 503. */
    size_t workers_queue_max, writer_queue_max, remote_queue_max;

    size_t connections_max;  /* one more gets a 503 and is closed */
    size_t head_bytes_max;   /* request line and headers (431; the target alone 414) */
    size_t headers_n_max;    /* 431 */
    size_t body_bytes_max;   /* of one request (413), unless it comes in pieces */
    size_t bodies_bytes_max; /* of all requests at hand together (503) */

    uint32_t idle_ms;  /* without a request: closed */
    uint32_t head_ms;  /* from a request's first byte to the end of its headers (408) */
    uint32_t body_ms;  /* from there to the end of its body, or of its next piece (408) */
    uint32_t write_ms; /* without the client taking a byte of its answer: closed */
    uint32_t stop_ms;  /* a graceful stop may take this long */

    const struct server_together *together; /* [together_n] borrowed; workers' handlers only */
    size_t together_n;
    const struct server_pieces *pieces; /* [pieces_n] borrowed */
    size_t pieces_n;

    bool handle_signals; /* SIGTERM and SIGINT stop; false leaves them alone, and SIGHUP */

    /* All run on the loop thread and may be NULL. `listening` comes once, when clients can
     * connect; the server pointer is good for server_stop until server_run returns. */
    void (*listening)(void *context, struct server *server, const char *address);
    void (*access)(void *context, const struct server_access *access);
    void (*stopping)(void *context); /* a graceful stop begins */
    /* After SIGHUP, which then reads certificate and key again; failed: they could not be, and the
     * old ones stay. NULL: SIGHUP is left alone. */
    void (*reload)(void *context, const struct error *failed);
    /* On the writer lane's thread, when it has had nothing to do for a moment: upkeep, a little at
     * a time. True: there is more; false: not before another request has been there. */
    bool (*idle)(void *context);
    void *context;
};

void server_options_default(struct server_options *options);

/* Serves until stopped; true after a graceful or a hard stop.
 * ERROR_INVALID: an option or a pattern; ERROR_IO: the address cannot be bound, no threads.
 * `routes` and what it points to are borrowed until it returns. */
bool server_run(const struct server_options *options, const struct server_route *routes,
                size_t routes_n, struct error *err);

/* Where lines are taken over TCP, or NULL: for the callback `listening`. */
const char *server_lines_address(const struct server *server);

/* Asks for a graceful stop; the second call for a hard one. Any thread, and signal handlers. */
void server_stop(struct server *server);

/* How full it is now. Loop thread only: handlers of SERVER_LANE_LOOP and the callbacks above. */
struct server_load {
    size_t connections_n;
    size_t waiting_n[SERVER_LANES_N]; /* requests, by lane */
    size_t jobs_n;                    /* that wait, run, or are about to be written */
};
void server_load(struct server *server, struct server_load *out);

/* Raises the process' limit of open files to what so many connections and collections need, as far
 * as it may. server_run does; who opens collections before does it before. */
void server_allow_files(const struct server_options *options);

/* What server_run looks at before it listens, without listening: options, routes, certificate. */
bool server_check(const struct server_options *options, const struct server_route *routes,
                  size_t routes_n, struct error *err);

#endif
