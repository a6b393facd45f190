/* hub_http.h - one GET from a model hub, by libcurl.
 *
 * The token goes to the endpoint's own scheme, host and port and nowhere else: redirects are
 * followed here, one by one, and those to another place travel without it. Only http and https are
 * spoken, and never http once https was. Messages name hosts, not addresses with their signatures,
 * and never the token.
 * Trap: opening initialises libcurl for the process; open the first client before other threads.
 * Threads: a client belongs to one thread. */
#ifndef TERCET_HUB_HTTP_H
#define TERCET_HUB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct http_client;

enum { HTTP_STALL_DEFAULT_S = 30 }; /* a connection that brings next to nothing is given up */

#define HTTP_SIZE_UNKNOWN UINT64_MAX

/* endpoint: "https://host[:port][/path]". token NULL or "": none. Both are copied. */
bool http_open(const char *endpoint, const char *token, uint32_t stall_s, struct http_client **out,
               struct error *err);
void http_close(struct http_client *client);

/* Where a body goes. Either returning false ends the transfer with that error. */
struct http_sink {
    void *context;
    /* Before the first byte: the body begins at byte `from` of the file, which is 0 when the
     * server does not do ranges; `total` is what the server says the whole file has, or
     * HTTP_SIZE_UNKNOWN. */
    bool (*begin)(void *context, uint64_t from, uint64_t total, struct error *err);
    bool (*write)(void *context, const void *data, size_t len, struct error *err);
};

enum http_result {
    HTTP_DONE,
    HTTP_AGAIN, /* cut off, stalled, 429, 5xx: worth another try */
    HTTP_FAILED,
};

/* The bytes of url from `from` on. retry_after_s_out: what the server asks to wait (0: nothing).
 * ERROR_NOT_FOUND for 404; ERROR_CORRUPT when the answer contradicts itself or the question. */
enum http_result http_get(struct http_client *client, const char *url, uint64_t from,
                          const struct http_sink *sink, uint32_t *retry_after_s_out,
                          struct error *err);

/* The bundle of certificates that the environment names, or NULL: where requests and curl look for
 * one, so that whoever stands behind a proxy needs to say it once. */
const char *http_certificates(void);

/* Percent-encoding of everything but letters, digits, "-._~" and those in `kept`; free() it. */
char *http_escape(const char *text, const char *kept);

#endif
