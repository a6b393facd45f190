#include "query/encode_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/model.h"

/* ---- refusals ---- */

bool encode_refuse(struct encode_call *call, int status, const char *code, const char *field,
                   const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    /* text-embeddings-inference says 422 to a body that it cannot use. */
    if (call->route->form == ENCODE_TEI && status == 400)
        status = 422;
    call->refusal = (struct encode_refusal){
        .status = status,
        .code = code,
        .field = field ? arena_text(call->arena, field, strlen(field)) : NULL,
        .message = arena_text(call->arena, message, strlen(message)),
    };
    return false;
}

bool encode_fail(struct encode_call *call, const char *field, const struct error *err) {
    int status;
    const char *code = server_error_code(err->code, &status);
    return encode_refuse(call, status, code, field, "%s", err->message);
}

static struct json *text_or_null(const char *text) {
    return text ? json_new_string(text, strlen(text)) : json_new_null();
}

static struct json *openai_error(const struct encode_refusal *refusal) {
    struct json *error = json_new_object();
    json_add(error, "message", text_or_null(refusal->message));
    json_add_string(error, "type",
                    refusal->status < 500 ? "invalid_request_error" : "server_error");
    json_add(error, "param", text_or_null(refusal->field));
    json_add_string(error, "code", refusal->code);
    return error;
}

void encode_write_refusal(struct encode_call *call) {
    const struct encode_refusal *refusal = &call->refusal;
    struct server_response *response = call->response;
    /* Our own form first: it sets the status and what belongs to it. */
    server_response_error(response, refusal->status, refusal->code, refusal->field, "%s",
                          refusal->message);
    if (call->route->form == ENCODE_OWN)
        return;
    struct json *answer = json_new_object();
    if (call->route->form == ENCODE_OPENAI) {
        json_add(answer, "error", openai_error(refusal));
    } else if (call->route->form == ENCODE_TEI) {
        json_add(answer, "error", text_or_null(refusal->message));
        json_add_string(answer, "error_type", refusal->status < 500 ? "Validation" : "Backend");
    } else {
        json_add(answer, "message", text_or_null(refusal->message));
        struct json *error = json_new_object();
        json_add_string(error, "code", refusal->code);
        json_add(error, "message", text_or_null(refusal->message));
        json_add(error, "field", text_or_null(refusal->field));
        json_add(answer, "error", error);
    }
    buf_clear(&response->body);
    json_print(answer, &response->body);
    json_release(answer);
}

/* ---- members ---- */

bool encode_read_text(struct encode_call *call, const struct json *value, const char *field,
                      struct encoder_text *out) {
    if (json_kind_of(value) != JSON_KIND_STRING)
        return encode_refuse(call, 400, "bad_request", field, "\"%s\" must be a string, found %s",
                             field, value ? json_kind_name(json_kind_of(value)) : "nothing");
    size_t len;
    const char *text = json_string_of(value, &len);
    if (len > ENCODE_TEXT_BYTES_MAX)
        return encode_refuse(call, 413, "limit", field,
                             "\"%s\" has %zu bytes, at most %d are read: split it", field, len,
                             ENCODE_TEXT_BYTES_MAX);
    *out = (struct encoder_text){arena_text(call->arena, text, len), len};
    return true;
}

static const struct json *text_of_element(const struct json *element, bool objects) {
    return objects && json_kind_of(element) == JSON_KIND_OBJECT ? json_get(element, "text")
                                                                : element;
}

bool encode_read_texts(struct encode_call *call, const struct json *value, const char *field,
                       bool objects, struct encoder_text **out, size_t *n_out, bool *single_out) {
    bool single = json_kind_of(value) == JSON_KIND_STRING;
    size_t n = single ? 1 : json_count(value);
    if (!single && json_kind_of(value) != JSON_KIND_ARRAY)
        return encode_refuse(call, 400, "bad_request", field,
                             "\"%s\" must be a string or a list of strings, found %s", field,
                             value ? json_kind_name(json_kind_of(value)) : "nothing");
    if (n == 0)
        return encode_refuse(call, 400, "bad_request", field, "\"%s\" is an empty list", field);
    if (n > ENCODE_ROWS_MAX)
        return encode_refuse(call, 413, "limit", field,
                             "\"%s\" holds %zu texts, at most %d are taken at once", field, n,
                             ENCODE_ROWS_MAX);
    struct encoder_text *texts = ARENA_NEW(call->arena, struct encoder_text, n);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, single ? "%s" : "%s[%zu]", field, i);
        const struct json *text = single ? value : text_of_element(json_at(value, i), objects);
        if (!encode_read_text(call, text, name, &texts[i]))
            return false;
    }
    *out = texts;
    *n_out = n;
    if (single_out)
        *single_out = single;
    return true;
}

bool encode_read_flag(struct encode_call *call, const struct json *body, const char *field,
                      bool *out) {
    struct error err;
    return json_read_bool(body, field, out, &err) || encode_fail(call, field, &err);
}

bool encode_read_word(struct encode_call *call, const struct json *body, const char *field,
                      const char **out) {
    struct error err;
    return json_read_string(body, field, out, &err) || encode_fail(call, field, &err);
}

bool encode_read_side(struct encode_call *call, const char *word, const char *field) {
    static const struct {
        const char *word;
        enum encoders_side side;
    } sides[] = {
        {"query", ENCODERS_QUERY},
        {"search_query", ENCODERS_QUERY},
        {"retrieval.query", ENCODERS_QUERY},
        {"passage", ENCODERS_PASSAGE},
        {"document", ENCODERS_PASSAGE},
        {"search_document", ENCODERS_PASSAGE},
        {"retrieval.passage", ENCODERS_PASSAGE},
    };
    if (!word)
        return true;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (strcmp(word, sides[i].word) == 0) {
            call->side = sides[i].side;
            return true;
        }
    return encode_refuse(call, 400, "bad_request", field,
                         "\"%s\" must be \"query\" or \"passage\", found \"%.40s\"", field, word);
}

bool encode_known_only(struct encode_call *call, const struct json *body,
                       const char *const *known) {
    for (void *at = json_first(body); at; at = json_next(body, at)) {
        const char *const *each = known;
        while (*each && strcmp(*each, json_member_key(at)) != 0)
            each++;
        if (*each)
            continue;
        struct buf list = {0};
        for (each = known; *each; each++)
            buf_format(&list, "%s%s", each == known ? "" : ", ", *each);
        encode_refuse(call, 400, "bad_request", json_member_key(at),
                      "unknown field \"%.64s\": known here are %s", json_member_key(at), list.data);
        buf_done(&list);
        return false;
    }
    return true;
}

/* ---- lengths ---- */

/* The tokens of a text, specials included, uncut. */
static bool count_tokens(struct encode_call *call, const struct encoder_text *text, size_t *n_out,
                         struct error *err) {
    struct arena scratch = {0};
    struct tokens tokens;
    size_t first;
    const char *instruction = encoders_instruction(call->encoders, call->side);
    bool ok = encoder_read(encoders_model(call->encoders), instruction, 0, text, &scratch, &tokens,
                           &first, err);
    if (ok)
        *n_out = tokens.n;
    arena_done(&scratch);
    return ok;
}

bool encode_check_lengths(struct encode_call *call) {
    const struct model_info *info = model_info(encoders_model(call->encoders));
    size_t spare = 4 + strlen(encoders_instruction(call->encoders, call->side));
    size_t numbers = 0;
    for (size_t i = 0; i < call->n; i++) {
        const struct encoder_text *text = &call->texts[i];
        /* Not fewer than there are: a token has a byte, specials none. (Normalizing can make more
         * of a few rare characters; such a text is cut where the model ends.) */
        size_t tokens_n = text->len + spare;
        size_t limit = call->no_cut ? info->length_max : ENCODE_TOKENS_MAX;
        struct error err;
        bool count = tokens_n > limit || call->modes & ENCODE_MULTI; /* else the bound is enough */
        if (count && !count_tokens(call, text, &tokens_n, &err))
            return encode_fail(call, NULL, &err);
        if (tokens_n > ENCODE_TOKENS_MAX)
            return encode_refuse(call, 413, "limit", NULL,
                                 "text %zu has %zu tokens, at most %d are read: split it", i,
                                 tokens_n, ENCODE_TOKENS_MAX);
        if (tokens_n > limit)
            return encode_refuse(call, 422, "too_long", NULL,
                                 "text %zu has %zu tokens, %s reads %u and \"truncate\" is false",
                                 i, tokens_n, encoders_name(encoders_model(call->encoders)),
                                 info->length_max);
        numbers += call->modes & ENCODE_DENSE ? info->dense_dim : 0;
        if (call->modes & ENCODE_MULTI)
            numbers +=
                (tokens_n < info->length_max ? tokens_n : info->length_max) * info->multi_dim;
    }
    if (numbers > ENCODE_NUMBERS_MAX)
        return encode_refuse(call, 413, "limit", NULL,
                             "the answer could hold %zu numbers, at most %d are given at once: "
                             "send fewer texts, or ask for fewer modes",
                             numbers, ENCODE_NUMBERS_MAX);
    return true;
}
