#include "engine/words.h"

#include <string.h>
#include <utf8proc.h>

#include "engine/tokenizer/utf8.h"

enum char_kind {
    KIND_OTHER,
    KIND_LETTER, /* letters, numbers, connectors */
    KIND_MARK,   /* belongs to what it stands behind; begins no word, is no letter of its own */
    KIND_ALONE,  /* a letter of a script without spaces */
};

/* Letters of scripts that are written without spaces. */
static bool is_alone(uint32_t c) {
    return (c >= 0x0e00 && c <= 0x0eff) || /* Thai, Lao */
           (c >= 0x1000 && c <= 0x109f) || /* Burmese */
           (c >= 0x1780 && c <= 0x17ff) || /* Khmer */
           (c >= 0x2e80 && c <= 0x2fdf) || /* radicals */
           (c >= 0x3005 && c <= 0x3007) || /* iteration mark, closing mark, zero */
           (c >= 0x3021 && c <= 0x3029) || /* Hangzhou numerals */
           (c >= 0x3041 && c <= 0x309f) || /* hiragana */
           (c >= 0x3400 && c <= 0x4dbf) || /* ideographs: extension A */
           (c >= 0x4e00 && c <= 0x9fff) || /* the main block */
           (c >= 0xf900 && c <= 0xfaff) || /* compatibility */
           (c >= 0x20000 && c <= 0x3ffff); /* the planes of ideographs */
}

static bool is_upper_ascii(uint32_t c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_word_ascii(uint32_t c) {
    return (c >= 'a' && c <= 'z') || is_upper_ascii(c) || (c >= '0' && c <= '9') || c == '_';
}

/* Format characters that stand inside words (a soft hyphen, the joiners of Persian) and vanish
 * when the word is folded. U+200B is none: it separates words. */
static bool is_invisible(uint32_t c) {
    return c == 0xad || c == 0x200c || c == 0x200d || c == 0x2060 || c == 0xfeff;
}

static enum char_kind kind_of(uint32_t codepoint) {
    if (codepoint < 0x80)
        return is_word_ascii(codepoint) ? KIND_LETTER : KIND_OTHER;
    if (is_invisible(codepoint))
        return KIND_MARK;
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_PC: return is_alone(codepoint) ? KIND_ALONE : KIND_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return KIND_MARK;
    default: return KIND_OTHER;
    }
}

/* What a word is made of while it is read. */
struct span {
    size_t begin, end;
    size_t letters_n; /* without marks */
    bool is_ascii, is_alone;
};

/* The next run of word characters from words->at on; false at the end. */
static bool next_span(struct words *words, struct span *span) {
    *span = (struct span){.is_ascii = true};
    while (words->at < words->len) {
        uint32_t codepoint;
        size_t at = words->at;
        size_t bytes = utf8_read(words->text + at, words->len - at, &codepoint);
        enum char_kind kind = kind_of(codepoint);
        bool inside = span->letters_n > 0;
        if (inside &&
            (kind == KIND_OTHER || kind == KIND_ALONE || (span->is_alone && kind == KIND_LETTER)))
            return true; /* this character is read again */
        words->at += bytes;
        if (kind == KIND_OTHER || (!inside && kind == KIND_MARK))
            continue;
        if (!inside)
            span->begin = at;
        span->end = at + bytes;
        span->letters_n += kind != KIND_MARK;
        span->is_ascii &= codepoint < 0x80;
        span->is_alone |= kind == KIND_ALONE;
    }
    return span->letters_n > 0;
}

static bool fold_ascii(const char *text, size_t len, struct word_found *out) {
    for (size_t i = 0; i < len; i++)
        out->folded[i] = is_upper_ascii((uint8_t)text[i]) ? (char)(text[i] | 0x20) : text[i];
    out->folded_len = (uint32_t)len;
    return true;
}

/* False when the folded word is too long or nothing is left of it. */
static bool fold_unicode(const char *text, size_t len, struct word_found *out) {
    enum { FOLDED_MAX = 4 * WORD_BYTES_MAX }; /* code points; U+FDFA alone makes 18 */
    const utf8proc_option_t options =
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_int32_t points[FOLDED_MAX];
    utf8proc_ssize_t n = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len,
                                            points, FOLDED_MAX, options);
    if (n <= 0 || n > FOLDED_MAX)
        return false;
    n = utf8proc_normalize_utf32(points, n, options);
    size_t folded_len = 0;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        char bytes[UTF8_BYTES_MAX];
        size_t bytes_n = utf8_write((uint32_t)points[i], bytes);
        if (folded_len + bytes_n > WORD_BYTES_MAX)
            return false;
        memcpy(out->folded + folded_len, bytes, bytes_n);
        folded_len += bytes_n;
    }
    out->folded_len = (uint32_t)folded_len;
    return folded_len > 0;
}

void words_init(struct words *words, const char *text, size_t len) {
    *words = (struct words){text, len, 0};
}

bool words_next(struct words *words, struct word_found *out) {
    struct span span;
    while (next_span(words, &span)) {
        size_t len = span.end - span.begin;
        if ((span.letters_n < 2 && !span.is_alone) || len > WORD_BYTES_MAX)
            continue;
        if (!(span.is_ascii ? fold_ascii : fold_unicode)(words->text + span.begin, len, out))
            continue;
        out->begin = (uint32_t)span.begin;
        out->end = (uint32_t)span.end;
        out->folded[out->folded_len] = '\0';
        return true;
    }
    return false;
}

bool words_next_run(struct words *words, size_t *begin_out, size_t *end_out) {
    struct span span;
    if (!next_span(words, &span))
        return false;
    *begin_out = span.begin;
    *end_out = span.end;
    return true;
}
