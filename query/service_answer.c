/* POST /v1/collections/{c}/answer: a search, and what a language model makes of its best passages.
 *
 * On SERVER_LANE_REMOTE: most of the time is spent waiting for the model. The search is the search
 * route's own handler, called with what it knows of the request; what it refuses is refused so. */
#include <string.h>

#include "engine/base/clock.h"
#include "query/chat_prompt.h"
#include "query/chat_reply.h"
#include "query/service_inside.h"

enum {
    SOURCES_DEFAULT = 5,
    /* Proxies and browsers give up lines on which nothing comes for a minute or less. */
    COMMENT_MS = 10 * 1000,
};

/* One answer on its way. */
struct talk {
    const struct chat_model *model;
    const struct server_request *request;
    struct server_response *response;
    const char *question;
    size_t question_len;
    bool streams;
    struct chat_source sources[CHAT_SOURCES_MAX];
    size_t sources_n;
    double begun_ms, searched_ms, first_ms, told_ms;
    struct chat_reply reply;
    size_t told_len; /* of its words: sent already */
    bool is_bad;     /* what came is no answer; err says why */
    struct error err;
};

/* ---- the request ---- */

static bool refuse(struct server_response *response, const char *field, const char *message) {
    server_response_error(response, 400, "bad_request", field, "%s", message);
    return false;
}

/* Takes out what is the answer's own; the rest, in search_out, is for the search. */
static bool read_body(const struct json *body, struct talk *talk, struct json *search_out) {
    static const char *const queries[] = {"query", "like", "dense", "sparse", "multi"};
    const struct json *question = json_get(body, "question"), *k = json_get(body, "k");
    struct error err;
    bool has_query = false, has_text = true;
    if (json_kind_of(question) == JSON_KIND_STRING)
        talk->question = json_string_of(question, &talk->question_len);
    if (talk->question_len == 0)
        return refuse(talk->response, "question",
                      "\"question\" must be a string that is not empty");
    if (talk->question_len > CHAT_QUESTION_BYTES_MAX)
        return refuse(talk->response, "question", "\"question\" has more than 4,096 bytes");
    if (!json_read_bool(body, "stream", &talk->streams, &err))
        return refuse(talk->response, "stream", err.message);
    if (!json_read_bool(body, "text", &has_text, &err) || !has_text)
        return refuse(talk->response, "text", "an answer is made of texts");
    if (json_kind_of(k) == JSON_KIND_NUMBER && json_number_of(k) > CHAT_SOURCES_MAX)
        return refuse(talk->response, "k", "an answer has at most 20 sources");
    for (void *at = json_first(body); at; at = json_next(body, at)) {
        const char *name = json_member_key(at);
        if (strcmp(name, "question") != 0 && strcmp(name, "stream") != 0)
            json_add(search_out, name, json_copy_of(json_member_value(at)));
    }
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        has_query |= json_get(search_out, queries[i]) != NULL;
    if (!has_query)
        json_add(search_out, "query", json_copy_of(question));
    if (!json_get(search_out, "highlight")) /* which part of a long text matters */
        json_add_bool(search_out, "highlight", true);
    if (json_kind_of(k) == JSON_KIND_NULL)
        json_add_number(search_out, "k", SOURCES_DEFAULT);
    return true;
}

/* The search's answer; NULL when it was refused, and the response says so. */
static struct json *search(struct service *service, size_t worker, struct talk *talk,
                           const struct json *body) {
    struct server_request inner = *talk->request;
    struct server_response *response = talk->response;
    struct buf text = {0};
    struct error err;
    json_print(body, &text);
    inner.body = text.data;
    inner.body_len = text.len;
    inner.prepared = NULL;
    service_search(service, service->options.workers_n + worker, &inner, response);
    buf_done(&text);
    if (response->status != 200)
        return NULL;
    struct json *answer = json_parse(response->body.data, response->body.len, &err);
    buf_clear(&response->body);
    if (!answer)
        server_response_failure(response, &err);
    return answer;
}

/* ---- what the client hears ---- */

static bool tell(struct talk *talk, const char *event, struct json *data) {
    struct buf *body = &talk->response->body;
    buf_format(body, "event: %s\ndata: ", event);
    json_print(data, body);
    buf_text(body, "\n\n");
    json_release(data);
    talk->told_ms = clock_now_ms();
    return server_response_flush(talk->response);
}

static struct json *sources_json(const struct talk *talk) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < talk->sources_n; i++)
        json_push(list, chat_source_json(&talk->sources[i], i + 1));
    return list;
}

static void begin(struct talk *talk) {
    struct server_response *response = talk->response;
    response->content_type = "text/event-stream";
    server_response_header(response, "Cache-Control", "no-store");
    server_response_header(response, "X-Accel-Buffering", "no"); /* nginx would collect it */
    struct json *data = json_new_object();
    json_add(data, "sources", sources_json(talk));
    tell(talk, "sources", data);
}

static bool tell_words(struct talk *talk) {
    const struct buf *answer = &talk->reply.answer;
    if (answer->len == talk->told_len)
        return true;
    if (talk->told_len == 0)
        talk->first_ms = clock_now_ms();
    struct json *data = json_new_object();
    json_add(data, "text",
             json_new_string(answer->data + talk->told_len, answer->len - talk->told_len));
    talk->told_len = answer->len;
    if (talk->streams)
        return tell(talk, "delta", data);
    json_release(data);
    return true;
}

static void fail(struct talk *talk, int status, const char *code, const char *message) {
    if (!talk->streams) {
        server_response_error(talk->response, status, code, NULL, "%s", message);
        return;
    }
    struct json *data = json_new_object(), *error = json_new_object();
    json_add_string(error, "code", code);
    json_add_string(error, "message", message);
    json_add(error, "field", json_new_null());
    json_add(data, "error", error);
    tell(talk, "error", data);
}

/* {"cited","finish","model","took_ms"} */
static void finish(struct talk *talk) {
    const struct chat_reply *reply = &talk->reply;
    struct json *data = json_new_object(), *cited = json_new_array(), *took = json_new_object();
    const char *words = reply->answer.len ? reply->answer.data : "";
    size_t numbers[CHAT_SOURCES_MAX];
    size_t n = chat_cited(words, reply->answer.len, talk->sources_n, numbers);
    double now_ms = clock_now_ms();
    for (size_t i = 0; i < n; i++)
        json_push(cited, json_new_number((double)numbers[i]));
    if (!talk->streams) {
        json_add(data, "answer", json_new_string(words, reply->answer.len));
        json_add(data, "sources", sources_json(talk));
    }
    json_add(data, "cited", cited);
    json_add_string(data, "finish",
                    talk->sources_n == 0                 ? "no_sources"
                    : reply->is_short || reply->too_long ? "length"
                                                         : "stop");
    json_add_string(data, "model", talk->model->name);
    json_add_number(took, "search", talk->searched_ms - talk->begun_ms);
    if (talk->first_ms > 0)
        json_add_number(took, "first_words", talk->first_ms - talk->searched_ms);
    json_add_number(took, "total", now_ms - talk->begun_ms);
    json_add(data, "took_ms", took);
    server_response_stage(talk->response, "chat", now_ms - talk->searched_ms);
    if (talk->streams)
        tell(talk, "done", data);
    else
        service_respond(talk->response, data);
}

/* ---- the model ---- */

static bool is_awaited(void *context) {
    struct talk *talk = context;
    if (talk->streams && clock_now_ms() - talk->told_ms > COMMENT_MS) {
        buf_text(&talk->response->body, ": waiting\n\n");
        talk->told_ms = clock_now_ms();
        server_response_flush(talk->response);
    }
    return !server_request_cancelled(talk->request);
}

static bool take(void *context, const char *content_type, const char *bytes, size_t len) {
    struct talk *talk = context;
    talk->is_bad = !chat_reply_take(&talk->reply, content_type, bytes, len, &talk->err);
    return tell_words(talk) && !talk->is_bad && !talk->reply.too_long;
}

static void ask(struct talk *talk) {
    const struct chat_sink sink = {talk, is_awaited, take};
    struct buf body = {0};
    struct error err;
    chat_request_print(talk->model, talk->question, talk->question_len, talk->sources,
                       talk->sources_n, &body);
    enum chat_result result =
        talk->model->ask(talk->model->context, body.data, body.len, &sink, &err);
    buf_done(&body);
    if (result == CHAT_DONE && server_request_cancelled(talk->request)) {
        error_set(&err, ERROR_STOPPED, "nobody waits for this any more");
        result = CHAT_STOPPED;
    }
    if (result == CHAT_DONE && !talk->is_bad)
        talk->is_bad = !chat_reply_end(&talk->reply, &talk->err);
    if (result == CHAT_STOPPED)
        fail(talk, 503, "stopped", err.message);
    else if (result == CHAT_LATE)
        fail(talk, 504, "model_late", err.message);
    else if (result == CHAT_FAILED)
        fail(talk, 502, "model_failed", err.message);
    else if (talk->is_bad)
        fail(talk, 502, "model_failed", talk->err.message);
    else if (tell_words(talk))
        finish(talk);
}

static void answer(struct service *service, size_t worker, struct talk *talk,
                   const struct json *body) {
    struct json *found = search(service, worker, talk, body);
    if (!found)
        return;
    talk->sources_n = chat_sources(json_get(found, "hits"), talk->sources);
    talk->searched_ms = clock_now_ms();
    if (talk->streams)
        begin(talk);
    if (talk->sources_n == 0)
        finish(talk); /* a model that is asked about nothing makes something up */
    else
        ask(talk);
    chat_reply_done(&talk->reply);
    json_release(found);
}

void service_answer(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    struct service *service = context;
    struct talk talk = {.model = service->options.chat,
                        .request = request,
                        .response = response,
                        .streams = true,
                        .begun_ms = clock_now_ms()};
    struct error err;
    if (!talk.model) {
        server_response_error(response, 422, "unsupported", NULL,
                              "this server gives no answers: start it with --answer-url "
                              "http://127.0.0.1:11434/v1 --answer-model NAME");
        return;
    }
    struct json *body = json_parse(request->body, request->body_len, &err);
    struct json *rest = json_new_object();
    if (!body)
        server_response_error(response, 400, "bad_request", NULL, "%s", err.message);
    else if (read_body(body, &talk, rest))
        answer(service, worker, &talk, rest);
    json_release(rest);
    json_release(body);
}
