/* chat_fuzz - whatever a chat model's endpoint sends: words or a refusal, the same in any pieces.
 *
 * The first byte of an input says of what size the pieces are (bits 1 to 7) and whether it is a
 * stream of events or one JSON object (bit 0); the rest is the reply. It is read whole and in
 * pieces; both must come to the same words, and those must be UTF-8 within their limit. Run it:
 * docs/fuzzing.md. */
#include <assert.h>
#include <string.h>

#include "query/chat_reply.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    struct chat_reply reply;
    struct error err;
    bool ok;
};

static void read_reply(const char *type, const char *bytes, size_t len, size_t piece,
                       struct outcome *out) {
    *out = (struct outcome){.ok = true};
    for (size_t at = 0; out->ok && at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = fuzz_copy(bytes + at, n);
        out->ok = chat_reply_take(&out->reply, type, copy, n, &out->err);
        free(copy);
    }
    out->ok = out->ok && chat_reply_end(&out->reply, &out->err);
    if (!out->ok)
        assert(out->err.message[0] && strlen(out->err.message) < sizeof out->err.message &&
               fuzz_is_utf8(out->err.message, strlen(out->err.message)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct outcome whole, pieces;
    if (size == 0)
        return 0;
    const char *type = data[0] & 1 ? "application/json" : "text/event-stream; charset=utf-8";
    read_reply(type, (const char *)data + 1, size - 1, size, &whole);
    read_reply(type, (const char *)data + 1, size - 1, 1 + data[0] / 2, &pieces);
    const struct buf *a = &whole.reply.answer, *b = &pieces.reply.answer;
    assert(whole.ok == pieces.ok && (whole.ok || whole.err.code == pieces.err.code));
    assert(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0));
    assert(a->len <= CHAT_ANSWER_BYTES_MAX && fuzz_is_utf8(a->len ? a->data : "", a->len));
    assert(whole.reply.ended == pieces.reply.ended &&
           whole.reply.is_short == pieces.reply.is_short &&
           whole.reply.too_long == pieces.reply.too_long);
    chat_reply_done(&whole.reply);
    chat_reply_done(&pieces.reply);
    return 0;
}
