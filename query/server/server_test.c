/* What one client can do, and what it is answered. */
#include "query/server/test_server.h"

#define GET_HELLO "GET /hello?name=a%20b+c HTTP/1.1\r\nHost: x\r\n\r\n"

static struct test_server test;

static void keeps_connections_alive(void) {
    struct client client = client_open(&test);
    for (int i = 0; i < 3; i++) {
        struct answer answer = client_ask(&client, GET_HELLO);
        CHECK_EQUAL(answer.status, 200);
        CHECK_TEXT(answer.body, "hello a b c");
        CHECK(strstr(answer.head, "\r\nX-Toy: yes\r\n") && strstr(answer.head, "\r\nDate: "));
        CHECK(strstr(answer.head, "\r\nContent-Type: text/plain\r\n"));
        CHECK(!strstr(answer.head, "Connection:"));
    }
    struct answer answer =
        client_ask(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            "Content-Type: a/b\r\nContent-Length: 3\r\n\r\nabc");
    CHECK_TEXT(answer.body, "/echo|a/b|3|abc");
    CHECK(strstr(answer.head, "\r\nConnection: close\r\n"));
    CHECK(client_is_ended(&client));
    client_close(&client);

    client = client_open(&test);
    answer = client_ask(&client, "GET /hello HTTP/1.0\r\n\r\n");
    CHECK(answer.status == 200 && client_is_ended(&client));
    client_close(&client);
    client = client_open(&test);
    answer = client_ask(&client, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(strstr(answer.head, "\r\nConnection: keep-alive\r\n"));
    CHECK_EQUAL(client_ask(&client, GET_HELLO).status, 200);
    client_close(&client);
}

/* Slow and fast ones mixed: the loop's own answers must not overtake a worker's. */
static void answers_pipelined_requests_in_order(void) {
    enum { N = 3000 };
    struct buf all = {0};
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0)
            buf_format(&all, "GET /hello?name=%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
        else
            buf_format(&all, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n%05d", i);
    }
    struct client client = client_open(&test);
    CHECK(client_send_bytes(&client, all.data, all.len));
    for (int i = 0; i < N; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, i % 3 ? "/echo||5|%05d" : "hello %d", i);
        struct answer answer = client_read(&client, false);
        if (strcmp(answer.body, expected) != 0) {
            CHECK_TEXT(answer.body, expected);
            break;
        }
    }
    CHECK_EQUAL(client_ask(&client, GET_HELLO).status, 200);
    client_close(&client);
    buf_done(&all);
}

static void reads_bodies(void) {
    struct client client = client_open(&test);
    const char *chunked = "POST /echo/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n";
    CHECK_TEXT(client_ask(&client, chunked).body, "/echo/c||13|abc0123456789");
    for (size_t i = 0; i < strlen(chunked); i++) { /* a byte a packet, or nearly so */
        CHECK(client_send_bytes(&client, chunked + i, 1));
        if (i % 16 == 0)
            usleep(500);
    }
    CHECK_TEXT(client_read(&client, false).body, "/echo/c||13|abc0123456789");

    CHECK(client_send(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                               "Content-Length: 3\r\n\r\n"));
    CHECK_EQUAL(client_read(&client, false).status, 100);
    CHECK_TEXT(client_ask(&client, "xyz").body, "/echo||3|xyz");
    client_close(&client);

    /* No 100 for a path that is not there: the refusal, before any body. */
    client = client_open(&test);
    CHECK_EQUAL(client_ask(&client, "POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                    "Content-Length: 3\r\n\r\n")
                    .status,
                404);
    CHECK(client_is_ended(&client));
    client_close(&client);

    /* Without Expect the body is read over and the connection stays. */
    client = client_open(&test);
    CHECK_EQUAL(
        client_ask(&client, "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            .status,
        404);
    CHECK_EQUAL(client_ask(&client, GET_HELLO).status, 200);
    client_close(&client);
}

static void refuses_large_bodies(void) {
    struct buf all = {0};
    size_t over = test.options.body_bytes_max + 1;
    buf_format(&all, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", over);
    buf_reserve(&all, over);
    memset(all.data + all.len, 'x', over);
    all.len += over;
    struct client client = client_open(&test);
    client_send_bytes(&client, all.data, all.len); /* goes on sending although refused */
    struct answer answer = client_read(&client, false);
    CHECK_EQUAL(answer.status, 413);
    CHECK(strstr(answer.body, "\"code\":\"body_too_large\""));
    CHECK(client_is_ended(&client));
    client_close(&client);

    client = client_open(&test);
    client_send(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char block[5000];
    memset(block, 'x', sizeof block);
    memcpy(block, "1000\r\n", 6);
    memcpy(block + 6 + 4096, "\r\n", 2);
    for (size_t sent = 0; sent < over + 8192; sent += 4096)
        if (!client_send_bytes(&client, block, 4096 + 8))
            break;
    CHECK_EQUAL(client_read(&client, false).status, 413);
    client_close(&client);

    struct answer huge = ask(&test, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                    "9000000000000000000\r\n\r\n");
    CHECK_EQUAL(huge.status, 413);
    buf_done(&all);
}

static void refuses_what_is_no_request(void) {
    char many[5000] = "GET /hello HTTP/1.1\r\nHost: x\r\n", target[9000] = "GET /";
    for (int i = 0; i < 100; i++)
        strcat(many, "Some: header\r\n");
    strcat(many, "\r\n");
    memset(target + 5, 'a', sizeof target - 6);
    const struct {
        const char *text, *part;
        int status;
    } bad[] = {
        {"hello\r\n\r\n", "unknown_method", 501},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "unknown_method", 501}, /* TLS spoken to it */
        {"GET / HTTP/1.1\r\n\r\n", "one Host", 400},
        {"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: "
         "chunked\r\n\r\n",
         "malformed", 400},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\"error\"", 0}, /* HTTP/2's preface */
        {"GET /hello HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n", "expectation", 417},
        {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "invalid_path", 400},
        {"GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "invalid_path", 400},
        {"GET /fail/a.b HTTP/1.1\r\nHost: x\r\n\r\n", "\"field\":\"c\"", 400},
        {"GET /fail/ab HTTP/1.1\r\nHost: x\r\n\r\n", "no \\\"ab\\\" here\",\"field\":null", 404},
        {"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "not_found", 404},
        {"PURGE /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "not_found", 404},
        {many, "headers", 431},
        {target, "too_long", 414},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct answer answer = ask(&test, bad[i].text);
        if (bad[i].status)
            CHECK_EQUAL(answer.status, bad[i].status);
        CHECK(answer.status >= 400);
        CHECK(strstr(answer.body, bad[i].part) && strstr(answer.body, "\"message\":"));
    }
}

static void knows_methods(void) {
    struct client client = client_open(&test);
    struct answer answer = client_ask(&client, "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_EQUAL(answer.status, 405);
    CHECK(strstr(answer.head, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    CHECK(strstr(answer.body, "\"code\":\"method_not_allowed\""));
    CHECK(client_send(&client, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    answer = client_read(&client, true);
    CHECK_EQUAL(answer.status, 200);
    CHECK(strstr(answer.head, "Content-Length: 9\r\n"));
    CHECK(client_send(&client, "HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK_EQUAL(client_read(&client, true).status, 404);
    CHECK_EQUAL(client_ask(&client, GET_HELLO).status, 200); /* so no body came with the HEADs */
    client_close(&client);
}

static void survives_clients_that_leave(void) {
    for (int i = 0; i < 60; i++) {
        struct client client = client_open(&test);
        switch (i % 6) {
        case 0: break;
        case 1: client_send(&client, "POST /ec"); break;
        case 2:
            client_send(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
            break;
        case 3:
            client_send(&client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
            break;
        case 4: client_send(&client, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n"); break;
        case 5:
            client_send(&client, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
            usleep(20000); /* in the middle of its answer */
            break;
        }
        if (i % 2)
            client_reset(&client);
        else
            client_close(&client);
    }
    /* Shutting down one's own side is not leaving. */
    struct client client = client_open(&test);
    client_send(&client, GET_HELLO "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
                                   "GET /big HTTP/1.1\r\nHost: x\r\n\r\n" GET_HELLO);
    shutdown(client.fd, SHUT_WR);
    CHECK_TEXT(client_read(&client, false).body, "hello a b c");
    CHECK_TEXT(client_read(&client, false).body, "/echo||1|a");
    CHECK_EQUAL(client_read(&client, false).body_len, 16 << 20);
    CHECK_TEXT(client_read(&client, false).body, "hello a b c");
    CHECK(client_is_ended(&client));
    client_close(&client);
}

/* A server with short patience, so that the test need not have long. */
static void ends_slow_clients(void) {
    static struct test_server hasty;
    test_server_init(&hasty);
    hasty.options.head_ms = 150;
    hasty.options.body_ms = 150;
    hasty.options.idle_ms = 200;
    hasty.options.write_ms = 150;
    test_server_start(&hasty);
    struct client head = client_open(&hasty), body = client_open(&hasty),
                  idle = client_open(&hasty), deaf = client_open(&hasty);
    double begun_ms = clock_now_ms();
    client_send(&head, "GET /hello HTTP/1.1\r\n");
    client_send(&body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n");
    client_send(&deaf, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 20; i++) { /* a byte now and then buys no more time */
        if (!client_send(&head, "a") || !client_send(&body, "a"))
            break;
        usleep(10000);
    }
    CHECK_EQUAL(client_read(&head, false).status, 408);
    CHECK_EQUAL(client_read(&body, false).status, 408);
    CHECK(client_is_ended(&idle));
    double ms = clock_now_ms() - begun_ms;
    CHECK(ms >= 140 && ms < 3000);
    usleep(400000);
    CHECK_EQUAL(client_read(&deaf, false).status, 0); /* cut off in its answer */
    client_close(&head);
    client_close(&body);
    client_close(&idle);
    client_close(&deaf);
    test_server_stop(&hasty);
}

static void refuses_options(void) {
    static const char *const addresses[] = {
        "",        "8080", "127.0.0.1", "127.0.0.1:", "a.b:1", "127.0.0.1:65536", "127.0.0.1:1x",
        "[::1:80", ":80"};
    struct server_options options;
    struct error err;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        server_options_default(&options);
        options.listen = addresses[i];
        CHECK(!server_run(&options, NULL, 0, &err));
        CHECK_EQUAL(err.code, ERROR_INVALID);
    }
    static const char *const reachable[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"};
    for (size_t i = 0; i < sizeof reachable / sizeof *reachable; i++) {
        options.listen = reachable[i];
        CHECK(!server_run(&options, NULL, 0, &err));
        CHECK(err.code == ERROR_INVALID && strstr(err.message, "API keys"));
    }
    options.tls_certificate = "a.pem";
    CHECK(!server_run(&options, NULL, 0, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
    options.tls_certificate = NULL;
    char taken[32];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", test.port);
    options.listen = taken;
    CHECK(!server_run(&options, NULL, 0, &err));
    CHECK(err.code == ERROR_IO && strstr(err.message, "another server"));
    options.head_ms = 0;
    CHECK(!server_run(&options, NULL, 0, &err));
    CHECK_EQUAL(err.code, ERROR_INVALID);
}

int main(void) {
    test_server_init(&test);
    test.options.body_bytes_max = 1 << 20;
    test_server_start(&test);
    if (test.port < 0)
        return 1;
    keeps_connections_alive();
    answers_pipelined_requests_in_order();
    reads_bodies();
    refuses_large_bodies();
    refuses_what_is_no_request();
    knows_methods();
    survives_clients_that_leave();
    ends_slow_clients();
    refuses_options();
    CHECK(atomic_load(&test.logged) > 3000);
    test_server_stop(&test);
    return check_result();
}
