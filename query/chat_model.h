/* chat_model.h - the language model that writes answers, as query sees it: bytes go there, bytes
 * come back. The program that serves fills it in (tools/chat_http.c speaks HTTP), or a test does.
 * Which model is asked, and where, is the operator's choice alone; no request can change it.
 * Threads: `ask` is called from any number of threads at once. */
#ifndef TERCET_CHAT_MODEL_H
#define TERCET_CHAT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* Where an answer's bytes go while they come. */
struct chat_sink {
    void *context;
    /* Asked several times a second: false ends it with CHAT_STOPPED. */
    bool (*alive)(void *context);
    /* Some of the body of an answer with status 200; false: enough, or not as it should be. The
     * result is CHAT_DONE then: whoever ends it knows why. content_type: "" when there is none. */
    bool (*take)(void *context, const char *content_type, const char *bytes, size_t len);
};

enum chat_result {
    CHAT_DONE,    /* the whole body was taken, or as much as was wanted */
    CHAT_FAILED,  /* no connection, a refusal, cut off */
    CHAT_LATE,    /* nothing came for too long, or it took too long in all */
    CHAT_STOPPED, /* as `alive` asked */
};

struct chat_model {
    void *context;
    const char *name;    /* what the endpoint calls it */
    uint32_t tokens_max; /* of an answer; 0: as the endpoint sees fit */
    /* POSTs a body of JSON to chat/completions. The error's message is for clients: it names no
     * address and no key, and nothing that the other side wrote. */
    enum chat_result (*ask)(void *context, const char *body, size_t body_len,
                            const struct chat_sink *sink, struct error *err);
};

#endif
