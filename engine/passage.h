/* passage.h - the one text that stands for a document.
 *
 * BEIR's convention, which every published figure uses: (title + " " + text), trimmed. Ingest
 * encodes it; an explanation reads it again to put words to token vectors. */
#ifndef TERCET_PASSAGE_H
#define TERCET_PASSAGE_H

#include <stddef.h>

#include "engine/base/arena.h"

struct passage {
    const char *text; /* in the arena, NUL-terminated */
    size_t len;
    size_t trimmed; /* bytes of (title + " " + text) left out in front */
};

struct passage passage_of(const char *title, size_t title_len, const char *text, size_t text_len,
                          struct arena *arena);

#endif
