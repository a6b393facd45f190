/* xlmr_normalizer.h - the charsmap on grapheme clusters, and blanks at the ends.
 *
 * tokenizer.json's normalizer: null, Precompiled, or a Sequence of Precompiled, Strip and
 * Replace ` {2,}`, in this order, each at most once. Each code point that comes out carries the
 * bytes of the original text that Hugging Face's tokenizers says it stands for, oddities included:
 *   - a cluster that becomes fewer code points stands for the first of its own only;
 *   - what vanishes is nobody's, but the last code point of a replacement that is longer than what
 *     it replaces then moves on to it;
 *   - a code point that vanishes at the very beginning is not counted: every code point of the
 *     stretch then stands for the one before its own.
 * Replace is left to whoever reads the stream (it turns blanks into U+2581 anyway); `blanks` says
 * what is to be done.
 *
 * A stream gives the result in small stretches, so that a text of any length needs no memory.
 * Threads: a normalizer is immutable; a stream belongs to one thread. */
#ifndef TERCET_TOKENIZER_XLMR_NORMALIZER_H
#define TERCET_TOKENIZER_XLMR_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/normal_char.h"

struct json;

enum { XLMR_MARK = 0x2581 }; /* the lower one eighth block that stands for a blank */

/* Two and more blanks in a row become ... */
enum xlmr_blanks { XLMR_BLANKS_STAY, XLMR_BLANKS_TO_BLANK, XLMR_BLANKS_TO_MARK };

struct xlmr_normalizer {
    struct charsmap charsmap;
    bool strip_left, strip_right;
    enum xlmr_blanks blanks;
};

/* json: the section "normalizer". On failure *normalizer is still to be released. */
bool xlmr_normalizer_init(struct xlmr_normalizer *normalizer, const struct json *json,
                          struct error *err);
void xlmr_normalizer_done(struct xlmr_normalizer *normalizer);

struct xlmr_read { /* a code point of the original text */
    uint32_t codepoint;
    uint8_t bytes_n, flags;
    bool joins; /* the cluster of the one before it */
};

struct xlmr_stream {
    const struct xlmr_normalizer *normalizer;
    const char *text;
    size_t at, end;
    struct xlmr_read next;     /* the code point at `at` */
    size_t source_at;          /* where the next code point that comes out comes from */
    struct normal_char source; /* the last code point of the text that something stands for */
    struct normal_char held;   /* given out but for its range, which may still move */
    bool holds, has_begun;     /* has_begun: a code point has come out */
    bool left_is_done;         /* no more white space to strip on the left */
    size_t content_at;         /* up to here white space is known to have text behind it */
};

enum { XLMR_STRETCH = 1024 }; /* code points that xlmr_stream_next needs room for */

/* The bytes [begin, end) of text; offsets count from text. */
void xlmr_stream_init(struct xlmr_stream *stream, const struct xlmr_normalizer *normalizer,
                      const char *text, size_t begin, size_t end);

/* The next code points, at most XLMR_STRETCH. 0: the end. */
size_t xlmr_stream_next(struct xlmr_stream *stream, struct normal_char *out);

/* Unicode's White_Space. */
static inline bool xlmr_is_white(uint32_t c) {
    if (c < 0x1680)
        return c == ' ' || (c >= 0x9 && c <= 0xd) || c == 0x85 || c == 0xa0;
    return c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

#endif
