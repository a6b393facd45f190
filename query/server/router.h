/* router.h - which route a request target means, and what its path says.
 *
 * Patterns and their segments: server.h, struct server_route. The target is split at "/" before it
 * is decoded, so that "%2F" in a document's key stays part of the key. "." and ".." segments,
 * control characters, broken escapes and invalid UTF-8 are refused whatever the routes: no handler
 * ever sees them.
 * Threads: a router does not change once open; any number of threads may match. */
#ifndef TERCET_QUERY_SERVER_ROUTER_H
#define TERCET_QUERY_SERVER_ROUTER_H

#include "query/server/server.h"

/* Enough for every route of docs/; a longer path cannot match and is a 404. */
enum {
    ROUTER_SEGMENTS_MAX = 16,
    ROUTER_PARAMS_MAX = 4,
    ROUTER_NAME_BYTES_MAX = 64,  /* {name}: collections, which become folder names */
    ROUTER_TEXT_BYTES_MAX = 512, /* {name:text}: document keys; LMDB's own limit is 511 */
};

struct router;

/* ERROR_INVALID when a pattern is malformed or two routes have the same method and shape. */
struct router *router_open(const struct server_route *routes, size_t routes_n, struct error *err);
void router_close(struct router *router);

struct router_match {
    /* 200: route is set; 204: an OPTIONS, allow is; 400, 404, 405: the rest of the error. */
    int status;
    const struct server_route *route; /* borrowed from the router */
    const char *path, *query;         /* in the arena */
    struct server_pair params[ROUTER_PARAMS_MAX];
    size_t params_n;

    const char *code, *message, *field; /* when status is not 200 */
    const char *allow;                  /* for 405 and 204: "GET, HEAD, POST, OPTIONS" */
};

/* `target` is the request line's, origin form ("/a?b") or absolute form ("http://host/a?b"). */
void router_match(const struct router *router, enum server_method method, const char *target,
                  size_t target_len, struct arena *arena, struct router_match *out);

/* Decodes %XX (and "+" as a blank when plus) into the arena; NULL when an escape is broken or the
 * result is not UTF-8 without control characters. */
char *router_decode(const char *text, size_t len, bool plus, struct arena *arena, size_t *len_out);

bool router_name_is_valid(const char *name);
const char *router_method_name(enum server_method method);

#endif
