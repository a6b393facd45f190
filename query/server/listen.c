/* Where clients connect: HTTP on an address, and lines of JSON on another or on a socket in a
 * folder. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "query/server/loop.h"

enum {
    /* Connections that wait in the kernel for us to accept them (it caps at net.core.somaxconn). */
    LISTEN_BACKLOG = 1024,
};

/* ---- addresses ---- */

/* "host:port" with a numeric host, "[v6]:port" or "localhost:port". No name is looked up. */
static bool parse_address(const char *text, struct sockaddr_storage *out, struct error *err) {
    const char *colon = strrchr(text, ':');
    char host[64], *end;
    unsigned long port = colon && colon[1] ? strtoul(colon + 1, &end, 10) : 65536;
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    bool brackets = host_len > 2 && text[0] == '[' && text[host_len - 1] == ']';
    if (port > 65535 || *end || host_len == 0 || host_len >= sizeof host)
        goto bad;
    memcpy(host, text + brackets, host_len - 2 * brackets);
    host[host_len - 2 * brackets] = '\0';
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if ((brackets ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)out)
                  : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)out)) == 0)
        return true;
bad:
    return error_set(err, ERROR_INVALID,
                     "listen address \"%s\": write 127.0.0.1:8080, [::1]:8080 or localhost:8080",
                     text);
}

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

static bool check_address(const struct server_options *options, const char *text,
                          struct sockaddr_storage *out, struct error *err) {
    if (!parse_address(text, out, err))
        return false;
    return options->everywhere || is_loopback(out) ||
           error_set(err, ERROR_INVALID,
                     "listen address %s can be reached from other machines, and anybody there "
                     "could read and write everything: give API keys, or listen on 127.0.0.1",
                     text);
}

static bool check_path(const char *path, struct error *err) {
    enum { PATH_MAX_BYTES = sizeof((struct sockaddr_un *)0)->sun_path - 1 };
    size_t len = strlen(path);
    return (len > 0 && len <= PATH_MAX_BYTES) ||
           error_set(err, ERROR_INVALID, "socket \"%s\": a path of 1 to %d bytes", path,
                     PATH_MAX_BYTES);
}

bool listen_check(const struct server_options *options, struct error *err) {
    struct sockaddr_storage ignored = {0};
    return check_address(options, options->listen, &ignored, err) &&
           (!options->lines_tcp || check_address(options, options->lines_tcp, &ignored, err)) &&
           (!options->lines_unix || check_path(options->lines_unix, err));
}

/* ---- sockets ---- */

static void on_connection(uv_stream_t *stream, int status) {
    if (status == 0)
        connection_accept(stream->data);
}

static struct listener *next_listener(struct server *server, bool lines, bool is_unix) {
    struct listener *listener = &server->listeners[server->listeners_n++];
    listener->server = server;
    listener->lines = lines;
    listener->is_unix = is_unix;
    if (is_unix)
        uv_pipe_init(&server->loop, &listener->socket.pipe, 0);
    else
        uv_tcp_init(&server->loop, &listener->socket.tcp);
    listener->socket.stream.data = listener;
    return listener;
}

static bool open_tcp(struct server *server, const char *text, bool lines, struct error *err) {
    struct sockaddr_storage address = {0};
    if (!check_address(&server->options, text, &address, err))
        return false;
    struct listener *listener = next_listener(server, lines, false);
    uv_tcp_t *tcp = &listener->socket.tcp;
    int code = uv_tcp_bind(tcp, (struct sockaddr *)&address, 0);
    if (code == 0)
        code = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, on_connection);
    if (code != 0)
        return error_set(err, ERROR_IO, "cannot listen on %s: %s%s", text, uv_strerror(code),
                         code == UV_EADDRINUSE ? "; is another server running there?" : "");
    int len = sizeof address;
    char host[48];
    uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len);
    uv_ip_name((struct sockaddr *)&address, host, sizeof host);
    bool v6 = address.ss_family == AF_INET6;
    int port = v6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                  : ntohs(((struct sockaddr_in *)&address)->sin_port);
    snprintf(listener->address, sizeof listener->address, v6 ? "[%s]:%d" : "%s:%d", host, port);
    return true;
}

/* What a server that was killed left behind: a socket that nobody listens on. */
static bool is_stale(const struct sockaddr_un *address) {
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

/* Only this user may connect: Linux gives the file the mode that the socket has when it is
 * bound. */
static int bind_unix(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || fchmod(fd, S_IRUSR | S_IWUSR) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static bool open_unix(struct server *server, const char *path, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!check_path(path, err))
        return false;
    strcpy(address.sun_path, path);
    if (is_stale(&address))
        unlink(path);
    int fd = bind_unix(&address);
    if (fd < 0)
        return error_set_errno(err, "cannot listen on %s", path);
    struct listener *listener = next_listener(server, true, true);
    server->unix_bound = true;
    int code = uv_pipe_open(&listener->socket.pipe, fd);
    if (code == 0)
        code = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, on_connection);
    return code == 0 ||
           error_set(err, ERROR_IO, "cannot listen on %s: %s", path, uv_strerror(code));
}

bool listen_open(struct server *server, struct error *err) {
    const struct server_options *options = &server->options;
    assert(options->lines || (!options->lines_tcp && !options->lines_unix));
    return open_tcp(server, options->listen, false, err) &&
           (!options->lines_tcp || open_tcp(server, options->lines_tcp, true, err)) &&
           (!options->lines_unix || open_unix(server, options->lines_unix, err));
}

void listen_close(struct server *server) {
    if (server->unix_bound)
        unlink(server->options.lines_unix);
    server->unix_bound = false;
    for (size_t i = 0; i < server->listeners_n; i++)
        if (!uv_is_closing(&server->listeners[i].socket.handle))
            uv_close(&server->listeners[i].socket.handle, NULL);
    server->listeners_n = 0;
}

/* "127.0.0.1:50412" */
void listen_name_peer(struct connection *connection) {
    struct sockaddr_storage address;
    int len = sizeof address;
    char host[48] = "?";
    int port = 0;
    if (uv_tcp_getpeername(&connection->socket.tcp, (struct sockaddr *)&address, &len) == 0) {
        uv_ip_name((struct sockaddr *)&address, host, sizeof host);
        port = address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                             : ntohs(((struct sockaddr_in *)&address)->sin_port);
    }
    snprintf(connection->peer, sizeof connection->peer,
             address.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", host, port);
}

const char *server_lines_address(const struct server *server) {
    for (size_t i = 0; i < server->listeners_n; i++)
        if (server->listeners[i].lines && !server->listeners[i].is_unix)
            return server->listeners[i].address;
    return NULL;
}
