/* chunker.h - a long text as passages, each short enough for the encoder to read whole.
 *
 * A passage ends where the text has a break: before a heading, between paragraphs, behind a
 * sentence, at a line's end, between words, in this order of preference, and never before half of
 * the tokens it may have. What follows begins a little earlier, where a sentence does, so that what
 * stands across the border is whole in one of the two; behind a heading's break nothing repeats. A
 * passage begins no earlier than in the middle of the one before, so that they are some four for
 * each rule.tokens of the text at most.
 * Sentences end at a terminator of UAX #29 (Sentence_Terminal) that white space or, in scripts
 * written without blanks, anything follows; a small letter behind a full stop says that it was an
 * abbreviation. */
#ifndef TERCET_INGEST_CHUNKER_H
#define TERCET_INGEST_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/tokenizer/tokenizer.h"

struct chunk_rule {
    uint32_t tokens;  /* of a passage at most, > 0 */
    uint32_t overlap; /* that it may share with the one before, < tokens */
};

struct chunk {
    uint32_t begin, end; /* bytes of the text, without the white space around them */
    uint32_t tokens_n;   /* of the given ones that lie within */
};

/* How good a place to cut is the one before byte `at`? CHUNK_INSIDE: in the middle of a word. */
enum chunk_break {
    CHUNK_INSIDE,
    CHUNK_WORD,
    CHUNK_LINE,
    CHUNK_SENTENCE,
    CHUNK_PARAGRAPH,
    CHUNK_HEADING,
};
enum chunk_break chunk_break_at(const char *text, size_t len, size_t at);

/* text: UTF-8, below 4 GiB. tokens: the byte range of each of its tokens, special ones left out,
 * ascending; [tokens_n]. The passages lie in the arena, in order; a text without tokens has none.
 * Every token lies in at least one. */
size_t chunk_text(const char *text, size_t len, const struct token_range *tokens, size_t tokens_n,
                  struct chunk_rule rule, struct arena *arena, struct chunk **out);

#endif
