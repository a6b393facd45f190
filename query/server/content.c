#include "query/server/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "query/server/tls.h"

enum {
    /* A smaller body fits into one packet anyhow. */
    PACK_BYTES_MIN = 1400,
    /* Of an answer as small as its head nothing is saved. */
    TAG_BODY_BYTES_MIN = 128,
    /* Fastest: numbers as text pack to less than half in any level, and somebody waits. */
    GZIP_LEVEL = 1,
    ZSTD_LEVEL = 1,
    GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip's header */
};

/* ---- codings ---- */

static size_t token_len(const char *at) {
    return strcspn(at, " \t;,");
}

/* A weight of zero, "q=0" or "q=0.000", says no. */
static bool is_refused(const char *at, const char *end) {
    for (; at < end; at++)
        if (*at == ';') {
            at += 1 + strspn(at + 1, " \t");
            if (strncasecmp(at, "q=", 2) == 0)
                return strtod(at + 2, NULL) <= 0;
        }
    return false;
}

enum content_coding content_coding_of(const char *accept_encoding) {
    enum content_coding best = CONTENT_PLAIN;
    bool zstd_named = false, gzip_named = false, any = false;
    for (const char *at = accept_encoding; at && *at;) {
        at += strspn(at, " \t,");
        const char *end = at + strcspn(at, ",");
        size_t len = token_len(at);
        bool taken = len > 0 && !is_refused(at, end);
        if (len == 4 && strncasecmp(at, "zstd", 4) == 0) {
            zstd_named = true;
            best = taken ? CONTENT_ZSTD : best;
        } else if (len == 4 && strncasecmp(at, "gzip", 4) == 0) {
            gzip_named = true;
            best = taken && best != CONTENT_ZSTD ? CONTENT_GZIP : best;
        } else if (len == 1 && *at == '*') {
            any = taken;
        }
        at = end;
    }
    if (any && best == CONTENT_PLAIN && !gzip_named)
        best = CONTENT_GZIP;
    if (any && best == CONTENT_PLAIN && !zstd_named)
        best = CONTENT_ZSTD;
    return best;
}

static bool pack_gzip(const struct buf *body, struct buf *out) {
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t bound = deflateBound(&stream, body->len);
    buf_reserve(out, bound);
    stream.next_in = (unsigned char *)body->data;
    stream.avail_in = (unsigned)body->len;
    stream.next_out = (unsigned char *)out->data;
    stream.avail_out = (unsigned)bound;
    bool ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    out->len = stream.total_out;
    deflateEnd(&stream);
    return ok;
}

static bool pack_zstd(const struct buf *body, struct buf *out) {
    size_t bound = ZSTD_compressBound(body->len);
    buf_reserve(out, bound);
    size_t len = ZSTD_compress(out->data, bound, body->data, body->len, ZSTD_LEVEL);
    if (ZSTD_isError(len))
        return false;
    out->len = len;
    return true;
}

void content_pack(const struct server_request *request, struct server_response *response,
                  struct buf *spare) {
    /* zlib counts what it is given at once in 32 bits. */
    if (response->static_body || response->body.len < PACK_BYTES_MIN ||
        response->body.len > UINT32_MAX / 2)
        return;
    server_response_header(response, "Vary", "Accept-Encoding");
    enum content_coding coding = content_coding_of(server_header(request, "accept-encoding"));
    if (coding == CONTENT_PLAIN)
        return;
    buf_clear(spare);
    bool ok = coding == CONTENT_GZIP ? pack_gzip(&response->body, spare)
                                     : pack_zstd(&response->body, spare);
    if (!ok || spare->len >= response->body.len)
        return;
    struct buf packed = *spare;
    *spare = response->body;
    response->body = packed;
    server_response_header(response, "Content-Encoding", coding == CONTENT_GZIP ? "gzip" : "zstd");
}

/* ---- tags ---- */

/* NULL: there is none of that name. */
static const char *header_of(const struct server_response *response, const char *name) {
    for (size_t i = 0; i < response->headers_n; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

/* "*", or a list of tags with commas between. Ours have no commas. */
static bool names_tag(const char *list, const char *tag) {
    const char *opaque = strchr(tag, '"'); /* compared weakly: without the W/ */
    for (const char *at = list; *at; at += *at == ',') {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ","), end = len;
        while (end && strchr(" \t", at[end - 1]))
            end--;
        const char *begin = strncmp(at, "W/", 2) == 0 ? at + 2 : at;
        if ((end == 1 && *at == '*') || ((size_t)(at + end - begin) == strlen(opaque) &&
                                         memcmp(begin, opaque, strlen(opaque)) == 0))
            return true;
        at += len;
    }
    return false;
}

static const char *tag_make(const char *body, size_t len, struct arena *arena) {
    enum { TAG_BYTES = 16 }; /* of the hash: nobody has both of two answers that share them */
    uint8_t hash[TLS_SHA256_BYTES];
    char tag[2 * TAG_BYTES + 5] = "W/\""; /* weak: packed and plain answers share it */
    tls_sha256(body, len, hash);
    for (size_t i = 0; i < TAG_BYTES; i++)
        snprintf(tag + 3 + 2 * i, 3, "%02x", hash[i]);
    strcat(tag, "\"");
    return arena_text(arena, tag, strlen(tag));
}

void content_tag(const struct server_request *request, struct server_response *response) {
    bool is_get = request->method == SERVER_GET || request->method == SERVER_HEAD;
    const char *body = response->static_body ? response->static_body : response->body.data;
    size_t len = response->static_body ? response->static_len : response->body.len;
    if (!is_get || response->status != 200 || len < TAG_BODY_BYTES_MIN)
        return;
    const char *tag = header_of(response, "ETag");
    if (!tag)
        server_response_header(response, "ETag", tag = tag_make(body, len, response->arena));
    const char *known = server_header(request, "if-none-match");
    if (known && names_tag(known, tag))
        response->status = 304;
}

/* ---- other sites ---- */

bool content_origin_is_allowed(const char *origins, const char *origin) {
    size_t len = strlen(origin);
    if (!origins || len == 0)
        return false;
    if (strcmp(origins, "*") == 0)
        return true;
    for (const char *at = origins; *at; at += *at == ',') {
        size_t each = strcspn(at, ",");
        if (each == len && strncasecmp(at, origin, len) == 0)
            return true;
        at += each;
    }
    return false;
}

/* Answers differ by origin unless all are allowed; caches must know. */
void content_allow_origin(const char *origins, const struct server_request *request,
                          struct server_response *response) {
    const char *origin = server_header(request, "origin");
    if (!origins || !*origins)
        return;
    bool everybody = strcmp(origins, "*") == 0;
    if (!everybody)
        server_response_header(response, "Vary", "Origin");
    if (!origin || !content_origin_is_allowed(origins, origin))
        return;
    server_response_header(response, "Access-Control-Allow-Origin", everybody ? "*" : origin);
    server_response_header(response, "Access-Control-Expose-Headers",
                           "Server-Timing, Retry-After, ETag");
}

bool content_is_preflight(const char *origins, const struct server_request *request) {
    const char *origin = server_header(request, "origin");
    return request->method == SERVER_OPTIONS && origin &&
           server_header(request, "access-control-request-method") &&
           content_origin_is_allowed(origins, origin);
}

void content_answer_preflight(struct server_response *response) {
    response->status = 204;
    server_response_header(response, "Access-Control-Allow-Methods",
                           "GET, HEAD, POST, PUT, PATCH, DELETE");
    server_response_header(response, "Access-Control-Allow-Headers",
                           "Authorization, Content-Type, X-Api-Key");
    server_response_header(response, "Access-Control-Max-Age", "86400");
}
