/* A line of JSON as a request: what HTTP says in a head is the server's choice here. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "query/server/loop.h"

/* A longer first line gives no key; keys are some fifty bytes. */
enum { KEY_LINE_BYTES_MAX = 1024 };

/* {"key":".."} and nothing else. */
static char *key_of(const struct buf *line) {
    struct error ignored;
    struct json *json =
        line->len <= KEY_LINE_BYTES_MAX ? json_parse(line->data, line->len, &ignored) : NULL;
    const struct json *member = json_get(json, "key");
    char *key = NULL;
    if (json_kind_of(member) == JSON_KIND_STRING && json_count(json) == 1)
        key = mem_strdup(json_string_of(member, NULL));
    json_release(json);
    return key;
}

static void fill(struct connection *connection) {
    struct exchange *exchange = connection->exchange;
    struct server_request *request = &exchange->request;
    const struct server_route *route = connection->server->options.lines;
    exchange->match = (struct router_match){.status = 200, .route = route, .path = route->pattern};
    exchange->message.method = request->method = SERVER_POST;
    exchange->message.keep_alive = true;
    request->path = route->pattern;
    request->peer = connection->peer;
    if (!connection->key)
        return;
    struct server_pair *header = ARENA_NEW(&exchange->arena, struct server_pair, 1);
    *header = (struct server_pair){"x-api-key", connection->key};
    request->headers = header;
    request->headers_n = 1;
}

enum line_kind line_read(struct connection *connection) {
    struct buf *line = &connection->exchange->message.body;
    bool is_first = !connection->greeted;
    while (line->len && strchr(" \t\r", line->data[line->len - 1]))
        line->data[--line->len] = '\0';
    if (line->len == 0)
        return LINE_BLANK;
    connection->greeted = true;
    if (is_first && line->data[strspn(line->data, " \t")] != '{')
        return LINE_FOREIGN;
    if (is_first)
        connection->key = key_of(line);
    bool is_key = is_first && connection->key;
    fill(connection);
    return is_key ? LINE_KEY : LINE_REQUEST;
}
