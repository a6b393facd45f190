/* Many clients, full queues, and the end: what happens when it all comes together. */
#include <signal.h>

#include "query/server/test_server.h"

#define GET_HELLO "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_GATE "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST_GATE "POST /write/gate HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"

static void answers_503_when_a_queue_is_full(void) {
    enum { N = 6 }; /* 2 run, 2 wait, 2 too many */
    static struct test_server test;
    test_server_init(&test);
    test.options.workers_queue_max = 2;
    test_server_start(&test);
    struct client clients[N];
    int full = 0, through = 0;
    for (int i = 0; i < N; i++) {
        clients[i] = client_open(&test);
        CHECK(client_send(&clients[i], GET_GATE));
        if (i < 2)
            test_gate_await(&test.gate, i + 1);
        else
            usleep(20000); /* so that they arrive in this order */
    }
    for (int i = 4; i < N; i++) {
        struct answer answer = client_read(&clients[i], false);
        full += answer.status == 503 && strstr(answer.head, "\r\nRetry-After: 1\r\n") &&
                strstr(answer.body, "\"code\":\"busy\"");
    }
    CHECK_EQUAL(full, 2);
    CHECK_EQUAL(client_ask(&clients[4], GET_HELLO).status, 200); /* the loop and the line live on */
    test_gate_open(&test.gate);
    for (int i = 0; i < 4; i++)
        through += client_read(&clients[i], false).status == 200;
    CHECK_EQUAL(through, 4);
    for (int i = 0; i < N; i++)
        client_close(&clients[i]);
    test_server_stop(&test);
}

static void tells_handlers_that_nobody_waits(void) {
    static struct test_server test;
    test_server_init(&test);
    test.options.workers_n = 1;
    test_server_start(&test);
    struct client running = client_open(&test), waiting = client_open(&test);
    CHECK(client_send(&running, GET_GATE));
    test_gate_await(&test.gate, 1);
    CHECK(client_send(&waiting, GET_GATE));
    usleep(50000);
    client_reset(&waiting); /* in the queue: never called */
    client_reset(&running); /* its handler sees it and comes back, though the gate is shut */
    pthread_mutex_lock(&test.gate.lock);
    while (test.gate.done < 1)
        pthread_cond_wait(&test.gate.changed, &test.gate.lock);
    pthread_mutex_unlock(&test.gate.lock);
    test_server_stop(&test);
    CHECK_EQUAL(test.gate.cancelled, 1);
    CHECK_EQUAL(test.gate.entered, 1);
}

/* What waits is prepared together, at most a thread's share, each answered for itself; what is
 * large, gone, or of another route is not. */
static void prepares_waiting_requests_together(void) {
    enum { N = 9 };
    static struct test_server test;
    test_server_init(&test);
    test.options.workers_n = 1;
    test_server_start(&test);
    struct client blocking = client_open(&test), other = client_open(&test);
    struct client large = client_open(&test), gone = client_open(&test), clients[N];
    CHECK_TEXT(client_ask(&other, "POST /count/c HTTP/1.1\r\nHost: x\r\n\r\n").body, "c of 1");
    CHECK(client_send(&blocking, GET_GATE));
    test_gate_await(&test.gate, 1);
    CHECK(client_send(&gone, "POST /count/g HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < N; i++) {
        char text[96];
        snprintf(text, sizeof text, "POST /count/%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
        clients[i] = client_open(&test);
        CHECK(client_send(&clients[i], text));
        usleep(5000);
        if (i == 3) { /* in between */
            static char body[SERVER_TOGETHER_BYTES_MAX + 2];
            memset(body, 'x', sizeof body - 1);
            CHECK(client_send(&large, "POST /count/l HTTP/1.1\r\nHost: x\r\n"
                                      "Content-Length: 16385\r\n\r\n"));
            CHECK(client_send(&large, body));
            CHECK(client_send(&other, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                                      "\r\na"));
        }
    }
    client_reset(&gone);
    usleep(50000);
    test_gate_open(&test.gate);
    for (int i = 0; i < N; i++) {
        char expected[16];
        snprintf(expected, sizeof expected, "%d of %d", i, N);
        CHECK_TEXT(client_read(&clients[i], false).body, expected);
        client_close(&clients[i]);
    }
    CHECK_TEXT(client_read(&large, false).body, "l of 1");
    CHECK_TEXT(client_read(&other, false).body, "/echo||1|a");
    client_close(&large);
    client_close(&other);
    client_close(&blocking);
    test_server_stop(&test);
}

static void limits_bodies_together(void) {
    static struct test_server test;
    test_server_init(&test);
    test.options.bodies_bytes_max = 100 * 1000;
    test_server_start(&test);
    char body[60 * 1000];
    memset(body, 'x', sizeof body);
    const char *head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60001\r\n\r\n";
    struct client first = client_open(&test), second = client_open(&test);
    client_send(&first, head);
    client_send_bytes(&first, body, sizeof body);
    usleep(50000);
    client_send(&second, head);
    client_send_bytes(&second, body, sizeof body);
    CHECK_EQUAL(client_read(&second, false).status, 503);
    CHECK_EQUAL(client_ask(&first, "x").status, 200);
    client_close(&second);
    second = client_open(&test);
    client_send(&second, head);
    client_send_bytes(&second, body, sizeof body);
    CHECK_EQUAL(client_ask(&second, "x").status, 200); /* the room came back */
    client_close(&first);
    client_close(&second);
    test_server_stop(&test);
}

/* Each sends, then all read: every connection has a request under way at the same time. */
static void serves_many_connections(void) {
    enum { N = 400, ROUNDS = 20, MAX = 400 };
    static struct test_server test;
    static struct client clients[N];
    test_server_init(&test);
    test.options.connections_max = MAX;
    test_server_start(&test);
    int good = 0;
    for (int i = 0; i < N; i++)
        clients[i] = client_open(&test);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            char text[128];
            snprintf(text, sizeof text,
                     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n%06d",
                     round * 1000 + i);
            client_send(&clients[i], (round + i) % 4 ? text : GET_HELLO);
        }
        for (int i = 0; i < N; i++) {
            char expected[64];
            snprintf(expected, sizeof expected, "/echo||6|%06d", round * 1000 + i);
            struct answer answer = client_read(&clients[i], false);
            good += strcmp(answer.body, (round + i) % 4 ? expected : "hello you") == 0;
        }
    }
    CHECK_EQUAL(good, N * ROUNDS);

    struct client extra = client_open(&test);
    CHECK_EQUAL(client_read(&extra, false).status, 503);
    client_close(&extra);
    client_close(&clients[0]);
    usleep(50000);
    clients[0] = client_open(&test);
    CHECK_EQUAL(client_ask(&clients[0], GET_HELLO).status, 200);
    for (int i = 0; i < N; i++)
        client_close(&clients[i]);
    test_server_stop(&test);
}

/* SIGTERM: idle lines end, what runs and what waits in queues is answered, nothing new begins. */
static void stops_gracefully(void) {
    static struct test_server test;
    test_server_init(&test);
    test.options.handle_signals = true;
    test_server_start(&test);
    struct client idle = client_open(&test), running = client_open(&test);
    struct client half = client_open(&test), writing[3];
    CHECK(client_send(&half, "GET /hello HTTP/1.1\r\n"));
    CHECK_EQUAL(client_ask(&idle, GET_HELLO).status, 200);
    CHECK(client_send(&running, GET_GATE));
    test_gate_await(&test.gate, 1);
    for (int i = 0; i < 3; i++) { /* one runs, two wait in the writer's queue */
        writing[i] = client_open(&test);
        CHECK(client_send(&writing[i], POST_GATE));
    }
    test_gate_await(&test.gate, 2);
    usleep(50000);
    CHECK(kill(getpid(), SIGTERM) == 0);
    CHECK(client_is_ended(&idle));
    struct answer answer = client_ask(&half, "Host: x\r\n\r\n"); /* begun before: still served */
    CHECK(answer.status == 200 && strstr(answer.head, "\r\nConnection: close\r\n"));
    int late = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)test.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(late, (struct sockaddr *)&address, sizeof address) != 0);
    close(late);
    test_gate_open(&test.gate);
    CHECK_EQUAL(client_read(&running, false).status, 200);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(client_read(&writing[i], false).status, 200);
        client_close(&writing[i]);
    }
    client_close(&idle);
    client_close(&half);
    client_close(&running);
    test_server_join(&test);
    CHECK_EQUAL(test.gate.done, 4);
    CHECK_EQUAL(test.gate.cancelled, 0);
}

/* A second signal, or the deadline: the queue is dropped, handlers are told, and it returns. */
static void stops_hard(bool by_signal) {
    static struct test_server test;
    test_server_init(&test);
    test.options.handle_signals = by_signal;
    test.options.stop_ms = by_signal ? 60000 : 200;
    test_server_start(&test);
    struct client running = client_open(&test), half = client_open(&test);
    struct client writing[3];
    CHECK(client_send(&running, GET_GATE));
    CHECK(client_send(&half, "GET /hel"));
    for (int i = 0; i < 3; i++) {
        writing[i] = client_open(&test);
        CHECK(client_send(&writing[i], POST_GATE));
    }
    test_gate_await(&test.gate, 2);
    usleep(50000);
    if (by_signal) {
        kill(getpid(), SIGINT);
        usleep(50000);
        kill(getpid(), SIGTERM);
    } else {
        server_stop(test.server);
    }
    test_server_join(&test);
    CHECK_EQUAL(test.gate.entered, 2);
    CHECK_EQUAL(test.gate.cancelled, 2);
    CHECK_EQUAL(client_read(&running, false).status, 0);
    CHECK_EQUAL(client_read(&half, false).status, 0);
    client_close(&running);
    client_close(&half);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(client_read(&writing[i], false).status, 0);
        client_close(&writing[i]);
    }
}

/* Clients hammer while it stops: every answer that begins is whole. */
struct hammer {
    struct client client; /* opened by the test's thread, because it CHECKs */
    pthread_t thread;
    int answered;
};

static void *hammer_main(void *argument) {
    struct hammer *hammer = argument;
    struct client client = hammer->client;
    for (;;) {
        if (!client_send(&client, GET_HELLO) || client_read(&client, false).status != 200)
            break;
        hammer->answered++;
        if (!client_send(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na") ||
            client_read(&client, false).status != 200)
            break;
        hammer->answered++;
    }
    if (client.in.len)
        abort(); /* a piece of an answer */
    client_close(&client);
    return NULL;
}

static void stops_under_fire(void) {
    for (int round = 0; round < 5; round++) {
        static struct test_server test;
        static struct hammer hammers[8];
        test_server_init(&test);
        test_server_start(&test);
        for (int i = 0; i < 8; i++) {
            hammers[i] = (struct hammer){.client = client_open(&test)};
            pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]);
        }
        usleep(100000);
        test_server_stop(&test);
        for (int i = 0; i < 8; i++) {
            pthread_join(hammers[i].thread, NULL);
            CHECK(hammers[i].answered > 10);
        }
    }
}

/* Upkeep is asked for behind a write, as often as it wants, and not before the next; and a request
 * that comes meanwhile does not wait for all of it. */
static atomic_int idle_calls, idle_wanted;

static bool idle_a_little(void *context) {
    (void)context;
    atomic_fetch_add(&idle_calls, 1);
    return atomic_fetch_sub(&idle_wanted, 1) > 1;
}

static void await_idle_calls(int n) {
    for (int i = 0; i < 5000 && atomic_load(&idle_calls) < n; i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&idle_calls), n);
}

static void has_time_for_upkeep(void) {
    static struct test_server test;
    test_server_init(&test);
    test.options.idle = idle_a_little;
    test_server_start(&test);
    test_gate_open(&test.gate);
    usleep(3 * 50000);
    CHECK_EQUAL(atomic_load(&idle_calls), 0);
    CHECK_EQUAL(ask(&test, GET_HELLO).status, 200);
    for (int write = 0; write < 2; write++) {
        atomic_store(&idle_wanted, 3);
        CHECK_EQUAL(ask(&test, POST_GATE).status, 200);
        await_idle_calls(3 * write + 3);
        usleep(3 * 50000);
        CHECK_EQUAL(atomic_load(&idle_calls), 3 * write + 3);
    }
    atomic_store(&idle_wanted, 1 << 20); /* hours of it */
    CHECK_EQUAL(ask(&test, POST_GATE).status, 200);
    usleep(3 * 50000);
    CHECK_EQUAL(ask(&test, POST_GATE).status, 200);
    test_server_stop(&test);
}

int main(void) {
    answers_503_when_a_queue_is_full();
    tells_handlers_that_nobody_waits();
    prepares_waiting_requests_together();
    has_time_for_upkeep();
    limits_bodies_together();
    serves_many_connections();
    stops_gracefully();
    stops_hard(true);
    stops_hard(false);
    stops_under_fire();
    return check_result();
}
