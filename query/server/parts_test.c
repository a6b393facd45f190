/* Answers that come bit by bit: in time, whole, and given up when nobody reads them. */
#include "query/server/test_server.h"

#define GET_HELLO "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_PARTS "GET /parts?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"

static struct test_server test;

/* Reads until that text has come; false when it does not. */
static bool await_text(struct client *client, const char *text) {
    while (!client->in.data || !strstr(client->in.data, text))
        if (!client_more(client))
            return false;
    return true;
}

/* The text of chunks that are all there, up to the last one. */
static void chunks_of(const char *at, char *out, size_t size) {
    size_t len = 0, chunk;
    char *line_end;
    while ((chunk = strtoul(at, &line_end, 16)) > 0 && len + chunk < size) {
        memcpy(out + len, line_end + 2, chunk);
        len += chunk;
        at = line_end + 2 + chunk + 2;
    }
    out[len] = '\0';
}

static void gate_close(struct test_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->open = false;
    gate->entered = gate->done = gate->cancelled = 0;
    pthread_mutex_unlock(&gate->lock);
}

static int gate_cancelled(struct test_gate *gate, int done) {
    pthread_mutex_lock(&gate->lock);
    while (gate->done < done)
        pthread_cond_wait(&gate->changed, &gate->lock);
    int cancelled = gate->cancelled;
    pthread_mutex_unlock(&gate->lock);
    return cancelled;
}

/* Two parts are there while the handler still waits to make the third; then the end, and the next
 * request's answer behind it. */
static void sends_parts_as_they_come(void) {
    struct client client = client_open(&test);
    gate_close(&test.gate);
    CHECK(client_send(&client, GET_PARTS GET_HELLO));
    CHECK(await_text(&client, "part 1\n"));
    CHECK(!strstr(client.in.data, "part 2"));
    CHECK(strstr(client.in.data, "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(strstr(client.in.data, "\r\nContent-Type: text/event-stream\r\n"));
    CHECK(strstr(client.in.data, "\r\nX-Toy: yes\r\n"));
    CHECK(!strstr(client.in.data, "Content-Length"));
    test_gate_open(&test.gate);
    CHECK(await_text(&client, "0\r\n\r\n"));
    char body[64];
    chunks_of(strstr(client.in.data, "\r\n\r\n") + 4, body, sizeof body);
    CHECK_TEXT(body, "part 0\npart 1\npart 2\nend");
    CHECK(!strstr(client.in.data, "X-Late"));
    CHECK(await_text(&client, "hello you"));
    client_close(&client);
}

static void answers_http_1_0_until_the_end(void) {
    struct client client = client_open(&test);
    CHECK(client_send(&client, "GET /parts?n=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    while (client_more(&client))
        ;
    CHECK(strstr(client.in.data, "\r\nConnection: close\r\n"));
    CHECK(!strstr(client.in.data, "chunked"));
    CHECK_TEXT(strstr(client.in.data, "\r\n\r\n"), "\r\n\r\npart 0\npart 1\npart 2\nend");
    client_close(&client);
    client = client_open(&test);
    CHECK(client_send(&client, "HEAD /parts?n=3 HTTP/1.1\r\nHost: x\r\n\r\n" GET_HELLO));
    CHECK(await_text(&client, "hello you") && !strstr(client.in.data, "part"));
    client_close(&client);
}

/* Both with parts sent and before any: also by a client that only ends its sending side. */
static void gives_up_when_the_client_is_gone(void) {
    static const char *const asked[] = {GET_PARTS, "GET /parts/gate HTTP/1.1\r\nHost: x\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct client client = client_open(&test), other = client_open(&test);
        gate_close(&test.gate);
        CHECK(client_send(&client, asked[i]) && client_send(&other, asked[i]));
        test_gate_await(&test.gate, 2);
        client_reset(&client);
        CHECK_EQUAL(gate_cancelled(&test.gate, 1), 1);
        shutdown(other.fd, SHUT_WR);
        CHECK_EQUAL(gate_cancelled(&test.gate, 2), 2);
        client_close(&other);
    }
    test_gate_open(&test.gate);
}

/* A client that does not read costs some megabytes, then its connection. */
static void gives_up_clients_that_do_not_read(void) {
    struct client client = client_open(&test);
    gate_close(&test.gate);
    CHECK(client_send(&client, "GET /parts?fill=1 HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK_EQUAL(gate_cancelled(&test.gate, 1), 1);
    client_close(&client);
    test_gate_open(&test.gate);
}

/* Its threads are its own: while both wait, workers answer; a third waits for one of them. */
static void has_threads_of_its_own(void) {
    struct client clients[3];
    gate_close(&test.gate);
    for (size_t i = 0; i < 3; i++) {
        clients[i] = client_open(&test);
        CHECK(client_send(&clients[i], GET_PARTS));
    }
    test_gate_await(&test.gate, 2);
    CHECK_EQUAL(ask(&test, "GET /fail/a HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
    test_gate_open(&test.gate);
    for (size_t i = 0; i < 3; i++) {
        CHECK(await_text(&clients[i], "0\r\n\r\n"));
        client_close(&clients[i]);
    }
}

/* A stop lets them end, and a second one does not. */
static void stops(void) {
    struct client client = client_open(&test);
    gate_close(&test.gate);
    CHECK(client_send(&client, GET_PARTS) && await_text(&client, "part 1\n"));
    server_stop(test.server);
    usleep(20 * 1000);
    test_gate_open(&test.gate);
    CHECK(await_text(&client, "0\r\n\r\n"));
    client_close(&client);
    test_server_join(&test);

    test_server_init(&test);
    test_server_start(&test);
    client = client_open(&test);
    CHECK(client_send(&client, GET_PARTS) && await_text(&client, "part 1\n"));
    server_stop(test.server);
    server_stop(test.server);
    test_server_join(&test);
    CHECK_EQUAL(test.gate.cancelled, 1);
    client_close(&client);
}

static void needs_threads_for_its_routes(void) {
    struct server_options options;
    struct error err;
    const struct server_route route = {SERVER_GET, "/", test_parts, NULL, SERVER_LANE_REMOTE};
    server_options_default(&options);
    CHECK(!server_check(&options, &route, 1, &err) && err.code == ERROR_INVALID);
    options.remote_n = 1;
    CHECK_OK(server_check(&options, &route, 1, &err), err);
}

int main(void) {
    needs_threads_for_its_routes();
    test_server_init(&test);
    test_server_start(&test);
    if (check_failed)
        return check_result();
    sends_parts_as_they_come();
    answers_http_1_0_until_the_end();
    gives_up_when_the_client_is_gone();
    gives_up_clients_that_do_not_read();
    has_threads_of_its_own();
    stops();
    return check_result();
}
