/* vocabulary.h - token text <-> id, as tokenizer.json tells it.
 *
 * Filled at opening from the model's list and from added_tokens, then checked and never changed.
 * Texts are copied into an arena of its own. */
#ifndef TERCET_TOKENIZER_VOCABULARY_H
#define TERCET_TOKENIZER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/map.h"

/* The largest vocabularies in use have 262,144 tokens (Gemma); sixteen times that is a mistake. */
enum { VOCABULARY_MAX = 4 * 1000 * 1000 };

struct vocabulary {
    const char **texts; /* [ids_max], in the arena; NULL: no token has this id (while filling) */
    size_t n, ids_max;  /* n: the largest id + 1 */
    struct map ids;     /* text -> id */
    struct arena arena;
    char *block; /* where the next text goes, in the arena */
    size_t block_left;
};

/* ids_max: how many tokens the file lists, so that a large id is refused before it costs memory.
 * A vocabulary of zeros may be released. */
bool vocabulary_init(struct vocabulary *vocabulary, size_t ids_max, struct error *err);
void vocabulary_done(struct vocabulary *vocabulary);

/* `where` names the entry's place in messages ("model.vocab"). An id or a text that is there
 * already is an error, unless it is the same pair. The text is copied. */
bool vocabulary_add(struct vocabulary *vocabulary, const char *text, size_t text_len, double id,
                    const char *where, struct error *err);

/* Every id from 0 on belongs to a token: else the file and the model's rows cannot agree. */
bool vocabulary_check(const struct vocabulary *vocabulary, struct error *err);

/* NULL when the text is no token. */
const uint32_t *vocabulary_find(const struct vocabulary *vocabulary, const char *text,
                                size_t text_len);

#endif
