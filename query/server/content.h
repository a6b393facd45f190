/* content.h - inside the server: what a client's headers ask of an answer: to be packed, and to be
 * readable from pages of other sites. */
#ifndef TERCET_QUERY_SERVER_CONTENT_H
#define TERCET_QUERY_SERVER_CONTENT_H

#include "query/server/server.h"

enum content_coding { CONTENT_PLAIN, CONTENT_GZIP, CONTENT_ZSTD };

/* The best that an Accept-Encoding header takes (NULL: none): zstd, then gzip. */
enum content_coding content_coding_of(const char *accept_encoding);

/* Packs a body that is worth it, with Content-Encoding and Vary; others stay as they are. `spare`
 * is swapped with the body. Takes time: never on the loop thread. */
void content_pack(const struct server_request *request, struct server_response *response,
                  struct buf *spare);

/* origins: "*", or a list with commas between; NULL or "": none.
 * True when the origin may read answers. */
bool content_origin_is_allowed(const char *origins, const char *origin);

/* CORS: tells a page of another site that it may read the answer. */
void content_allow_origin(const char *origins, const struct server_request *request,
                          struct server_response *response);

/* A browser asks before it sends: OPTIONS with Access-Control-Request-Method. */
bool content_is_preflight(const char *origins, const struct server_request *request);
void content_answer_preflight(struct server_response *response);

#endif
