/* http.h - bytes of a connection -> HTTP/1.x requests. The one home of llhttp.
 *
 * Feeding stops at the two points where somebody must decide: when a head is complete (is there
 * such a route, may the body come?) and when the whole message is. Parsing is strict: what
 * smuggling lives on (two lengths, a length beside chunks, a bare CR, no Host) is an error.
 * A message's memory is the caller's and is used again for the next request. */
#ifndef TERCET_QUERY_SERVER_HTTP_H
#define TERCET_QUERY_SERVER_HTTP_H

#include "query/server/server.h"

struct http_limits {
    size_t head_bytes_max, headers_n_max, body_bytes_max;
};

/* Offsets into the head, because it grows while it is read. */
struct http_header {
    size_t name, value;
};

struct http_message {
    struct buf head; /* target, then names and values, each with a NUL behind it */
    size_t target_len;
    struct http_header *headers; /* [headers_cap] */
    size_t headers_n, headers_cap;
    struct buf body;
    size_t body_bytes; /* that came, kept or not */
    /* Set at HTTP_EVENT_HEAD: */
    bool discard_body; /* count the body's bytes, do not keep them */
    bool unbounded;    /* a body of any length: who feeds takes it away */

    enum server_method method;
    bool version_1_0;
    bool keep_alive;
    bool has_body;        /* a body follows the head */
    bool expect_continue; /* and waits for our 100 */
    bool body_too_large;  /* as announced; a 413 when feeding goes on, unless unbounded */

    /* After HTTP_EVENT_BAD. */
    int status;
    const char *code, *reason; /* static */
};

void http_message_init(struct http_message *message); /* memory of zeros or a used message */
void http_message_done(struct http_message *message);

/* name: lower case. The value, or NULL. */
const char *http_message_header(const struct http_message *message, const char *name);

enum http_event {
    HTTP_EVENT_MORE, /* all bytes used; the message needs more */
    HTTP_EVENT_HEAD, /* the head is complete; feed the rest to go on */
    HTTP_EVENT_DONE, /* the message is complete; what is left belongs to the next */
    HTTP_EVENT_BAD,  /* message->status says why; the connection cannot be used any more */
};

struct http_parser;

struct http_parser *http_parser_open(const struct http_limits *limits); /* borrowed */
void http_parser_close(struct http_parser *parser);

/* Starts the next message; it is borrowed until HTTP_EVENT_DONE or _BAD or the next begin. */
void http_parser_begin(struct http_parser *parser, struct http_message *message);

/* *used_out: how many of the bytes were taken. */
enum http_event http_parser_feed(struct http_parser *parser, const char *bytes, size_t len,
                                 size_t *used_out);

#endif
