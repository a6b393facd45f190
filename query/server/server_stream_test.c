/* Bodies in pieces: of any length, at the pace of whoever is slower, and cut off anywhere. */
#include "query/server/test_server.h"

#define SUM_CHUNKED "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GET_HELLO "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

enum { BODY_MAX = 1 << 20, LINE = 100 };

static struct test_server test;

static bool send_chunk(struct client *client, const char *bytes, size_t len) {
    char head[32];
    snprintf(head, sizeof head, "%zx\r\n", len);
    return client_send(client, head) && client_send_bytes(client, bytes, len) &&
           client_send(client, "\r\n");
}

static void await_closed_states(void) {
    for (int i = 0; i < 5000 && atomic_load(&test_sums_open); i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&test_sums_open), 0);
}

/* 40 times what one body may hold, sized or chunked, and a request behind it on the same line. */
static void takes_any_length(bool chunked) {
    enum { LINES = 40 * BODY_MAX / LINE };
    struct client client = client_open(&test);
    char head[128], block[LINE * 100], expected[64];
    memset(block, 'x', sizeof block);
    for (size_t i = LINE - 1; i < sizeof block; i += LINE)
        block[i] = '\n';
    snprintf(head, sizeof head,
             "POST /sum HTTP/1.1\r\nHost: x\r\nX-Pieces: 1\r\nContent-Length: %d",
             LINES / 100 * (int)sizeof block);
    CHECK(client_send(&client, chunked ? SUM_CHUNKED : head));
    CHECK(chunked || client_send(&client, "\r\n\r\n"));
    for (int i = 0; i < LINES / 100; i++)
        CHECK(chunked ? send_chunk(&client, block, sizeof block)
                      : client_send_bytes(&client, block, sizeof block));
    CHECK(client_send(&client, chunked ? "0\r\n\r\n" GET_HELLO : GET_HELLO));
    struct answer answer = client_read(&client, false);
    snprintf(expected, sizeof expected, "%d lines, %d bytes", LINES / 100 * 100,
             LINES / 100 * (int)sizeof block);
    CHECK_EQUAL(answer.status, 200);
    CHECK(strncmp(answer.body, expected, strlen(expected)) == 0);
    const char *largest = strstr(answer.body, "largest ");
    CHECK(largest && atoi(largest + 8) < SERVER_PIECE_BYTES + 128 * 1024);
    CHECK_TEXT(client_read(&client, false).body, "hello you");
    client_close(&client);
    await_closed_states();
}

/* What is short is whole: the handler sees no stream. */
static void hands_short_bodies_over_whole(void) {
    struct client client = client_open(&test);
    CHECK_TEXT(client_ask(&client, SUM_CHUNKED "4\r\na\nb\n\r\n0\r\n\r\n").body, "whole 4");
    CHECK_TEXT(client_ask(&client, SUM_CHUNKED "0\r\n\r\n").body, "whole 0");
    client_close(&client);
}

/* A line is handed over a second later; half a line is not, and comes with its other half. */
static void hands_slow_lines_over(void) {
    struct client client = client_open(&test);
    double began_ms = clock_now_ms();
    CHECK(client_send(&client, SUM_CHUNKED "6\r\na\nb\nha\r\n"));
    while (atomic_load(&test_sums_open) == 0 && clock_now_ms() < began_ms + 5000)
        usleep(1000);
    CHECK(clock_now_ms() - began_ms >= SERVER_PIECE_MS - 50);
    CHECK_EQUAL(atomic_load(&test_sums_open), 1);
    struct answer answer = client_ask(&client, "3\r\nlf\n\r\n0\r\n\r\n");
    CHECK_TEXT(answer.body, "3 lines, 9 bytes, largest 6");
    client_close(&client);
    await_closed_states();
}

static void refuses_half_way(void) {
    char block[LINE * 4000];
    memset(block, 'x', sizeof block);
    for (size_t i = LINE - 1; i < sizeof block; i += LINE)
        block[i] = '\n';
    memcpy(block + sizeof block - LINE, "stop", 4);
    struct client client = client_open(&test);
    CHECK(client_send(&client, SUM_CHUNKED));
    CHECK(send_chunk(&client, block, sizeof block));
    CHECK(send_chunk(&client, "x\n", 2));
    struct answer answer = client_read(&client, false);
    CHECK(answer.status == 400 && strstr(answer.head, "\r\nConnection: close\r\n"));
    CHECK(client_is_ended(&client));
    client_close(&client);

    /* A line that never ends: as much of it is held as a body may be long. */
    memset(block, 'x', sizeof block);
    client = client_open(&test);
    CHECK(client_send(&client, SUM_CHUNKED));
    for (size_t sent = 0; sent < 2 * BODY_MAX && send_chunk(&client, block, sizeof block);)
        sent += sizeof block;
    answer = client_read(&client, false);
    CHECK(answer.status == 413 && strstr(answer.body, "\"code\":\"body_too_large\""));
    client_close(&client);
    await_closed_states();
}

/* The writer is busy: nothing more is read than a piece and what sockets hold. */
static void holds_fast_clients_back(void) {
    enum { SENT_MAX = 64 << 20 };
    static char block[1 << 20];
    struct client gate = client_open(&test), client = client_open(&test);
    memset(block, 'x', sizeof block);
    for (size_t i = LINE - 1; i < sizeof block; i += LINE)
        block[i] = '\n';
    CHECK(client_send(&gate, "POST /write/gate HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"));
    test_gate_await(&test.gate, 1);
    CHECK(client_send(&client, "POST /sum HTTP/1.1\r\nHost: x\r\nX-Pieces: 1\r\n"
                               "Content-Length: 67108864\r\n\r\n"));
    size_t sent = 0;
    for (int waits = 0; waits < 50 && sent < SENT_MAX;) {
        size_t want = sizeof block < SENT_MAX - sent ? sizeof block : SENT_MAX - sent;
        ssize_t n = send(client.fd, block, want, MSG_NOSIGNAL | MSG_DONTWAIT);
        waits = n > 0 ? 0 : waits + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(10000);
    }
    CHECK(sent < SENT_MAX / 2); /* the system's buffers have some MB */
    CHECK_EQUAL(ask(&test, GET_HELLO).status, 200);
    test_gate_open(&test.gate);
    while (sent < SENT_MAX) {
        size_t want = sizeof block < SENT_MAX - sent ? sizeof block : SENT_MAX - sent;
        CHECK(client_send_bytes(&client, block, want));
        sent += want;
    }
    CHECK_EQUAL(client_read(&gate, false).status, 200);
    CHECK_EQUAL(client_read(&client, false).status, 200);
    client_close(&gate);
    client_close(&client);
    await_closed_states();
}

/* Clients that go away, between pieces and while one is in work. */
static void forgets_who_is_gone(void) {
    static char block[SERVER_PIECE_BYTES];
    memset(block, '\n', sizeof block);
    for (int i = 0; i < 20; i++) {
        struct client client = client_open(&test);
        CHECK(client_send(&client, SUM_CHUNKED));
        CHECK(send_chunk(&client, block, sizeof block));
        CHECK(send_chunk(&client, "half", 4));
        if (i % 2)
            usleep(3000);
        if (i % 3)
            client_reset(&client);
        else
            client_close(&client);
    }
    CHECK_EQUAL(ask(&test, GET_HELLO).status, 200);
    await_closed_states();
}

/* A graceful stop does not wait for a stream's end. */
static void ends_streams_at_a_stop(void) {
    static char block[SERVER_PIECE_BYTES];
    memset(block, '\n', sizeof block);
    struct client client = client_open(&test);
    CHECK(client_send(&client, SUM_CHUNKED));
    CHECK(send_chunk(&client, block, sizeof block));
    while (atomic_load(&test_sums_open) == 0)
        usleep(1000);
    double began_ms = clock_now_ms();
    server_stop(test.server);
    struct answer answer = client_read(&client, false);
    CHECK(answer.status == 503 && strstr(answer.body, "\"code\":\"stopped\""));
    client_close(&client);
    test_server_join(&test);
    CHECK(clock_now_ms() - began_ms < 5000);
    CHECK_EQUAL(atomic_load(&test_sums_open), 0);
}

int main(void) {
    test_server_init(&test);
    test.options.body_bytes_max = BODY_MAX;
    test_server_start(&test);
    takes_any_length(false);
    takes_any_length(true);
    hands_short_bodies_over_whole();
    hands_slow_lines_over();
    refuses_half_way();
    holds_fast_clients_back();
    forgets_who_is_gone();
    ends_streams_at_a_stop();
    return check_result();
}
