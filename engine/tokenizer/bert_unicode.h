/* bert_unicode.h - what BERT's tokenizer makes of a code point.
 *
 * Hugging Face's tokenizers mixes three versions of Unicode, and token ids follow: general
 * categories are Unicode 8's (the crate unicode_categories), decompositions Unicode 12's
 * (unicode-normalization-alignments), lower case that of the Rust compiler (17). Categories come
 * from our own tables, the rest from utf8proc with the differences named beside the code.
 * tokenizer_golden_test.c asks about every code point there is. */
#ifndef TERCET_TOKENIZER_BERT_UNICODE_H
#define TERCET_TOKENIZER_BERT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

struct unicode_range {
    uint32_t first, last;
};

/* Unicode 8: control, format and private use (without TAB, LF, CR; with U+0000 and U+FFFD, which
 * clean_text removes too), nonspacing marks, punctuation (with all ASCII symbols). Ascending. */
extern const struct unicode_range unicode8_controls[], unicode8_marks[], unicode8_punctuation[];
extern const size_t unicode8_controls_n, unicode8_marks_n, unicode8_punctuation_n;

/* A code point with none of these goes through BERT's normalizer as it is. */
enum bert_flag {
    BERT_CONTROL = 1,     /* removed by clean_text */
    BERT_SPACE = 2,       /* White_Space: clean_text makes it a blank, the pre-tokenizer splits */
    BERT_MARK = 4,        /* removed by strip_accents */
    BERT_PUNCTUATION = 8, /* a word of its own */
    BERT_CJK = 16,        /* an ideograph: set apart by blanks */
    BERT_MOVES = 32,      /* decomposes, or is a mark that canonical ordering may move */
    BERT_UPPER = 64,      /* has a lower case */
};

uint8_t bert_unicode_flags(uint32_t codepoint); /* bits of enum bert_flag */

/* The lower case; LATIN CAPITAL LETTER I WITH DOT ABOVE gives two code points. Returns 1 or 2. */
enum { BERT_LOWER_MAX = 2 };
size_t bert_unicode_lower(uint32_t codepoint, uint32_t out[BERT_LOWER_MAX]);

/* The full canonical decomposition. Returns 1 to 4 code points. */
enum { BERT_DECOMPOSED_MAX = 4 };
size_t bert_unicode_decompose(uint32_t codepoint, uint32_t out[BERT_DECOMPOSED_MAX]);

uint8_t bert_unicode_combining_class(uint32_t codepoint);

#endif
