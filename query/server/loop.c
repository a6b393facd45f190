/* The life of a server: options, listening socket, clock, threads' answers, and the stop. */
#include "query/server/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"

enum {
    /* How long a refused client may go on sending before it is cut off. */
    DRAIN_MS = 2000,
    /* An idle connection may have a request on its way when a stop begins, and a request that has
     * begun may have a packet to go: they get this long. */
    STOP_IDLE_MS = 50,
    STOP_HEAD_MS = 1000,
    /* The clock looks for expired deadlines at least and at most this often. */
    TICK_MS_MIN = 5,
    TICK_MS_MAX = 250,
    /* Files beside the connections: a thousand collections of up to seven, models, logs. */
    FILES_SPARE = 8192,
    SIGNALS_N = 3,
};

void server_options_default(struct server_options *options) {
    *options = (struct server_options){
        .listen = "127.0.0.1:8080",
        .workers_queue_max = 1024, /* some 6 s of hybrid searches on one core */
        .writer_queue_max = 64,
        .remote_queue_max = 32, /* each waits seconds behind those before it */
        .connections_max = 10000,
        .head_bytes_max = 16 * 1024,
        .headers_n_max = 64,
        .body_bytes_max = 32 << 20,
        .bodies_bytes_max = 512 << 20,
        .idle_ms = 60 * 1000,
        .head_ms = 10 * 1000,
        .body_ms = 120 * 1000, /* 32 MiB at 2 Mbit/s */
        .write_ms = 30 * 1000,
        .stop_ms = 30 * 1000,
        .handle_signals = true,
    };
}

static bool options_check(const struct server_options *options, struct error *err) {
    const struct {
        const char *name;
        size_t value;
    } positive[] = {
        {"connections_max", options->connections_max},
        {"head_bytes_max", options->head_bytes_max},
        {"headers_n_max", options->headers_n_max},
        {"idle_ms", options->idle_ms},
        {"head_ms", options->head_ms},
        {"body_ms", options->body_ms},
        {"write_ms", options->write_ms},
        {"stop_ms", options->stop_ms},
    };
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
        if (positive[i].value == 0)
            return error_set(err, ERROR_INVALID, "%s must be more than 0", positive[i].name);
    if (!options->tls_certificate != !options->tls_key)
        return error_set(err, ERROR_INVALID, "TLS needs a certificate and its key");
    return true;
}

static bool uv_error(struct error *err, const char *what, int code) {
    return error_set(err, ERROR_IO, "%s: %s", what, uv_strerror(code));
}

void server_allow_files(const struct server_options *options) {
    size_t wanted = options->connections_max + FILES_SPARE;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit); /* when it fails, accept() will say so, one by one */
}

/* ---- answers of the lanes ---- */

/* On a lane's thread. The wake-up is sent under the lock: once the loop has taken the list, no
 * thread is still about to touch the handle, and the loop may close it. */
static void hand_back(struct server *server, struct exchange *exchange) {
    pthread_mutex_lock(&server->done_lock);
    exchange->next = server->done;
    server->done = exchange;
    if (!exchange->next)
        uv_async_send(&server->done_async);
    pthread_mutex_unlock(&server->done_lock);
}

static void run_job(void *context, size_t worker, struct lane_job *job) {
    struct server *server = context;
    struct exchange *together[SERVER_TOGETHER_MAX];
    size_t n = exchange_gather((struct exchange *)job, worker, together);
    for (size_t i = 0; i < n; i++) {
        exchange_run(together[i], worker);
        hand_back(server, together[i]);
    }
}

static bool run_idle(void *context) {
    const struct server *server = context;
    return server->options.idle(server->options.context);
}

static void on_done(uv_async_t *async) {
    struct server *server = async->data;
    pthread_mutex_lock(&server->done_lock);
    struct exchange *newest = server->done, *oldest = NULL;
    struct exchange *parting = server->parting;
    server->done = server->parting = NULL;
    pthread_mutex_unlock(&server->done_lock);
    parts_send_all(parting); /* before its end, where that has come, too */
    while (newest) {         /* turned round: first done, first answered */
        struct exchange *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct exchange *exchange = oldest;
        oldest = exchange->next;
        server->jobs_n--;
        connection_work_done(exchange);
    }
    server_finish_if_idle(server);
}

/* ---- the stop ---- */

static void close_handle(void *handle) {
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_handles(struct server *server) {
    listen_close(server);
    if (!server->handles_open)
        return;
    close_handle(&server->tick);
    close_handle(&server->done_async);
    close_handle(&server->stop_async);
    for (size_t i = 0; i < SIGNALS_N; i++)
        close_handle(&server->signals[i]);
}

void server_finish_if_idle(struct server *server) {
    if (server->stopping && server->connections_n == 0 && server->jobs_n == 0)
        close_handles(server);
}

/* At most timeout_ms more in that state, for those in it and those to come. Cutting all deadlines
 * at one value keeps the list in order. */
static void hasten(struct server *server, enum connection_state state, uint32_t timeout_ms) {
    struct wait_list *list = &server->waits[state];
    uint64_t deadline_ms = uv_now(&server->loop) + timeout_ms;
    if (list->timeout_ms > timeout_ms)
        list->timeout_ms = timeout_ms;
    for (struct connection *each = list->first; each; each = each->next)
        if (each->deadline_ms > deadline_ms)
            each->deadline_ms = deadline_ms;
}

static void stop_graceful(struct server *server) {
    server->stopping = true;
    if (server->options.stopping)
        server->options.stopping(server->options.context);
    server->stop_deadline_ms = uv_now(&server->loop) + server->options.stop_ms;
    listen_close(server);
    hasten(server, CONNECTION_IDLE, STOP_IDLE_MS);
    hasten(server, CONNECTION_HEAD, STOP_HEAD_MS);
    for (int state = CONNECTION_BODY; state <= CONNECTION_STALL; state++)
        for (struct connection *each = server->waits[state].first, *next; each; each = next) {
            next = each->next;
            connection_stop_stream(each);
        }
}

static void drop_jobs(struct server *server, struct lane *lane) {
    struct lane_job *job = lane_drop(lane);
    while (job) {
        struct exchange *exchange = (struct exchange *)job;
        job = job->next;
        exchange->in_lane = false;
        server->jobs_n--;
        if (exchange->connection)
            connection_close(exchange->connection);
        else
            exchange_give_back(exchange);
    }
}

static void stop_hard(struct server *server) {
    server->hard = true;
    for (int lane = 0; lane < SERVER_LANES_N; lane++)
        if (server->lanes[lane])
            drop_jobs(server, server->lanes[lane]);
    for (int state = 0; state < CONNECTION_CLOSED; state++)
        while (server->waits[state].first)
            connection_close(server->waits[state].first);
    if (server->options.handle_signals)
        for (size_t i = 0; i < SIGNALS_N; i++)
            uv_signal_stop(&server->signals[i]);
}

static void stop_step(struct server *server) {
    if (!server->stopping)
        stop_graceful(server);
    else if (!server->hard)
        stop_hard(server);
    server_finish_if_idle(server);
}

void server_stop(struct server *server) {
    atomic_fetch_add(&server->stops, 1);
    uv_async_send(&server->stop_async);
}

static void on_stop(uv_async_t *async) {
    struct server *server = async->data;
    for (int stops = atomic_load(&server->stops); server->stops_seen < stops; server->stops_seen++)
        stop_step(server);
}

/* ---- certificates ---- */

static bool load_tls(struct server *server, struct error *err) {
    const struct server_options *options = &server->options;
    struct tls *tls;
    if (!options->tls_certificate)
        return true;
    if (!tls_open(options->tls_certificate, options->tls_key, &tls, err))
        return false;
    tls_close(server->tls); /* connections that began with it keep it */
    server->tls = tls;
    return true;
}

static void on_signal(uv_signal_t *signal, int number) {
    struct server *server = signal->data;
    struct error err;
    if (number != SIGHUP) {
        stop_step(server);
        return;
    }
    bool loaded = load_tls(server, &err);
    if (server->options.reload)
        server->options.reload(server->options.context, loaded ? NULL : &err);
}

/* ---- the clock ---- */

static void set_date(struct server *server) {
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(server->date, sizeof server->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
}

static void on_tick(uv_timer_t *timer) {
    struct server *server = timer->data;
    uint64_t now = uv_now(&server->loop);
    set_date(server);
    for (int state = 0; state < CONNECTION_CLOSED; state++) {
        struct wait_list *list = &server->waits[state];
        if (list->timeout_ms == 0)
            continue;
        while (list->first && list->first->deadline_ms <= now)
            connection_expire(list->first);
    }
    if (server->stopping && !server->hard && now >= server->stop_deadline_ms)
        stop_step(server);
}

static uint32_t tick_ms(const struct server *server) {
    uint32_t least = server->options.stop_ms;
    for (int state = 0; state < CONNECTION_CLOSED; state++) {
        uint32_t timeout_ms = server->waits[state].timeout_ms;
        if (timeout_ms && timeout_ms < least)
            least = timeout_ms;
    }
    uint32_t tick = least / 4;
    return tick < TICK_MS_MIN ? TICK_MS_MIN : tick > TICK_MS_MAX ? TICK_MS_MAX : tick;
}

/* ---- a run ---- */

static void set_timeouts(struct server *server) {
    const struct server_options *options = &server->options;
    server->waits[CONNECTION_IDLE].timeout_ms = options->idle_ms;
    server->waits[CONNECTION_HEAD].timeout_ms = options->head_ms;
    server->waits[CONNECTION_BODY].timeout_ms = options->body_ms;
    server->waits[CONNECTION_LINES].timeout_ms = SERVER_PIECE_MS;
    server->waits[CONNECTION_STALL].timeout_ms = SERVER_PIECE_MS;
    server->waits[CONNECTION_WRITE].timeout_ms = options->write_ms;
    server->waits[CONNECTION_DRAIN].timeout_ms = DRAIN_MS;
}

static bool open_lanes(struct server *server, struct error *err) {
    const struct server_options *options = &server->options;
    const struct {
        size_t threads_n, waiting_max;
        lane_idle *idle;
    } lanes[SERVER_LANES_N] = {
        [SERVER_LANE_WORKERS] = {options->workers_n ? options->workers_n : pool_cores_n(),
                                 options->workers_queue_max, NULL},
        [SERVER_LANE_WRITER] = {1, options->writer_queue_max, options->idle ? run_idle : NULL},
        [SERVER_LANE_REMOTE] = {options->remote_n, options->remote_queue_max, NULL},
    };
    for (int i = 0; i < SERVER_LANES_N; i++) {
        if (lanes[i].threads_n == 0)
            continue;
        server->lanes[i] = lane_open(lanes[i].threads_n, lanes[i].waiting_max, run_job,
                                     lanes[i].idle, server, err);
        if (!server->lanes[i])
            return false;
    }
    return true;
}

static bool open_handles(struct server *server, struct error *err) {
    static const int numbers[SIGNALS_N] = {SIGTERM, SIGINT, SIGHUP};
    int code = uv_async_init(&server->loop, &server->done_async, on_done);
    if (code != 0)
        return uv_error(err, "cannot make a wake-up handle", code);
    uv_async_init(&server->loop, &server->stop_async, on_stop);
    uv_timer_init(&server->loop, &server->tick);
    for (size_t i = 0; i < SIGNALS_N; i++)
        uv_signal_init(&server->loop, &server->signals[i]);
    server->handles_open = true;
    server->done_async.data = server->stop_async.data = server->tick.data = server;
    uv_timer_start(&server->tick, on_tick, tick_ms(server), tick_ms(server));
    for (size_t i = 0; i < SIGNALS_N && server->options.handle_signals; i++) {
        server->signals[i].data = server;
        if (numbers[i] == SIGHUP && !server->options.reload)
            continue; /* nothing to read again: a closed terminal ends the server as ever */
        code = uv_signal_start(&server->signals[i], on_signal, numbers[i]);
        if (code != 0)
            return uv_error(err, "cannot watch signals", code);
    }
    return true;
}

/* A write to a socket that its client has closed raises SIGPIPE on the writing thread, which is
 * this one; blocked, it stays an EPIPE. One that came in the meantime is taken away at the end. */
static void block_sigpipe(sigset_t *before) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, before);
}

static void restore_sigpipe(const sigset_t *before) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    struct timespec none = {0};
    if (!sigismember(before, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &none) == SIGPIPE)
            ;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static bool run(struct server *server, struct error *err) {
    if (!load_tls(server, err) || !open_handles(server, err) || !open_lanes(server, err) ||
        !listen_open(server, err)) {
        close_handles(server);
        uv_run(&server->loop, UV_RUN_DEFAULT);
        return false;
    }
    if (server->options.listening)
        server->options.listening(server->options.context, server, server->listeners[0].address);
    uv_run(&server->loop, UV_RUN_DEFAULT); /* until server_finish_if_idle closes the handles */
    assert(server->connections_n == 0 && server->jobs_n == 0 && server->bodies_bytes == 0);
    return true;
}

void server_load(struct server *server, struct server_load *out) {
    *out = (struct server_load){.connections_n = server->connections_n, .jobs_n = server->jobs_n};
    for (int lane = 0; lane < SERVER_LANES_N; lane++)
        if (server->lanes[lane])
            out->waiting_n[lane] = lane_waiting_n(server->lanes[lane]);
}

/* The router, unless a route has no thread to run on. */
static struct router *open_router(const struct server_options *options,
                                  const struct server_route *routes, size_t routes_n,
                                  struct error *err) {
    for (size_t i = 0; i < routes_n; i++)
        if (routes[i].lane == SERVER_LANE_REMOTE && options->remote_n == 0) {
            error_set(err, ERROR_INVALID, "%s waits for another machine, and remote_n is 0",
                      routes[i].pattern);
            return NULL;
        }
    return router_open(routes, routes_n, err);
}

bool server_check(const struct server_options *options, const struct server_route *routes,
                  size_t routes_n, struct error *err) {
    struct tls *tls = NULL;
    struct router *router = NULL;
    bool ok = options_check(options, err) && listen_check(options, err) &&
              (router = open_router(options, routes, routes_n, err)) != NULL &&
              (!options->tls_certificate ||
               tls_open(options->tls_certificate, options->tls_key, &tls, err));
    router_close(router);
    tls_close(tls);
    return ok;
}

bool server_run(const struct server_options *options, const struct server_route *routes,
                size_t routes_n, struct error *err) {
    if (!options_check(options, err))
        return false;
    struct router *router = open_router(options, routes, routes_n, err);
    if (!router)
        return false;
    struct server *server = mem_zalloc(1, sizeof *server);
    server->options = *options;
    server->limits = (struct http_limits){options->head_bytes_max, options->headers_n_max,
                                          options->body_bytes_max};
    server->router = router;
    pthread_mutex_init(&server->done_lock, NULL);
    set_timeouts(server);
    set_date(server);
    server_allow_files(options);
    sigset_t before;
    block_sigpipe(&before);

    bool ok;
    int code = uv_loop_init(&server->loop);
    if (code != 0) {
        ok = uv_error(err, "cannot make an event loop", code);
    } else {
        ok = run(server, err);
        for (int lane = 0; lane < SERVER_LANES_N; lane++)
            lane_close(server->lanes[lane]);
        code = uv_loop_close(&server->loop);
        assert(code == 0);
    }
    restore_sigpipe(&before);
    exchange_pool_done(server);
    tls_close(server->tls);
    pthread_mutex_destroy(&server->done_lock);
    router_close(router);
    free(server);
    return ok;
}
