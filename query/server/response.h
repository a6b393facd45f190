/* response.h - inside the server: an answer's first bytes. (Handlers: server.h.) */
#ifndef TERCET_QUERY_SERVER_RESPONSE_H
#define TERCET_QUERY_SERVER_RESPONSE_H

#include "query/server/server.h"

struct response_head {
    const char *date; /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    bool version_1_0; /* the request's */
    bool keep_alive;
    bool in_parts; /* the body's length is not known: chunked, or until the connection's end */
};

void response_init(struct server_response *response, struct arena *arena);

/* Status line and headers, with the empty line, appended to *out. */
void response_write_head(const struct server_response *response, const struct response_head *head,
                         struct buf *out);

/* What goes over the wire behind the head; none for 204 and 304, whatever the handler left. */
const char *response_body(const struct server_response *response, size_t *len_out);

/* Seconds a client is asked to wait when a queue was full: by then it has moved on. */
#define RESPONSE_RETRY_AFTER_S "1"

#endif
