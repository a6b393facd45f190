/* utf8.h - code points out of bytes that need not be UTF-8, and back.
 *
 * A byte that cannot be used (a stray continuation, a cut or overlong sequence, a surrogate) is
 * read as one U+FFFD, so any bytes are a text and every byte belongs to exactly one code point. */
#ifndef TERCET_TOKENIZER_UTF8_H
#define TERCET_TOKENIZER_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <utf8proc.h>

enum { UTF8_REPLACEMENT = 0xfffd, UTF8_BYTES_MAX = 4 };

/* The code point at text[0..len), len > 0. Returns its bytes, 1 to 4. */
static inline size_t utf8_read(const char *text, size_t len, uint32_t *codepoint_out) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        *codepoint_out = first;
        return 1;
    }
    utf8proc_int32_t codepoint;
    utf8proc_ssize_t bytes =
        utf8proc_iterate((const utf8proc_uint8_t *)text,
                         len < UTF8_BYTES_MAX ? (utf8proc_ssize_t)len : UTF8_BYTES_MAX, &codepoint);
    *codepoint_out = bytes > 0 ? (uint32_t)codepoint : UTF8_REPLACEMENT;
    return bytes > 0 ? (size_t)bytes : 1;
}

/* Returns the bytes written, 1 to 4. */
static inline size_t utf8_write(uint32_t codepoint, char *out) {
    if (codepoint < 0x80) {
        *out = (char)codepoint;
        return 1;
    }
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)codepoint, (utf8proc_uint8_t *)out);
}

#endif
