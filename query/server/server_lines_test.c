/* Lines of JSON over TCP and a Unix socket: answered in order, bounded, admitted by their key. */
#include <sys/stat.h>
#include <sys/un.h>

#include "query/server/test_server.h"

enum { LINE_MAX_BYTES = 1 << 20 };

static struct test_server test;
static char path[64];
static char lines_address[64];

static void answer_line(void *context, size_t worker, const struct server_request *request,
                        struct server_response *response) {
    (void)context, (void)worker;
    if (strstr(request->body, "bad"))
        server_response_error(response, 400, "bad_request", "q", "bad");
    else
        buf_format(&response->body, "{\"len\":%zu,\"line\":%s}", request->body_len, request->body);
}

static bool admit(void *context, const struct server_route *route,
                  const struct server_request *request, struct server_refusal *refusal) {
    (void)context, (void)route;
    const char *key = server_header(request, "x-api-key");
    if (key && strcmp(key, "good") == 0)
        return true;
    *refusal = (struct server_refusal){401, "no_key", "a key is needed"};
    return false;
}

static void on_listening(void *context, struct server *server, const char *address) {
    snprintf(lines_address, sizeof lines_address, "%s", server_lines_address(server));
    test_listening(context, server, address);
}

static void start(bool keys) {
    static const struct server_route route = {SERVER_POST, "/line", answer_line, NULL,
                                              SERVER_LANE_WORKERS};
    test_server_init(&test);
    test.options.lines = &route;
    test.options.lines_tcp = "127.0.0.1:0";
    test.options.lines_unix = path;
    test.options.body_bytes_max = LINE_MAX_BYTES;
    test.options.listening = on_listening;
    test.options.write_ms = 500;
    test.options.admit = keys ? admit : NULL;
    test_server_start(&test);
}

static struct client open_tcp(void) {
    struct test_server at = {.port = atoi(strrchr(lines_address, ':') + 1)};
    return client_open(&at);
}

static struct client open_unix(void) {
    struct client client = {.fd = socket(AF_UNIX, SOCK_STREAM, 0)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    CHECK(connect(client.fd, (struct sockaddr *)&address, sizeof address) == 0);
    return client;
}

/* The next line, without its end; "" at the connection's. */
static const char *read_line(struct client *client) {
    static char line[4096];
    char *end;
    line[0] = '\0';
    while (!client->in.len || !(end = memchr(client->in.data, '\n', client->in.len)))
        if (!client_more(client))
            return line;
    size_t len = (size_t)(end - client->in.data);
    snprintf(line, sizeof line, "%.*s", (int)len, client->in.data);
    memmove(client->in.data, end + 1, client->in.len - len); /* with the NUL behind */
    client->in.len -= len + 1;
    return line;
}

static void answers_lines(struct client client) {
    CHECK(client_send(&client, "{\"q\":1}\n"));
    CHECK_TEXT(read_line(&client), "{\"len\":7,\"line\":{\"q\":1}}");
    CHECK(client_send(&client, "{\"q\":")); /* in two halves, with blanks and a CR behind */
    usleep(20000);
    CHECK(client_send(&client, "2} \r\n\n  \n{\"bad\":1}\n{\"q\":3}\n"));
    CHECK_TEXT(read_line(&client), "{\"len\":7,\"line\":{\"q\":2}}");
    CHECK(strstr(read_line(&client), "{\"error\":{\"code\":\"bad_request\""));
    CHECK_TEXT(read_line(&client), "{\"len\":7,\"line\":{\"q\":3}}");
    client_close(&client);
}

static void answers_pipelined_lines_in_order(void) {
    enum { N = 5000 };
    struct buf all = {0};
    struct client client = open_tcp();
    for (int i = 0; i < N; i++)
        buf_format(&all, "{\"q\":%05d}\n", 10000 + i);
    CHECK(client_send_bytes(&client, all.data, all.len));
    shutdown(client.fd, SHUT_WR); /* whoever sends no more still waits */
    for (int i = 0; i < N; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "{\"len\":11,\"line\":{\"q\":%d}}", 10000 + i);
        const char *line = read_line(&client);
        if (strcmp(line, expected) != 0) {
            CHECK_TEXT(line, expected);
            break;
        }
    }
    client_close(&client);
    buf_done(&all);
}

static void refuses_what_is_no_line(void) {
    static char block[2 * LINE_MAX_BYTES];
    struct client client = open_tcp();
    CHECK(client_send(&client, "POST / HTTP/1.1\r\nHost: x\r\n\r\n{\"q\":1}\n"));
    CHECK(strstr(read_line(&client), "a line is a JSON object"));
    CHECK(client_is_ended(&client));
    client_close(&client);
    client = open_tcp();
    memset(block, 'x', sizeof block);
    block[0] = '{';
    client_send_bytes(&client, block, sizeof block);
    CHECK(strstr(read_line(&client), "\"code\":\"body_too_large\""));
    client_close(&client);
}

/* One that never reads is held back, then given up; others do not notice. */
static void bounds_slow_readers(void) {
    static char line[64 * 1024];
    memset(line, ' ', sizeof line);
    line[0] = '{';
    memcpy(line + sizeof line - 2, "}\n", 2);
    struct client slow = open_tcp(), other = open_unix();
    size_t sent = 0;
    for (int waits = 0; waits < 300 && sent < (256u << 20);) {
        ssize_t n = send(slow.fd, line, sizeof line, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            break;
        waits = n > 0 ? 0 : waits + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(10000);
    }
    CHECK(sent < (64u << 20)); /* what the system's buffers hold */
    CHECK(client_send(&other, "{\"q\":1}\n"));
    CHECK_TEXT(read_line(&other), "{\"len\":7,\"line\":{\"q\":1}}");
    client_close(&slow);
    client_close(&other);
}

static void stops_gracefully(void) {
    struct client idle = open_tcp(), half = open_unix();
    CHECK(client_send(&idle, "{}\n"));
    CHECK_TEXT(read_line(&idle), "{\"len\":2,\"line\":{}}");
    CHECK(client_send(&half, "{\"q\""));
    usleep(20000);
    double began_ms = clock_now_ms();
    test_server_stop(&test);
    CHECK(clock_now_ms() - began_ms < 5000);
    CHECK(client_is_ended(&idle) && client_is_ended(&half));
    struct stat info;
    CHECK(lstat(path, &info) != 0); /* the socket's file is gone */
    client_close(&idle);
    client_close(&half);
}

static void asks_for_keys(void) {
    start(true);
    struct client client = open_tcp();
    CHECK(client_send(&client, "{\"key\":\"good\"}\n{\"q\":1}\n"));
    CHECK_TEXT(read_line(&client), "{\"ok\":true}");
    CHECK_TEXT(read_line(&client), "{\"len\":7,\"line\":{\"q\":1}}");
    client_close(&client);
    static const char *const refused[] = {"{\"key\":\"wrong\"}\n", "{\"q\":1}\n",
                                          "{\"q\":1,\"key\":\"good\"}\n"};
    for (size_t i = 0; i < 3; i++) {
        client = open_unix();
        CHECK(client_send(&client, refused[i]));
        CHECK(strstr(read_line(&client), "\"code\":\"no_key\""));
        CHECK(client_is_ended(&client));
        client_close(&client);
    }
    test_server_stop(&test);
}

/* Only this user's; one that nobody listens on is replaced, another server's is not. */
static void owns_its_socket(void) {
    struct stat info;
    CHECK(lstat(path, &info) == 0 && S_ISSOCK(info.st_mode) && (info.st_mode & 0777) == 0600);
    static struct test_server second;
    test_server_init(&second);
    second.options.lines = test.options.lines;
    second.options.lines_unix = path;
    test_server_start(&second);
    pthread_join(second.thread, NULL);
    CHECK(!second.ok && strstr(second.err.message, path));
    answers_lines(open_unix()); /* the first one's is untouched */
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/tercet-lines-%d.sock", (int)getpid());
    int left = socket(AF_UNIX, SOCK_STREAM, 0); /* as a killed server leaves it */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    CHECK(bind(left, (struct sockaddr *)&address, sizeof address) == 0);
    close(left);
    start(false);
    answers_lines(open_tcp());
    answers_lines(open_unix());
    owns_its_socket();
    answers_pipelined_lines_in_order();
    refuses_what_is_no_line();
    bounds_slow_readers();
    stops_gracefully();
    asks_for_keys();
    return check_result();
}
