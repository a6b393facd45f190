/* graphemes.h - which code points stand in one grapheme cluster (UAX 29).
 *
 * The version of Unicode is that of Hugging Face's tokenizers 0.22; later ones know more marks.
 * Departure: only what a charsmap can see. It looks up clusters of fewer than six bytes as a
 * whole, and Hangul syllables, flags, emoji sequences and Indic conjuncts have six and more. Marks
 * that join the code point before, prefixes that join the one behind, and CR LF are left. */
#ifndef TERCET_TOKENIZER_GRAPHEMES_H
#define TERCET_TOKENIZER_GRAPHEMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNICODE_N = 0x110000 };

enum grapheme_flag {
    GRAPHEME_JOINS_PREVIOUS = 1,
    GRAPHEME_JOINS_NEXT = 2,
    GRAPHEME_ALONE = 4, /* a control: joins nothing, nothing joins it */
};

/* Sets the bits in flags[UNICODE_N]. */
void grapheme_flags(uint8_t *flags);

/* Whether `codepoint` belongs to the cluster of the code point before it. */
static inline bool grapheme_joins(uint32_t before, uint8_t before_flags, uint32_t codepoint,
                                  uint8_t flags) {
    if (before_flags & GRAPHEME_ALONE)
        return before == '\r' && codepoint == '\n';
    return (flags & GRAPHEME_JOINS_PREVIOUS) ||
           ((before_flags & GRAPHEME_JOINS_NEXT) && !(flags & GRAPHEME_ALONE));
}

#endif
