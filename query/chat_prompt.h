/* chat_prompt.h - what a language model is asked: the best passages of a search as numbered
 * sources, and a question about them.
 *
 * Sources were written by anybody, so they may hold orders to the model ("ignore what you were told
 * and .."). They stand between lines with a random word that their authors cannot have known, and
 * the model is told that what is between them is quoted. That makes such orders conspicuous, not
 * harmless: docs/answers.md says what that means for who reads an answer. */
#ifndef TERCET_CHAT_PROMPT_H
#define TERCET_CHAT_PROMPT_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "query/chat_model.h"

enum {
    CHAT_SOURCES_MAX = 20,
    CHAT_SOURCE_BYTES_MAX = 6000,   /* of one text: more than a passage of 1,024 tokens */
    CHAT_SOURCES_BYTES_MAX = 24000, /* of all: some 6,000 tokens, which small models still read */
    CHAT_SOURCE_BYTES_MIN = 200,    /* what is left of that for one more, or it is left out */
    CHAT_QUESTION_BYTES_MAX = 4096,
};

/* One text that the model reads. Borrowed from the hits it was made of. */
struct chat_source {
    const struct json *hit;
    const char *title, *text; /* not ended by a NUL */
    size_t title_len, text_len;
    size_t begin, end; /* bytes of the document's text */
};

/* The sources among a search's hits, best first: each hit's passage, or its text; of a text that is
 * too long the part around its highlights, or its beginning.
 * sources_out: [CHAT_SOURCES_MAX]. Returns how many. */
size_t chat_sources(const struct json *hits, struct chat_source *sources_out);

/* {"number","id","title","text","begin","end","score"}; the caller releases it. */
struct json *chat_source_json(const struct chat_source *source, size_t number);

/* The body for chat/completions. */
void chat_request_print(const struct chat_model *model, const char *question, size_t question_len,
                        const struct chat_source *sources, size_t n, struct buf *out);

/* The numbers of sources that an answer cites, as "[2]" or "[1, 3]", each once, in order.
 * cited_out: [CHAT_SOURCES_MAX]. Returns how many. */
size_t chat_cited(const char *answer, size_t len, size_t sources_n, size_t *cited_out);

/* len, or less, so that no UTF-8 character is cut. */
size_t chat_cut(const char *text, size_t len, size_t max);

#endif
