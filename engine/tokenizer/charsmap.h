/* charsmap.h - sentencepiece's precompiled normalization rules: bytes -> replacement.
 *
 *   OFFSET  SIZE  MEANING
 *   0       4     trie_bytes, u32 little endian, a multiple of 4
 *   4       ...   the trie: a Darts double array of u32 units, little endian
 *   4 + trie_bytes to the end: replacements, each ended by NUL; a trie value is the offset of one
 *
 * A unit: bits 0-7 label, 8 has_leaf, 9 shift, 10-31 offset; bit 31 set: a value (31 bits).
 * Every value is checked at opening and every step at look-up, so a hostile trie can give odd
 * replacements but never a read outside it.
 * Threads: immutable once open. */
#ifndef TERCET_TOKENIZER_CHARSMAP_H
#define TERCET_TOKENIZER_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/graphemes.h"

enum {
    CHARSMAP_REPLACEMENT_MAX = 255, /* bytes; XLM-R's longest has 33 */
    CHARSMAP_PAGE = 256,
    CHARSMAP_PAGES_N = UNICODE_N / CHARSMAP_PAGE,
};

/* Beside the bits of enum grapheme_flag: the code point by itself has a replacement. */
enum { CHARSMAP_CHANGES = 8 };

struct charsmap {
    uint32_t *units; /* [units_n] */
    size_t units_n;
    char *replacements; /* [replacements_len], each ends within it */
    size_t replacements_len;
    uint16_t page_of[CHARSMAP_PAGES_N];
    uint8_t (*pages)[CHARSMAP_PAGE]; /* flags of the code points, equal pages once */
    size_t pages_n;
};

/* base64: as tokenizer.json has it; NULL for no rules. On failure *map is still to be released. */
bool charsmap_init(struct charsmap *map, const char *base64, size_t base64_len, struct error *err);
void charsmap_done(struct charsmap *map);

/* The replacement of the SHORTEST key that text[0..len) begins with; NULL when there is none. */
const char *charsmap_find(const struct charsmap *map, const char *text, size_t len);

static inline uint8_t charsmap_flags(const struct charsmap *map, uint32_t codepoint) {
    return map->pages[map->page_of[codepoint / CHARSMAP_PAGE]][codepoint % CHARSMAP_PAGE];
}

#endif
