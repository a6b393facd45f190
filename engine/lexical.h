/* lexical.h - what a text says, term by term.
 *
 * Three ways to get there (struct lexer chooses one for a collection; it is stored with it):
 *   head       the model's sparse head: terms are token ids, weights are learned
 *   words:en   words split by Unicode properties, lower case, English stopwords left out, Snowball
 *              stems: terms are words, weights count how often the text says them
 *   model      the model's own token ids (specials left out), counted
 * The last two are scored by BM25, and read the whole text, however long: BM25 is not limited by
 * the encoder's window.
 * Threads: an analyzer may be used by one thread at a time (the stemmer has state). */
#ifndef TERCET_LEXICAL_H
#define TERCET_LEXICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct tokenizer;

/* One distinct term of a text. */
struct lexical_term {
    const char *word; /* NULL when the term is a token id */
    uint32_t word_len;
    uint32_t id;  /* token id; 0 when the term is a word */
    float weight; /* learned weight, or the count of occurrences */
};

struct lexical {
    struct lexical_term *terms; /* [n], each term once, in order of first appearance */
    size_t n;
    float length; /* BM25's document length: occurrences in all; 0 for learned weights */
};

struct analyzer;

/* name: "words:en" (any Snowball language code: "words:de", ...) or "model". The tokenizer is
 * borrowed and used by "model" only. */
bool analyzer_open(const char *name, const struct tokenizer *tokenizer, struct analyzer **out,
                   struct error *err);
void analyzer_close(struct analyzer *analyzer);

/* Counts the terms of a text; words are copied to the arena. */
bool analyzer_run(struct analyzer *analyzer, const char *text, size_t len, struct arena *arena,
                  struct lexical *out, struct error *err);

/* One occurrence of a term in the text, for highlighting: byte range of the word as written. */
struct lexical_occurrence {
    uint32_t term; /* index into lexical->terms */
    uint32_t begin, end;
};
bool analyzer_occurrences(struct analyzer *analyzer, const char *text, size_t len,
                          struct arena *arena, struct lexical *out,
                          struct lexical_occurrence **occurrences_out, size_t *n_out,
                          struct error *err);

#endif
