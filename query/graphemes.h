/* graphemes.h - where a text may be cut without taking a character apart that a reader sees as one:
 * a letter from its accents, a flag's two halves, a family of emoji (UAX 29, by utf8proc). */
#ifndef TERCET_QUERY_GRAPHEMES_H
#define TERCET_QUERY_GRAPHEMES_H

#include <stdbool.h>
#include <stddef.h>

/* at <= len. The largest border that is not behind `at`, and the smallest that is not before it.
 * Bytes that are no UTF-8 are characters of their own. */
size_t graphemes_border_before(const char *text, size_t len, size_t at);
size_t graphemes_border_behind(const char *text, size_t len, size_t at);

#endif
