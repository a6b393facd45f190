#include "query/access.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "query/server/content.h"
#include "query/server/tls.h"

enum {
    KEY_FILE_BYTES_MAX = 1 << 20, /* some 10,000 keys: each request is compared with all */
    WORD_BYTES_MAX = 80,          /* a level, or 64 hex digits */
};

struct key {
    enum access_level level;
    uint8_t hash[TLS_SHA256_BYTES];
};

struct access {
    char *key_file, *hosts, *cors_origins;
    struct key *keys; /* [keys_n] */
    size_t keys_n;
};

/* ---- the key file ---- */

/* The next word of a line into `out`; false when there is none, or one longer than any we know. */
static bool next_word(const char **at, const char *end, char out[WORD_BYTES_MAX]) {
    while (*at < end && (**at == ' ' || **at == '\t'))
        (*at)++;
    size_t len = 0;
    while (*at + len < end && (*at)[len] != ' ' && (*at)[len] != '\t' && (*at)[len] != '\r')
        len++;
    if (len == 0 || len >= WORD_BYTES_MAX)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len;
    return true;
}

static bool parse_level(const char *word, enum access_level *out) {
    static const char *const names[] = {
        [ACCESS_READ] = "read", [ACCESS_WRITE] = "write", [ACCESS_ADMIN] = "admin"};
    for (int level = ACCESS_READ; level <= ACCESS_ADMIN; level++)
        if (strcmp(word, names[level]) == 0) {
            *out = (enum access_level)level;
            return true;
        }
    return false;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool parse_hash(const char *word, uint8_t out[TLS_SHA256_BYTES]) {
    if (strlen(word) != 2 * TLS_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < TLS_SHA256_BYTES; i++) {
        int high = hex_digit(word[2 * i]), low = hex_digit(word[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The message never holds the line: somebody may have written a key there. */
static bool parse_line(const char *at, const char *end, struct key *out, bool *empty,
                       struct error *err) {
    char level[WORD_BYTES_MAX], hash[WORD_BYTES_MAX];
    const char *begin = at + strspn(at, " \t\r\n");
    *empty = begin >= end || *begin == '#';
    if (*empty)
        return true;
    if (!next_word(&at, end, level) || !parse_level(level, &out->level))
        return error_set(err, ERROR_INVALID, "begins with neither read, write nor admin");
    if (!next_word(&at, end, hash) || !parse_hash(hash, out->hash))
        return error_set(err, ERROR_INVALID,
                         "the second word must be the key's SHA-256 as 64 hex digits (printf %%s "
                         "\"$KEY\" | sha256sum)");
    return true;
}

static bool keys_read(const char *path, struct key **out, size_t *n_out, struct error *err) {
    struct buf text = {0};
    if (!file_read(path, KEY_FILE_BYTES_MAX, &text, err))
        return false;
    struct key *keys = NULL;
    size_t n = 0, number = 1;
    const char *at = text.data ? text.data : "", *end = at + text.len;
    bool ok = true;
    for (const char *stop; ok && at < end; at = stop + 1, number++) {
        struct key key;
        bool empty;
        stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        ok = parse_line(at, stop, &key, &empty, err) || error_wrap(err, "%s:%zu: ", path, number);
        if (!ok || empty)
            continue;
        keys = mem_realloc(keys, n + 1, sizeof *keys);
        keys[n++] = key;
    }
    buf_done(&text);
    if (ok && n == 0)
        ok = error_set(err, ERROR_INVALID, "%s holds no key, so nobody could come in", path);
    if (!ok) {
        free(keys);
        return false;
    }
    *out = keys;
    *n_out = n;
    return true;
}

/* ---- life ---- */

bool access_open(const char *key_file, const char *hosts, const char *cors_origins,
                 struct access **out, struct error *err) {
    struct access *access = mem_zalloc(1, sizeof *access);
    access->key_file = key_file ? mem_strdup(key_file) : NULL;
    access->hosts = mem_strdup(hosts ? hosts : "");
    access->cors_origins = mem_strdup(cors_origins ? cors_origins : "");
    if (!access_reload(access, err)) {
        access_close(access);
        return false;
    }
    *out = access;
    return true;
}

void access_close(struct access *access) {
    if (!access)
        return;
    free(access->key_file);
    free(access->hosts);
    free(access->cors_origins);
    free(access->keys);
    free(access);
}

bool access_reload(struct access *access, struct error *err) {
    struct key *keys;
    size_t n;
    if (!access->key_file)
        return true;
    if (!keys_read(access->key_file, &keys, &n, err))
        return false;
    free(access->keys);
    access->keys = keys;
    access->keys_n = n;
    return true;
}

/* ---- a request ---- */

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

enum access_level access_level_of(const struct server_route *route) {
    static const char *const open[] = {"/", "/health", "/ready", "/openapi.json"};
    static const char *const upkeep[] = {"/compact", "/snapshot", "/check"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (route->method == SERVER_GET && strcmp(route->pattern, open[i]) == 0)
            return ACCESS_OPEN;
    for (size_t i = 0; i < sizeof upkeep / sizeof *upkeep; i++)
        if (ends_with(route->pattern, upkeep[i]))
            return ACCESS_ADMIN;
    if (route->method == SERVER_DELETE && ends_with(route->pattern, "/{c}"))
        return ACCESS_ADMIN;
    /* What changes something is on the writer's lane; what is neither asked for (GET) nor asked
     * (POST) is taken for a change wherever it runs. */
    bool asks = route->method == SERVER_GET || route->method == SERVER_POST;
    return route->lane == SERVER_LANE_WRITER || !asks ? ACCESS_WRITE : ACCESS_READ;
}

static const char *key_of(const struct server_request *request) {
    const char *header = server_header(request, "authorization");
    if (header && strncasecmp(header, "Bearer ", 7) == 0)
        return header + 7 + strspn(header + 7, " ");
    return server_header(request, "x-api-key");
}

/* Every key is compared, whether one fits or not: the time taken tells nothing. */
static enum access_level level_of_key(const struct access *access, const char *key) {
    uint8_t hash[TLS_SHA256_BYTES];
    enum access_level level = ACCESS_OPEN;
    tls_sha256(key, strlen(key), hash);
    for (size_t i = 0; i < access->keys_n; i++) {
        bool same = tls_same(hash, access->keys[i].hash);
        level = same && access->keys[i].level > level ? access->keys[i].level : level;
    }
    return level;
}

static bool refuse(struct server_refusal *refusal, int status, const char *code,
                   const char *message) {
    *refusal = (struct server_refusal){status, code, message};
    return false;
}

static bool admit_by_key(const struct access *access, enum access_level needed, const char *key,
                         struct server_refusal *refusal) {
    if (!key || !*key)
        return refuse(refusal, 401, "unauthorized",
                      "an API key is needed: send \"Authorization: Bearer KEY\" or "
                      "\"x-api-key: KEY\"");
    enum access_level level = level_of_key(access, key);
    if (level == ACCESS_OPEN)
        return refuse(refusal, 401, "unauthorized", "this API key is not known here");
    if (level < needed)
        return refuse(refusal, 403, "forbidden",
                      needed == ACCESS_ADMIN ? "this needs an admin key"
                                             : "this needs a write key; the given one may read");
    return true;
}

/* The Host header's name without its port is one that loopback has, or one of the list. */
static bool host_is_ours(const struct access *access, const char *host) {
    static const char loopback[] = "localhost,127.0.0.1,[::1]";
    const char *lists[] = {loopback, access->hosts};
    const char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
    size_t len = bracket ? (size_t)(bracket - host) + 1 : strcspn(host, ":");
    for (size_t i = 0; i < 2; i++)
        for (const char *at = lists[i]; *at; at += *at == ',') {
            size_t name_len = strcspn(at, ",");
            if (name_len == len && len > 0 && strncasecmp(at, host, len) == 0)
                return true;
            at += name_len;
        }
    return false;
}

/* A page that this very server gave out, by the name it was asked for, or one that was allowed. */
static bool origin_is_ours(const struct access *access, const char *origin, const char *host) {
    const char *name = strstr(origin, "://");
    return (name && host && strcasecmp(name + 3, host) == 0) ||
           content_origin_is_allowed(access->cors_origins, origin);
}

bool access_admit(void *context, const struct server_route *route,
                  const struct server_request *request, struct server_refusal *refusal) {
    const struct access *access = context;
    enum access_level needed = access_level_of(route);
    if (access->key_file)
        return needed == ACCESS_OPEN || admit_by_key(access, needed, key_of(request), refusal);
    const char *host = server_header(request, "host");
    if (host && !host_is_ours(access, host)) /* HTTP/1.0 from a plain tool has none */
        return refuse(refusal, 421, "unknown_host",
                      "this server is asked for by a name that it does not go by: use localhost or "
                      "127.0.0.1, or start it with --hosts NAME or with API keys");
    const char *origin = server_header(request, "origin");
    if (origin && request->method != SERVER_GET && request->method != SERVER_HEAD &&
        !origin_is_ours(access, origin, host))
        return refuse(refusal, 403, "foreign_origin",
                      "a page of another site sent this: start the server with --cors ORIGIN to "
                      "allow it, or with API keys");
    return true;
}
