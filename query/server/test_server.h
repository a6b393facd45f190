/* test_server.h - a real server with toy handlers in a thread, and a plain client, for tests. */
#ifndef TERCET_QUERY_SERVER_TEST_SERVER_H
#define TERCET_QUERY_SERVER_TEST_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "query/server/server.h"
#include "tests/check.h"

/* ---- the server ----
 * Handlers run on other threads, where a CHECK would race: they abort instead. */

/* Handlers of /gate and /write/gate wait until `open`, so that a test decides when they end. */
struct test_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int entered, done, cancelled;
    atomic_int running[64]; /* by worker */
};

struct test_server {
    struct server_options options;
    struct test_gate gate;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct server *server;
    int port;
    bool ok;
    struct error err;
    atomic_int logged, last_status;
};

static void test_echo(void *context, size_t worker, const struct server_request *request,
                      struct server_response *response) {
    struct test_gate *gate = context;
    if (atomic_fetch_add(&gate->running[worker], 1) != 0)
        abort(); /* two calls at once with one worker's number */
    const char *type = server_header(request, "content-type");
    buf_format(&response->body, "%s|%s|%zu|", request->path, type ? type : "", request->body_len);
    buf_append(&response->body, request->body, request->body_len);
    response->content_type = "text/plain";
    atomic_fetch_sub(&gate->running[worker], 1);
}

static void test_hello(void *context, size_t worker, const struct server_request *request,
                       struct server_response *response) {
    (void)context, (void)worker;
    const char *name = server_query(request, "name");
    response->content_type = "text/plain";
    server_response_header(response, "X-Toy", "yes");
    buf_format(&response->body, "hello %s", name ? name : "you");
}

static void test_big(void *context, size_t worker, const struct server_request *request,
                     struct server_response *response) {
    (void)context, (void)worker, (void)request;
    static const char block[1024] = "0123456789";
    for (size_t i = 0; i < 16 * 1024; i++) /* 16 MiB: more than any socket buffer */
        buf_append(&response->body, block, sizeof block);
}

static void test_fail(void *context, size_t worker, const struct server_request *request,
                      struct server_response *response) {
    (void)context, (void)worker, (void)request;
    struct error err;
    error_set(&err, ERROR_NOT_FOUND, "no \"%s\" here", server_param(request, "c"));
    server_response_failure(response, &err);
}

static void test_wait(void *context, size_t worker, const struct server_request *request,
                      struct server_response *response) {
    (void)worker;
    struct test_gate *gate = context;
    pthread_mutex_lock(&gate->lock);
    gate->entered++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open && !server_request_cancelled(request)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5 * 1000 * 1000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
    }
    gate->cancelled += server_request_cancelled(request);
    gate->done++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    buf_format(&response->body, "through");
}

/* ?n=N: "part 0\n" to "part N-1\n", each sent at once; it waits at the gate before the last; "end".
 * ?fill=1: parts of 64 KiB for as long as they are taken. */
static void test_parts(void *context, size_t worker, const struct server_request *request,
                       struct server_response *response) {
    static const char block[64 * 1024];
    const char *n = server_query(request, "n");
    struct server_response ignored = {.arena = request->arena};
    bool taken = true;
    response->content_type = "text/event-stream";
    server_response_header(response, "X-Toy", "yes");
    for (int i = 0; n && i < atoi(n); i++) {
        if (i + 1 == atoi(n))
            test_wait(context, worker, request, &ignored);
        buf_format(&response->body, "part %d\n", i);
        taken = server_response_flush(response);
    }
    buf_done(&ignored.body);
    if (server_query(request, "fill")) {
        while (server_response_flush(response))
            buf_append(&response->body, block, sizeof block);
        test_wait(context, worker, request, &ignored); /* counts the cancelled */
        buf_done(&ignored.body);
    }
    server_response_header(response, "X-Late", "never seen");
    buf_text(&response->body, taken ? "end" : "");
}

/* Answers how many were prepared together with it. */
static void test_count(void *context, size_t worker, const struct server_request *request,
                       struct server_response *response) {
    (void)context, (void)worker;
    buf_format(&response->body, "%s of %s", server_param(request, "c"),
               request->prepared ? (const char *)request->prepared : "1");
}

static void test_prepare(void *context, size_t worker, struct server_request *const *requests,
                         size_t n) {
    (void)context, (void)worker;
    for (size_t i = 0; i < n; i++)
        requests[i]->prepared = arena_format(requests[i]->arena, "%zu", n);
}

/* Adds up pieces: whole lines only, what is left over comes again. "stop" in one ends it. */
struct test_sums {
    size_t lines_n, bytes, calls_n, largest;
};

static atomic_int test_sums_open; /* states that were not closed */

static void test_sums_close(void *state) {
    atomic_fetch_sub(&test_sums_open, 1);
    free(state);
}

static void test_sum(void *context, size_t worker, const struct server_request *request,
                     struct server_response *response) {
    (void)context, (void)worker;
    struct server_stream *stream = request->stream;
    if (!stream) {
        buf_format(&response->body, "whole %zu", request->body_len);
        return;
    }
    if (!stream->state) {
        stream->state = calloc(1, sizeof(struct test_sums));
        stream->close = test_sums_close;
        atomic_fetch_add(&test_sums_open, 1);
    }
    struct test_sums *sums = stream->state;
    const char *end = memrchr(request->body, '\n', request->body_len);
    if (stream->calls_n != sums->calls_n++)
        abort();
    stream->used = stream->is_last ? request->body_len
                   : end           ? (size_t)(end - request->body) + 1
                                   : 0;
    for (size_t i = 0; i < stream->used; i++)
        sums->lines_n += request->body[i] == '\n';
    sums->bytes += stream->used;
    if (request->body_len > sums->largest)
        sums->largest = request->body_len;
    if (strstr(request->body, "stop"))
        server_response_error(response, 400, "stop", NULL, "after %zu lines", sums->lines_n);
    else if (stream->is_last)
        buf_format(&response->body, "%zu lines, %zu bytes, largest %zu", sums->lines_n, sums->bytes,
                   sums->largest);
}

static bool test_sum_wanted(const struct server_request *request) {
    return server_header(request, "transfer-encoding") || server_header(request, "x-pieces");
}

static void test_listening(void *context, struct server *server, const char *address) {
    struct test_server *test = context;
    pthread_mutex_lock(&test->lock);
    test->server = server;
    test->port = atoi(strrchr(address, ':') + 1);
    pthread_cond_signal(&test->ready);
    pthread_mutex_unlock(&test->lock);
}

static void test_access(void *context, const struct server_access *access) {
    struct test_server *test = context;
    atomic_fetch_add(&test->logged, 1);
    atomic_store(&test->last_status, access->status);
    if (access->total_ms < 0 || access->queue_ms < 0 || access->handler_ms < 0 || !access->target)
        abort();
}

static void *test_server_main(void *argument) {
    struct test_server *test = argument;
    void *gate = &test->gate;
    const struct server_route routes[] = {
        {SERVER_GET, "/hello", test_hello, NULL, SERVER_LANE_LOOP},
        {SERVER_POST, "/echo", test_echo, gate, SERVER_LANE_WORKERS},
        {SERVER_POST, "/echo/{c}", test_echo, gate, SERVER_LANE_WORKERS},
        {SERVER_GET, "/fail/{c}", test_fail, NULL, SERVER_LANE_WORKERS},
        {SERVER_GET, "/big", test_big, NULL, SERVER_LANE_WORKERS},
        {SERVER_POST, "/count/{c}", test_count, NULL, SERVER_LANE_WORKERS},
        {SERVER_GET, "/gate", test_wait, gate, SERVER_LANE_WORKERS},
        {SERVER_POST, "/sum", test_sum, NULL, SERVER_LANE_WRITER},
        {SERVER_POST, "/write/gate", test_wait, gate, SERVER_LANE_WRITER},
        {SERVER_GET, "/parts", test_parts, gate, SERVER_LANE_REMOTE},
        {SERVER_GET, "/parts/gate", test_wait, gate, SERVER_LANE_REMOTE},
    };
    test->ok = server_run(&test->options, routes, sizeof routes / sizeof *routes, &test->err);
    if (!test->ok) { /* nobody else will wake the one who waits for a port */
        pthread_mutex_lock(&test->lock);
        test->port = -1;
        pthread_cond_signal(&test->ready);
        pthread_mutex_unlock(&test->lock);
    }
    return NULL;
}

/* Fill options after test_server_init, before test_server_start. */
static void test_server_init(struct test_server *test) {
    memset(test, 0, sizeof *test);
    server_options_default(&test->options);
    test->options.listen = "127.0.0.1:0";
    static const struct server_together together = {test_count, test_prepare};
    test->options.workers_n = 2;
    test->options.remote_n = 2;
    test->options.together = &together;
    test->options.together_n = 1;
    static const struct server_pieces pieces = {test_sum, test_sum_wanted};
    test->options.pieces = &pieces;
    test->options.pieces_n = 1;
    test->options.handle_signals = false;
    test->options.listening = test_listening;
    test->options.access = test_access;
    test->options.context = test;
    pthread_mutex_init(&test->lock, NULL);
    pthread_cond_init(&test->ready, NULL);
    pthread_mutex_init(&test->gate.lock, NULL);
    pthread_cond_init(&test->gate.changed, NULL);
}

static void test_server_start(struct test_server *test) {
    CHECK(pthread_create(&test->thread, NULL, test_server_main, test) == 0);
    pthread_mutex_lock(&test->lock);
    while (test->port == 0)
        pthread_cond_wait(&test->ready, &test->lock);
    pthread_mutex_unlock(&test->lock);
    if (test->port < 0)
        fprintf(stderr, "%s\n", test->err.message);
}

static void test_server_join(struct test_server *test) {
    pthread_join(test->thread, NULL);
    CHECK_OK(test->ok, test->err);
}

__attribute__((unused)) static void test_server_stop(struct test_server *test) {
    server_stop(test->server);
    test_server_join(test);
}

__attribute__((unused)) static void test_gate_open(struct test_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* Waits until n handlers have come to the gate. */
__attribute__((unused)) static void test_gate_await(struct test_gate *gate, int n) {
    pthread_mutex_lock(&gate->lock);
    while (gate->entered < n)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* ---- the client ---- */

struct client {
    int fd;
    struct buf in; /* read, not yet taken as an answer */
};

struct answer {
    int status; /* 0: the connection ended instead */
    char head[4096];
    size_t body_len;
    char body[4096]; /* its beginning */
};

static struct client client_open(const struct test_server *test) {
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)test->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(client.fd, (struct sockaddr *)&address, sizeof address) == 0);
    return client;
}

static void client_close(struct client *client) {
    close(client->fd);
    buf_done(&client->in);
}

/* Closes with a reset, as a killed program or a broken line does. */
__attribute__((unused)) static void client_reset(struct client *client) {
    struct linger linger = {1, 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client_close(client);
}

static bool client_send_bytes(struct client *client, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool client_send(struct client *client, const char *text) {
    return client_send_bytes(client, text, strlen(text));
}

/* False at the end of the connection, or when nothing comes for 10 seconds. */
static bool client_more(struct client *client) {
    struct pollfd poll_fd = {client->fd, POLLIN, 0};
    if (poll(&poll_fd, 1, 10000) <= 0)
        return false;
    buf_reserve(&client->in, 65536);
    ssize_t n = recv(client->fd, client->in.data + client->in.len, 65536, 0);
    if (n <= 0)
        return false;
    client->in.len += (size_t)n;
    client->in.data[client->in.len] = '\0';
    return true;
}

/* The next answer; head_only for answers to HEAD. */
static struct answer client_read(struct client *client, bool head_only) {
    struct answer answer = {0};
    char *end;
    while (!client->in.data || !(end = strstr(client->in.data, "\r\n\r\n")))
        if (!client_more(client))
            return answer;
    size_t head_len = (size_t)(end - client->in.data) + 4;
    snprintf(answer.head, sizeof answer.head, "%.*s", (int)head_len, client->in.data);
    const char *length = strstr(answer.head, "Content-Length: ");
    answer.body_len = length ? strtoul(length + 16, NULL, 10) : 0;
    size_t whole = head_len + (head_only ? 0 : answer.body_len);
    while (client->in.len < whole)
        if (!client_more(client))
            return (struct answer){0};
    if (!head_only)
        snprintf(answer.body, sizeof answer.body, "%.*s",
                 (int)(answer.body_len < 4000 ? answer.body_len : 4000),
                 client->in.data + head_len);
    memmove(client->in.data, client->in.data + whole, client->in.len - whole + 1);
    client->in.len -= whole;
    answer.status = atoi(answer.head + 9);
    return answer;
}

__attribute__((unused)) static struct answer client_ask(struct client *client, const char *text) {
    CHECK(client_send(client, text));
    return client_read(client, false);
}

/* One request on a connection of its own. */
__attribute__((unused)) static struct answer ask(const struct test_server *test, const char *text) {
    struct client client = client_open(test);
    client_send(&client, text); /* may fail: the server may refuse before it has read everything */
    struct answer answer = client_read(&client, false);
    client_close(&client);
    return answer;
}

/* Nothing more comes but the connection's end. */
__attribute__((unused)) static bool client_is_ended(struct client *client) {
    return client->in.len == 0 && !client_more(client);
}

#endif
