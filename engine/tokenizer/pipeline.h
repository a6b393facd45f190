/* pipeline.h - the seam between tokenizer.c and the kinds of tokenizer.
 *
 * tokenizer.c owns what all kinds share: added tokens, special tokens around the text, truncation.
 * A kind owns the way from a stretch of text to ids: normalizer, pre-tokenizer and model. A new
 * kind is a `const struct pipeline_kind` and a line in tokenizer.c's list of kinds. */
#ifndef TERCET_TOKENIZER_PIPELINE_H
#define TERCET_TOKENIZER_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer.h"

struct json;
struct vocabulary;

/* Where tokens go. Full once it has limit of them; what comes then is dropped, and a kind may stop
 * early (token_sink_full). */
struct token_sink {
    uint32_t *ids;
    struct token_range *ranges;
    size_t n, cap, limit;
    struct arena *arena; /* where they grow */
};

void token_sink_grow(struct token_sink *sink);

static inline bool token_sink_full(const struct token_sink *sink) {
    return sink->n >= sink->limit;
}

static inline void token_sink_add(struct token_sink *sink, uint32_t id, uint32_t begin,
                                  uint32_t end) {
    if (token_sink_full(sink))
        return;
    if (sink->n == sink->cap)
        token_sink_grow(sink);
    sink->ids[sink->n] = id;
    sink->ranges[sink->n++] = (struct token_range){begin, end};
}

struct pipeline_kind {
    const char *model_type; /* tokenizer.json's model.type */
    const char *blank;      /* what stands for a blank in a token's text; NULL: nothing does */

    /* Reads the sections normalizer, pre_tokenizer and model of the whole file `root`, and adds
     * the model's tokens to the vocabulary. Messages begin with the field. */
    bool (*open)(const struct json *root, struct vocabulary *vocabulary, void **pipeline_out,
                 struct error *err);
    void (*close)(void *pipeline); /* NULL is fine */

    /* Tokens of text[begin..end), a stretch between added tokens; ranges count from text. Any
     * bytes; time linear in their number. Cannot fail. */
    void (*encode)(const void *pipeline, const char *text, size_t begin, size_t end,
                   struct token_sink *sink);
};

#endif
