/* content.h - inside the server: what a client's headers ask of an answer: to be packed, and to be
 * readable from pages of other sites. And what they say about a body: that it is packed. */
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

/* ---- packed bodies: content_unpack.c ---- */

/* What a Content-Encoding header says (NULL: nothing). False: a coding that is not known here. */
bool content_coding_of_body(const char *content_encoding, enum content_coding *out);

struct content_unpack;

/* gzip or zstd; NULL when memory is out. Holds 8 MiB at most. */
struct content_unpack *content_unpack_open(enum content_coding coding);
void content_unpack_close(struct content_unpack *unpack);

/* Appends up to `max` bytes to *out (a NUL behind them). All of the input that this took is used,
 * and there is no more in it when less than max came. False: it is broken. */
bool content_unpack_some(struct content_unpack *unpack, const char *in, size_t len, size_t max,
                         size_t *used_out, struct buf *out);
/* What was packed is complete. */
bool content_unpack_is_end(const struct content_unpack *unpack);

/* Gives answers to GET an ETag, unless their handler did, and makes a 304 of one that the client
 * has. */
void content_tag(const struct server_request *request, struct server_response *response);

/* ---- other sites ---- */

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
