/* normal_char.h - a code point that a normalizer gives out, and where it comes from. */
#ifndef TERCET_TOKENIZER_NORMAL_CHAR_H
#define TERCET_TOKENIZER_NORMAL_CHAR_H

#include <stdint.h>

struct normal_char {
    uint32_t codepoint;
    uint32_t begin, end; /* bytes of the original text */
};

#endif
