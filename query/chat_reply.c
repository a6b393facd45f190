#include "query/chat_reply.h"

#include <string.h>
#include <strings.h>

#include "engine/base/json.h"
#include "query/chat_prompt.h"

void chat_reply_done(struct chat_reply *reply) {
    buf_done(&reply->answer);
    buf_done(&reply->line);
}

static void add_words(struct chat_reply *reply, const char *words, size_t len) {
    size_t room = CHAT_ANSWER_BYTES_MAX - reply->answer.len;
    size_t kept = chat_cut(words, len, room);
    buf_append(&reply->answer, words, kept);
    reply->too_long |= kept < len;
}

/* {"choices":[{"delta" or "message":{"content"},"finish_reason"}]}; "choices" may be empty, and
 * "content" null or missing, where an event brings something else. */
static bool take_object(struct chat_reply *reply, const struct json *root, const char *member,
                        struct error *err) {
    if (json_get(root, "error"))
        return error_set(err, ERROR_IO, "the chat model reports an error");
    const struct json *choices = json_get(root, "choices");
    const struct json *choice = json_at(choices, 0);
    const struct json *content = json_get(json_get(choice, member), "content");
    if (json_kind_of(root) != JSON_KIND_OBJECT || json_kind_of(choices) != JSON_KIND_ARRAY ||
        (content && json_kind_of(content) != JSON_KIND_NULL &&
         json_kind_of(content) != JSON_KIND_STRING))
        return error_set(err, ERROR_CORRUPT,
                         "the chat model sends JSON that is no chat completion");
    if (json_kind_of(content) == JSON_KIND_STRING) {
        size_t len;
        const char *words = json_string_of(content, &len);
        add_words(reply, words, len);
    }
    const struct json *reason = json_get(choice, "finish_reason");
    if (json_kind_of(reason) == JSON_KIND_STRING) {
        reply->ended = true;
        reply->is_short = strcmp(json_string_of(reason, NULL), "length") == 0;
    }
    return true;
}

static bool take_json(struct chat_reply *reply, const char *text, size_t len, const char *member,
                      struct error *err) {
    struct error ignored; /* its message quotes the text */
    struct json *root = json_parse(text, len, &ignored);
    bool ok = root ? take_object(reply, root, member, err)
                   : error_set(err, ERROR_CORRUPT, "the chat model sends what is no JSON");
    json_release(root);
    return ok;
}

/* A line of events without its end. Comments, event names and ids say nothing here. */
static bool take_line(struct chat_reply *reply, const char *line, size_t len, struct error *err) {
    if (len && line[len - 1] == '\r')
        len--;
    if (len < 5 || memcmp(line, "data:", 5) != 0)
        return true;
    line += 5, len -= 5;
    if (len && *line == ' ')
        line++, len--;
    if (len == 6 && memcmp(line, "[DONE]", 6) == 0) {
        reply->ended = true;
        return true;
    }
    return take_json(reply, line, len, "delta", err);
}

static bool take_events(struct chat_reply *reply, const char *bytes, size_t len,
                        struct error *err) {
    struct buf *line = &reply->line;
    while (len > 0 && !reply->too_long) {
        const char *stop = memchr(bytes, '\n', len);
        size_t part = stop ? (size_t)(stop - bytes) : len;
        if (line->len + part > CHAT_LINE_BYTES_MAX)
            return error_set(err, ERROR_LIMIT, "the chat model sends a line of more than %d bytes",
                             CHAT_LINE_BYTES_MAX);
        buf_append(line, bytes, part);
        if (!stop)
            break;
        if (!take_line(reply, line->data, line->len, err))
            return false;
        buf_clear(line);
        bytes += part + 1;
        len -= part + 1;
    }
    return true;
}

static bool is_type(const char *content_type, const char *type) {
    size_t len = strlen(type);
    return strncasecmp(content_type, type, len) == 0 && strchr("; \t", content_type[len]);
}

bool chat_reply_take(struct chat_reply *reply, const char *content_type, const char *bytes,
                     size_t len, struct error *err) {
    if (!reply->has_kind) {
        reply->has_kind = true;
        reply->is_events = is_type(content_type, "text/event-stream");
        if (!reply->is_events && !is_type(content_type, "application/json"))
            return error_set(err, ERROR_CORRUPT,
                             "the chat model answers neither with events nor with JSON: is its "
                             "address right?");
    }
    reply->bytes_n += len;
    size_t max = reply->is_events ? CHAT_REPLY_BYTES_MAX : CHAT_LINE_BYTES_MAX;
    if (reply->bytes_n > max)
        return error_set(err, ERROR_LIMIT, "the chat model sends more than %zu bytes", max);
    if (reply->is_events)
        return take_events(reply, bytes, len, err);
    buf_append(&reply->line, bytes, len);
    return true;
}

bool chat_reply_end(struct chat_reply *reply, struct error *err) {
    if (reply->too_long)
        return true;
    if (reply->has_kind && !reply->is_events)
        return take_json(reply, reply->line.len ? reply->line.data : "", reply->line.len, "message",
                         err);
    if (reply->line.len && !take_line(reply, reply->line.data, reply->line.len, err))
        return false;
    return reply->ended || error_set(err, ERROR_CORRUPT, "the chat model's answer was cut off");
}
