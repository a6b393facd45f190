/* bert_normalizer.h - BertNormalizer, code point by code point.
 *
 * In this order: clean_text (controls go, white space becomes a blank), handle_chinese_chars (an
 * ideograph gets a blank on both sides), strip_accents (canonical decomposition, then nonspacing
 * marks go), lowercase (by code point: no final sigma). Each code point that comes out carries the
 * bytes of the original text that it stands for; the accent that went is nobody's.
 *
 * A stream gives the result in small stretches, so that a text of any length needs no memory.
 * Threads: a normalizer is immutable; a stream belongs to one thread. */
#ifndef TERCET_TOKENIZER_BERT_NORMALIZER_H
#define TERCET_TOKENIZER_BERT_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/bert_unicode.h"
#include "engine/tokenizer/normal_char.h"

struct json;

enum {
    BERT_TABLED = 0x10000, /* code points whose flags are looked up: the BMP */
    /* Combining marks in a row that are put in canonical order together. Departure: a longer row
     * (Unicode's Stream-Safe format stops at 30) is ordered in stretches of this many. */
    BERT_ROW_MAX = 128,
    BERT_STRETCH_MIN = 1024, /* code points that bert_stream_next needs room for */
};

struct bert_normalizer {
    bool clean_text, set_cjk_apart, strip_accents, lowercase;
    const uint8_t *flags; /* [BERT_TABLED] bits of enum bert_flag; one table for all, static */
};

/* json: the section "normalizer" of tokenizer.json, of type BertNormalizer. */
bool bert_normalizer_init(struct bert_normalizer *normalizer, const struct json *json,
                          struct error *err);

/* Bits of enum bert_flag. */
static inline uint8_t bert_normalizer_flags(const struct bert_normalizer *normalizer,
                                            uint32_t codepoint) {
    return codepoint < BERT_TABLED ? normalizer->flags[codepoint] : bert_unicode_flags(codepoint);
}

struct bert_row_char {
    uint32_t codepoint;
    uint8_t combining_class;
    bool inserted; /* by a decomposition: it has no code point of the text to itself */
};

struct bert_stream {
    const struct bert_normalizer *normalizer;
    const char *text;
    size_t at, end;
    struct normal_char *out; /* where the next code point goes */
    /* Combining marks read and not given out yet. */
    struct bert_row_char row[BERT_ROW_MAX];
    struct normal_char row_sources[BERT_ROW_MAX]; /* what the marks not inserted stand for */
    size_t row_n, row_sources_n;
    struct normal_char last_source; /* the code point before the row */
};

/* The bytes [begin, end) of text; offsets count from text. */
void bert_stream_init(struct bert_stream *stream, const struct bert_normalizer *normalizer,
                      const char *text, size_t begin, size_t end);

/* The next code points into out, which has room for room >= BERT_STRETCH_MIN. 0: the end. */
size_t bert_stream_next(struct bert_stream *stream, struct normal_char *out, size_t room);

#endif
