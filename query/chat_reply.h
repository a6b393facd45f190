/* chat_reply.h - reads what an OpenAI-compatible endpoint answers to chat/completions.
 *
 * Either events ("data: {..choices[0].delta.content..}", then "data: [DONE]"), cut into pieces
 * anywhere, or one JSON object from an endpoint that does not stream. The other side is not
 * trusted: every size is bounded, and what is not as described is an error that repeats none of
 * it. */
#ifndef TERCET_CHAT_REPLY_H
#define TERCET_CHAT_REPLY_H

#include "engine/base/buf.h"
#include "engine/base/error.h"

enum {
    CHAT_ANSWER_BYTES_MAX = 64 * 1024, /* of the words; some 16,000 tokens. Then it is cut */
    CHAT_LINE_BYTES_MAX = 256 * 1024,  /* one event; words and what stands around them */
    CHAT_REPLY_BYTES_MAX = 16 << 20,   /* in all: some endpoints send 300 bytes with each word */
};

struct chat_reply {
    struct buf answer; /* the words so far */
    struct buf line;   /* not whole yet */
    size_t bytes_n;
    bool has_kind, is_events;
    bool ended;    /* it said that this was all */
    bool is_short; /* and that it had more to say than it was allowed to */
    bool too_long; /* it was cut at CHAT_ANSWER_BYTES_MAX; no more is wanted */
};

/* A reply of zeros is one that has not begun. */
void chat_reply_done(struct chat_reply *reply);

/* The next bytes. False: ERROR_CORRUPT, ERROR_LIMIT, or ERROR_IO when it reports an error. */
bool chat_reply_take(struct chat_reply *reply, const char *content_type, const char *bytes,
                     size_t len, struct error *err);

/* When no more comes. ERROR_CORRUPT: it was cut off, or was no answer. */
bool chat_reply_end(struct chat_reply *reply, struct error *err);

#endif
