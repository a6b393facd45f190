#include "engine/hub_http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/buf.h"
#include "engine/base/mem.h"

enum {
    REDIRECTS_MAX = 8,           /* the hub needs one or two */
    CONNECT_MAX_S = 20,          /* for name, connection and TLS together */
    STALL_BYTES_S = 1024,        /* slower than this for stall_s seconds is a stall */
    TOKEN_LEN_MAX = 1024,        /* the hub's have 37 letters */
    REFUSAL_BYTES_MAX = 1 << 20, /* of the page that comes with a refusal; it is not read */
};

/* What decides whether two addresses are the same place. */
struct origin {
    char scheme[8], host[256], port[8];
};

struct http_client {
    CURL *curl;
    struct origin home;  /* the endpoint's: where the token may go */
    char *authorization; /* "Authorization: Bearer ..."; NULL: none */
    uint32_t stall_s;
};

/* One answer as it comes in. */
struct answer {
    struct http_client *client;
    const struct http_sink *sink;
    const char *host; /* for messages */
    uint64_t from;    /* the first byte that was asked for */
    uint64_t range_first, range_total;
    bool has_range, begun, refused_by_sink;
    uint64_t refusal_bytes;
    uint32_t retry_after_s;
    struct error error; /* of the sink, or of an answer that contradicts itself */
};

/* ---- addresses ---- */

static bool copy_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size) {
    char *text = NULL;
    bool ok = curl_url_get(url, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (ok)
        snprintf(out, size, "%s", text);
    curl_free(text);
    return ok;
}

static bool origin_parse(const char *text, struct origin *out, struct error *err) {
    struct origin origin = {0};
    CURLU *url = curl_url();
    bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
              copy_part(url, CURLUPART_SCHEME, 0, origin.scheme, sizeof origin.scheme) &&
              copy_part(url, CURLUPART_HOST, 0, origin.host, sizeof origin.host) &&
              copy_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, origin.port, sizeof origin.port);
    curl_url_cleanup(url);
    if (!ok || (strcmp(origin.scheme, "http") != 0 && strcmp(origin.scheme, "https") != 0))
        return error_set(err, ERROR_INVALID, "not an address of http:// or https://");
    *out = origin;
    return true;
}

static bool origin_same(const struct origin *a, const struct origin *b) {
    return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

char *http_escape(const char *text, const char *kept) {
    struct buf out = {0};
    buf_reserve(&out, strlen(text) + 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) || strchr(kept, c))
            buf_append(&out, text, 1);
        else
            buf_format(&out, "%%%02X", c);
    }
    return out.data;
}

/* ---- opening ---- */

/* A line end inside would let a token write headers of its own. */
static bool token_is_plain(const char *token, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return len <= TOKEN_LEN_MAX;
}

/* Blanks and line ends around it, as an environment variable often has them, are passed over. */
static bool set_token(struct http_client *client, const char *token, struct error *err) {
    struct buf header = {0};
    token += strspn(token, " \t\r\n");
    size_t len = strlen(token);
    while (len && strchr(" \t\r\n", token[len - 1]))
        len--;
    if (!len)
        return true;
    if (!token_is_plain(token, len))
        return error_set(err, ERROR_INVALID,
                         "HF_TOKEN: holds what no token holds (it is not shown)");
    buf_format(&header, "Authorization: Bearer %.*s", (int)len, token);
    client->authorization = header.data;
    return true;
}

bool http_open(const char *endpoint, const char *token, uint32_t stall_s, struct http_client **out,
               struct error *err) {
    struct http_client *client = mem_zalloc(1, sizeof *client);
    client->stall_s = stall_s;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client->curl = curl_easy_init())) {
        error_set(err, ERROR_IO, "libcurl does not start");
        goto failed;
    }
    if (!origin_parse(endpoint, &client->home, err)) {
        error_wrap(err, "HF_ENDPOINT: ");
        goto failed;
    }
    if (token && !set_token(client, token, err))
        goto failed;
    *out = client;
    return true;
failed:
    http_close(client);
    return false;
}

void http_close(struct http_client *client) {
    if (!client)
        return;
    if (client->curl)
        curl_easy_cleanup(client->curl);
    if (client->authorization)
        explicit_bzero(client->authorization, strlen(client->authorization));
    free(client->authorization);
    free(client);
}

/* ---- an answer ---- */

/* "bytes FIRST-LAST/TOTAL", TOTAL perhaps "*". */
static bool parse_content_range(const char *value, uint64_t *first_out, uint64_t *total_out) {
    uint64_t first, last, total = HTTP_SIZE_UNKNOWN;
    int used = 0;
    if (sscanf(value, " bytes %" SCNu64 "-%" SCNu64 "/%n", &first, &last, &used) != 2 || !used ||
        last < first)
        return false;
    if (value[used] != '*' && (sscanf(value + used, "%" SCNu64, &total) != 1 || total <= last))
        return false;
    *first_out = first;
    *total_out = total;
    return true;
}

static size_t on_header(char *line, size_t unit, size_t n, void *context) {
    struct answer *answer = context;
    char text[256];
    size_t len = unit * n, kept = len < sizeof text ? len : sizeof text - 1;
    memcpy(text, line, kept);
    text[kept] = '\0';
    if (strncmp(text, "HTTP/", 5) == 0) { /* a new answer begins, perhaps behind a proxy's */
        answer->has_range = false;
        answer->retry_after_s = 0;
    } else if (strncasecmp(text, "Content-Range:", 14) == 0) {
        answer->has_range =
            parse_content_range(text + 14, &answer->range_first, &answer->range_total);
    } else if (strncasecmp(text, "Retry-After:", 12) == 0) {
        /* Seconds; a date, the other form, reads as 0: then our own pauses count. */
        unsigned long seconds = strtoul(text + 12, NULL, 10);
        answer->retry_after_s = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
    }
    return len;
}

static long status_of(const struct answer *answer) {
    long status = 0;
    curl_easy_getinfo(answer->client->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Checks that the answer is to our question and tells the sink where it begins. */
static bool begin_body(struct answer *answer) {
    curl_off_t length = -1;
    struct error *err = &answer->error;
    uint64_t from = 0, total = HTTP_SIZE_UNKNOWN;
    answer->begun = true;
    if (status_of(answer) == 206) {
        if (!answer->has_range || answer->range_first != answer->from) {
            error_set(err, ERROR_CORRUPT,
                      "%s: asked for the bytes from %" PRIu64 " on, answered with others",
                      answer->host, answer->from);
            answer->refused_by_sink = true;
            return false;
        }
        from = answer->from;
        total = answer->range_total;
    } else {
        curl_easy_getinfo(answer->client->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        total = length >= 0 ? (uint64_t)length : HTTP_SIZE_UNKNOWN;
    }
    answer->refused_by_sink = !answer->sink->begin(answer->sink->context, from, total, err);
    return !answer->refused_by_sink;
}

static size_t on_body(char *data, size_t unit, size_t n, void *context) {
    struct answer *answer = context;
    size_t len = unit * n;
    long status = status_of(answer);
    if (status != 200 && status != 206) {
        answer->refusal_bytes += len;
        return answer->refusal_bytes <= REFUSAL_BYTES_MAX ? len : CURL_WRITEFUNC_ERROR;
    }
    if (!answer->begun && !begin_body(answer))
        return CURL_WRITEFUNC_ERROR;
    answer->refused_by_sink =
        !answer->sink->write(answer->sink->context, data, len, &answer->error);
    return answer->refused_by_sink ? CURL_WRITEFUNC_ERROR : len;
}

/* ---- one request ---- */

const char *http_certificates(void) {
    static const char *const variables[] = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                                            "SSL_CERT_FILE"};
    for (size_t i = 0; i < 3; i++) {
        const char *path = getenv(variables[i]);
        if (path && *path)
            return path;
    }
    return NULL;
}

static CURLcode perform(struct answer *answer, const char *url, bool with_token) {
    struct http_client *client = answer->client;
    CURL *curl = client->curl;
    struct curl_slist *headers = NULL;
    char range[32];
    curl_easy_reset(curl); /* keeps the connections */
    if (with_token && client->authorization)
        headers = curl_slist_append(headers, client->authorization);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tercet");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_MAX_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)client->stall_s);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (http_certificates())
        curl_easy_setopt(curl, CURLOPT_CAINFO, http_certificates());
    if (answer->from) {
        snprintf(range, sizeof range, "%" PRIu64 "-", answer->from);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    return code;
}

static enum http_result broken_off(const struct answer *answer, CURLcode code, struct error *err) {
    if (answer->refused_by_sink) {
        *err = answer->error;
        return HTTP_FAILED;
    }
    error_set(err, ERROR_IO, "%s: %s", answer->host, curl_easy_strerror(code));
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR: return HTTP_AGAIN;
    default: return HTTP_FAILED;
    }
}

static enum http_result refusal(const struct answer *answer, long status, struct error *err) {
    if (status == 401 || status == 403)
        error_set(err, ERROR_INVALID,
                  "%s: access denied (%ld); a private or gated model needs HF_TOKEN, and its terms "
                  "accepted on its page",
                  answer->host, status);
    else if (status == 404)
        error_set(err, ERROR_NOT_FOUND, "%s: not there (404)", answer->host);
    else
        error_set(err, ERROR_IO, "%s: answers %ld", answer->host, status);
    return status == 408 || status == 429 || status >= 500 ? HTTP_AGAIN : HTTP_FAILED;
}

/* An empty body calls nobody; the sink hears of it here. */
static enum http_result finish_body(struct answer *answer, struct error *err) {
    if (answer->begun || begin_body(answer))
        return HTTP_DONE;
    *err = answer->error;
    return HTTP_FAILED;
}

/* The next address in *url, owned by the caller; false with *err. */
static bool follow(struct http_client *client, char **url, struct origin *at, struct error *err) {
    char *next = NULL;
    struct origin origin;
    curl_easy_getinfo(client->curl, CURLINFO_REDIRECT_URL, &next);
    if (!next)
        return error_set(err, ERROR_CORRUPT, "%s: redirects to nowhere", at->host);
    if (!origin_parse(next, &origin, err))
        return error_wrap(err, "%s redirects: ", at->host);
    if (strcmp(at->scheme, "https") == 0 && strcmp(origin.scheme, "https") != 0)
        return error_set(err, ERROR_INVALID, "%s redirects from https to http on %s: refused",
                         at->host, origin.host);
    free(*url);
    *url = mem_strdup(next);
    *at = origin;
    return true;
}

enum http_result http_get(struct http_client *client, const char *url, uint64_t from,
                          const struct http_sink *sink, uint32_t *retry_after_s_out,
                          struct error *err) {
    struct origin at;
    char *current = mem_strdup(url);
    enum http_result result = HTTP_FAILED;
    *retry_after_s_out = 0;
    if (!origin_parse(current, &at, err))
        goto out;
    for (size_t redirects_n = 0;; redirects_n++) {
        struct answer answer = {.client = client, .sink = sink, .host = at.host, .from = from};
        if (redirects_n > REDIRECTS_MAX) {
            error_set(err, ERROR_LIMIT, "%s: more than %d redirects", client->home.host,
                      REDIRECTS_MAX);
            break;
        }
        CURLcode code = perform(&answer, current, origin_same(&at, &client->home));
        long status = status_of(&answer);
        *retry_after_s_out = answer.retry_after_s;
        if (code != CURLE_OK)
            result = broken_off(&answer, code, err);
        else if (status == 200 || status == 206)
            result = finish_body(&answer, err);
        else if (status < 300 || status > 399 || status == 304)
            result = refusal(&answer, status, err);
        else if (follow(client, &current, &at, err))
            continue;
        break;
    }
out:
    free(current);
    return result;
}
