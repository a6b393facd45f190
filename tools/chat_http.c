#include "tools/chat_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/hub_http.h"

enum {
    CONNECT_MAX_S = 10,   /* for name, connection and TLS together */
    LOOK_MS = 100,        /* how often it is asked whether anybody still waits */
    KEY_BYTES_MAX = 4096, /* OpenAI's have 164 letters, tokens of clouds some thousand */
};

struct chat_http {
    struct chat_model model;
    char *url, *name;
    char *authorization; /* "Authorization: Bearer ..."; NULL: none */
    bool is_loopback;    /* where no proxy is asked */
    uint32_t wait_s, total_s;
};

/* One question under way. */
struct call {
    const struct chat_http *http;
    const struct chat_sink *sink;
    CURL *curl;
    double last_ms;  /* when something came */
    bool is_refused; /* the status is not 200 */
    bool is_enough;  /* the sink wants no more */
};

/* ---- opening ---- */

static bool is_loopback(const char *host) {
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* Its parts are not repeated in messages: somebody may have written a key into it. */
static bool read_url(struct chat_http *http, const char *text, struct error *err) {
    char *scheme = NULL, *host = NULL, *user = NULL, *query = NULL;
    CURLU *url = curl_url();
    bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
              curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    bool plain = ok && curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
                 curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_NO_QUERY;
    if (!ok)
        error_set(err, ERROR_INVALID, "--answer-url: not an address of http:// or https://");
    else if (!plain)
        error_set(err, ERROR_INVALID,
                  "--answer-url: no name, password or \"?\" in it; a key comes from "
                  "--answer-key-file");
    if (plain) {
        struct buf whole = {0};
        size_t len = strlen(text);
        while (len && text[len - 1] == '/')
            len--;
        buf_format(&whole, "%.*s/chat/completions", (int)len, text);
        http->url = whole.data;
        http->is_loopback = is_loopback(host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(query);
    curl_url_cleanup(url);
    return plain;
}

/* The first line; a line end inside a key would let it write headers of its own. */
static bool read_key(struct chat_http *http, const char *path, struct error *err) {
    struct buf text = {0}, header = {0};
    if (!file_read(path, KEY_BYTES_MAX, &text, err))
        return false;
    const char *key = text.len ? text.data : "";
    size_t len = strcspn(key, "\r\n"), plain = 0;
    while (plain < len && key[plain] > ' ' && key[plain] <= '~')
        plain++;
    bool ok = len > 0 && plain == len;
    if (ok) {
        buf_format(&header, "Authorization: Bearer %.*s", (int)len, key);
        http->authorization = header.data;
    } else {
        error_set(err, ERROR_INVALID, "%s: its first line is no key (it is not shown)", path);
    }
    if (text.data)
        explicit_bzero(text.data, text.len);
    buf_done(&text);
    return ok;
}

static enum chat_result ask(void *context, const char *body, size_t body_len,
                            const struct chat_sink *sink, struct error *err);

bool chat_http_open(const struct chat_http_options *options, struct chat_http **out,
                    struct error *err) {
    struct chat_http *http = mem_zalloc(1, sizeof *http);
    bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ||
              error_set(err, ERROR_IO, "libcurl does not start");
    if (!ok || !read_url(http, options->url, err) ||
        (options->key_file && !read_key(http, options->key_file, err))) {
        chat_http_close(http);
        return false;
    }
    http->name = mem_strdup(options->name);
    http->wait_s = options->wait_s ? options->wait_s : CHAT_HTTP_WAIT_DEFAULT_S;
    http->total_s = options->total_s ? options->total_s : CHAT_HTTP_TOTAL_DEFAULT_S;
    http->model = (struct chat_model){http, http->name, options->tokens_max, ask};
    *out = http;
    return true;
}

void chat_http_close(struct chat_http *http) {
    if (!http)
        return;
    if (http->authorization)
        explicit_bzero(http->authorization, strlen(http->authorization));
    free(http->authorization);
    free(http->url);
    free(http->name);
    free(http);
}

const struct chat_model *chat_http_model(const struct chat_http *http) {
    return &http->model;
}

/* ---- an answer ---- */

static long status_of(const struct call *call) {
    long status = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t on_body(char *data, size_t unit, size_t n, void *context) {
    struct call *call = context;
    const char *type = NULL;
    call->last_ms = clock_now_ms();
    call->is_refused = status_of(call) != 200;
    if (call->is_refused)
        return CURL_WRITEFUNC_ERROR; /* what it says beside that is not for anybody here */
    curl_easy_getinfo(call->curl, CURLINFO_CONTENT_TYPE, &type);
    call->is_enough = !call->sink->take(call->sink->context, type ? type : "", data, unit * n);
    return call->is_enough ? CURL_WRITEFUNC_ERROR : unit * n;
}

static struct curl_slist *headers_of(const struct chat_http *http) {
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Accept: text/event-stream, application/json");
    list = curl_slist_append(list, "Expect:");
    return http->authorization ? curl_slist_append(list, http->authorization) : list;
}

static void set_options(struct call *call, const char *body, size_t body_len,
                        struct curl_slist *headers) {
    CURL *curl = call->curl;
    curl_easy_setopt(curl, CURLOPT_URL, call->http->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tercet");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_MAX_S);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    if (call->http->is_loopback)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (http_certificates())
        curl_easy_setopt(curl, CURLOPT_CAINFO, http_certificates());
}

static enum chat_result late(struct error *err, const char *what, uint32_t s) {
    error_set(err, ERROR_STOPPED, "the chat model %s within %u s", what, s);
    return CHAT_LATE;
}

/* Until curl has a result (CHAT_DONE, with *code_out), or it was given up. */
static enum chat_result drive(struct call *call, CURLM *multi, CURLcode *code_out,
                              struct error *err) {
    const struct chat_http *http = call->http;
    double begun_ms = call->last_ms;
    for (int running = 1, left;;) {
        curl_multi_perform(multi, &running);
        const CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            *code_out = message->data.result;
            return CHAT_DONE;
        }
        if (!call->sink->alive(call->sink->context)) {
            error_set(err, ERROR_STOPPED, "nobody waits for this any more");
            return CHAT_STOPPED;
        }
        double now_ms = clock_now_ms();
        if (now_ms - call->last_ms > 1000.0 * http->wait_s)
            return late(err, "said nothing", http->wait_s);
        if (now_ms - begun_ms > 1000.0 * http->total_s)
            return late(err, "did not finish", http->total_s);
        curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL);
    }
}

static enum chat_result refusal(long status, struct error *err) {
    const char *why = status == 401 || status == 403  ? "it does not take this server's key"
                      : status == 404                 ? "it has no such path, or no such model"
                      : status == 429                 ? "it is asked too often"
                      : status >= 300 && status < 400 ? "it redirects, which is not followed"
                                                      : "see its log";
    error_set(err, ERROR_IO, "the chat model answers %ld: %s", status, why);
    return CHAT_FAILED;
}

static enum chat_result result_of(const struct call *call, CURLcode code, struct error *err) {
    long status = status_of(call);
    if (call->is_enough)
        return CHAT_DONE;
    if (call->is_refused || (code == CURLE_OK && status != 200))
        return refusal(status, err);
    if (code == CURLE_OK)
        return CHAT_DONE;
    error_set(err, ERROR_IO, "the chat model: %s", curl_easy_strerror(code));
    if (code != CURLE_OPERATION_TIMEDOUT)
        return CHAT_FAILED;
    return CHAT_LATE; /* only connecting has a time of curl's own */
}

static enum chat_result ask(void *context, const char *body, size_t body_len,
                            const struct chat_sink *sink, struct error *err) {
    struct call call = {.http = context, .sink = sink, .last_ms = clock_now_ms()};
    struct curl_slist *headers = headers_of(call.http);
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_OK;
    call.curl = curl_easy_init();
    enum chat_result result = CHAT_FAILED;
    if (multi && call.curl) {
        set_options(&call, body, body_len, headers);
        curl_multi_add_handle(multi, call.curl);
        result = drive(&call, multi, &code, err);
        if (result == CHAT_DONE)
            result = result_of(&call, code, err);
        curl_multi_remove_handle(multi, call.curl);
    } else {
        error_set(err, ERROR_IO, "libcurl does not start");
    }
    curl_easy_cleanup(call.curl);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    return result;
}
