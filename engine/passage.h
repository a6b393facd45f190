/* passage.h - the one text that stands for a document.
 *
 * BEIR's convention, which every published figure uses: (title + " " + text), trimmed. Ingest
 * encodes it; an explanation reads it again to put words to token vectors. */
#ifndef TERCET_PASSAGE_H
#define TERCET_PASSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct model;

struct passage {
    const char *text; /* in the arena, NUL-terminated */
    size_t len;
    size_t trimmed; /* bytes of (title + " " + text) left out in front */
};

/* Of a text that is read in parts, each part stands behind the title's beginning: all of it, or so
 * much as takes a quarter of the model's room. *len_out: its bytes; *tokens_out: its tokens. */
enum { PASSAGE_TITLE_PART = 4 };
bool passage_title(const struct model *model, uint32_t length_max, const char *title,
                   size_t title_len, struct arena *arena, size_t *len_out, uint32_t *tokens_out,
                   struct error *err);

struct passage passage_of(const char *title, size_t title_len, const char *text, size_t text_len,
                          struct arena *arena);

#endif
