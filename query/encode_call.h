/* encode_call.h - inside the encode routes: one request on its way from JSON to texts to an answer.
 *
 * A route is a pair of functions. `read` takes the body apart: texts, side and modes into the call,
 * copied to its arena, since the body's tree is gone afterwards. Then the texts are encoded, those
 * of several requests together. `write` prints the answer.
 *
 * Errors have the form that the route's clients expect; the statuses are the same everywhere:
 *   own      {"error":{"code","message","field"}}
 *   OpenAI   {"error":{"message","type","param","code"}}
 *   TEI      {"error":message,"error_type"}     text-embeddings-inference; 422 for a wrong body
 *   rerank   {"message","error":{"code","message","field"}}     Cohere's clients read "message" */
#ifndef TERCET_ENCODE_CALL_H
#define TERCET_ENCODE_CALL_H

#include "engine/base/json.h"
#include "query/encoders.h"
#include "query/server/server.h"

enum {
    ENCODE_ROWS_MAX = 1024,          /* texts of one request (413) */
    ENCODE_TOKENS_MAX = 8192,        /* of one text (413): as long as any model here reads */
    ENCODE_TEXT_BYTES_MAX = 1 << 20, /* more than so many tokens have; bounds the tokenizer (413) */
    /* Numbers in an answer (413): two longest texts' token vectors of 1,024, some 200 MB. */
    ENCODE_NUMBERS_MAX = 2 * ENCODE_TOKENS_MAX * 1024,
};

enum encode_form { ENCODE_OWN, ENCODE_OPENAI, ENCODE_TEI, ENCODE_RERANK };

struct encode_call;

struct encode_route {
    enum server_method method;
    const char *path;
    enum encode_form form;
    bool (*read)(struct encode_call *call, const struct json *body);
    void (*write)(struct encode_call *call);
};

/* {"type","message"} of a refusal, kept until the answer is written. */
struct encode_refusal {
    int status; /* 0: none */
    const char *code, *field;
    const char *message; /* in the arena */
};

struct encode_call {
    const struct encode_route *route;
    struct encoders *encoders;
    const struct server_request *request;
    struct server_response *response; /* for write and refusals only */
    struct arena *arena;              /* the request's */
    size_t worker;

    /* What read leaves. */
    enum encoders_side side;
    unsigned modes; /* ENCODE_...; 0: nothing is to be encoded */
    const struct encoder_text *texts;
    size_t n;
    bool no_cut; /* refuse a text that is longer than the model reads */
    void *more;  /* the route's own, in the arena */
    struct encode_refusal refusal;

    struct encoding *encodings; /* [n] */
};

/* Each notes the refusal and returns false, so that `return encode_refuse(..)` reads as it is. */
bool encode_refuse(struct encode_call *call, int status, const char *code, const char *field,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
bool encode_fail(struct encode_call *call, const char *field, const struct error *err);

/* Writes the refusal in the route's form. */
void encode_write_refusal(struct encode_call *call);

/* A string, or an array of at least one and at most ENCODE_ROWS_MAX strings; single_out (may be
 * NULL) tells which. objects: elements may be {"text"} too. */
bool encode_read_texts(struct encode_call *call, const struct json *value, const char *field,
                       bool objects, struct encoder_text **out, size_t *n_out, bool *single_out);

/* One string of the call's arena. */
bool encode_read_text(struct encode_call *call, const struct json *value, const char *field,
                      struct encoder_text *out);

/* Flags and words of a body; absent or null: *out stays. */
bool encode_read_flag(struct encode_call *call, const struct json *body, const char *field,
                      bool *out);
bool encode_read_word(struct encode_call *call, const struct json *body, const char *field,
                      const char **out);

/* "input_type": "query", "passage", or as Cohere and Jina name them; NULL: bare. */
bool encode_read_side(struct encode_call *call, const char *word, const char *field);

/* Refuses members that are not in the list (NULL at its end): for our own routes, where a misspelt
 * one must not be ignored. Clients of other APIs send what only their own server knows. */
bool encode_known_only(struct encode_call *call, const struct json *body, const char *const *known);

/* After read: refuses texts that are too long, and answers that would be too large. */
bool encode_check_lengths(struct encode_call *call);

#endif
