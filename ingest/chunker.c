#include "ingest/chunker.h"

#include <stdbool.h>
#include <string.h>

#include <utf8proc.h>

/* How far white space is looked through, and how many closing marks: every token of a text is asked
 * about, so that a text of nothing else must not take the square of its length. */
enum { GAP_BYTES_MAX = 256, CLOSING_MAX = 8, HEADING_LEVELS = 6 };

/* ---- what stands around a byte ---- */

/* The character that ends before `at`, and where it begins; -1 at the text's begin. */
static int32_t character_before(const char *text, size_t at, size_t *begin_out) {
    int32_t character = -1;
    size_t begin = at;
    while (begin > 0 && at - begin < 4) {
        begin--;
        if (((unsigned char)text[begin] & 0xC0) != 0x80)
            break;
    }
    if (begin < at)
        utf8proc_iterate((const utf8proc_uint8_t *)text + begin, (utf8proc_ssize_t)(at - begin),
                         &character);
    *begin_out = begin;
    return character;
}

static int32_t character_at(const char *text, size_t len, size_t at) {
    int32_t character = -1;
    if (at < len)
        utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(len - at),
                         &character);
    return character;
}

static bool is_blank(int32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* Terminators that stand for themselves: their scripts put no blank behind a sentence. */
static bool ends_sentence_anywhere(int32_t c) {
    switch (c) {
    case 0x3002: /* 。 */
    case 0xFF01: /* ！ */
    case 0xFF1F: /* ？ */
    case 0xFF61: /* ｡ */
    case 0xFF0E: /* ． */ return true;
    default: return false;
    }
}

/* Terminators behind which a blank follows. */
static bool ends_sentence(int32_t c) {
    switch (c) {
    case '.':
    case '!':
    case '?':
    case 0x0589: /* Armenian */
    case 0x061F: /* Arabic question mark */
    case 0x06D4: /* Urdu full stop */
    case 0x0700: /* Syriac */
    case 0x0701:
    case 0x0702:
    case 0x0964: /* Devanagari danda */
    case 0x0965:
    case 0x104A: /* Myanmar */
    case 0x104B:
    case 0x1362: /* Ethiopic */
    case 0x1367:
    case 0x1368:
    case 0x17D4: /* Khmer */
    case 0x17D5:
    case 0x203C:
    case 0x203D:
    case 0x2047:
    case 0x2048:
    case 0x2049:
    case 0x2026: /* ellipsis */ return true;
    default: return ends_sentence_anywhere(c);
    }
}

/* Quotes and brackets that close behind the terminator and belong to its sentence. */
static bool closes(int32_t c) {
    switch (c) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '}':
    case 0x00BB: /* » */
    case 0x2019:
    case 0x201D:
    case 0x300D: /* 」 */
    case 0x300F:
    case 0xFF09: return true;
    default: return false;
    }
}

/* ---- breaks ---- */

/* White space around `at`: where it begins and ends, and the line ends in it. Of a long run only
 * what is near. */
struct gap {
    size_t begin, end;
    unsigned lines_n;
};

static struct gap gap_around(const char *text, size_t len, size_t at) {
    struct gap gap = {at, at, 0};
    int32_t c;
    size_t begin;
    while (at - gap.begin < GAP_BYTES_MAX &&
           is_blank(c = character_before(text, gap.begin, &begin))) {
        gap.begin = begin;
        gap.lines_n += c == '\n' || c == 0x2028;
    }
    while (gap.end - at < GAP_BYTES_MAX && is_blank(c = character_at(text, len, gap.end))) {
        gap.end += (size_t)utf8proc_utf8class[(unsigned char)text[gap.end]];
        gap.lines_n += c == '\n' || c == 0x2028;
    }
    return gap;
}

/* "# Title" up to six of them, as CommonMark has it. */
static bool is_heading(const char *text, size_t len, size_t at) {
    size_t n = 0;
    while (n <= HEADING_LEVELS && at + n < len && text[at + n] == '#')
        n++;
    return n >= 1 && n <= HEADING_LEVELS && at + n < len &&
           (text[at + n] == ' ' || text[at + n] == '\t');
}

static bool is_sentence_end(const char *text, size_t len, struct gap gap) {
    size_t at = gap.begin;
    int32_t last = character_before(text, at, &at);
    for (int i = 0; i < CLOSING_MAX && closes(last); i++)
        last = character_before(text, at, &at);
    if (ends_sentence_anywhere(last))
        return true;
    if (gap.end == gap.begin || !ends_sentence(last))
        return false;
    return last != '.' ||
           utf8proc_category(character_at(text, len, gap.end)) != UTF8PROC_CATEGORY_LL;
}

enum chunk_break chunk_break_at(const char *text, size_t len, size_t at) {
    struct gap gap = gap_around(text, len, at);
    if (gap.begin == 0 || gap.end == len)
        return CHUNK_HEADING; /* the text's own ends */
    if (gap.lines_n > 0 && is_heading(text, len, gap.end))
        return CHUNK_HEADING;
    if (gap.lines_n > 1)
        return CHUNK_PARAGRAPH;
    if (is_sentence_end(text, len, gap))
        return CHUNK_SENTENCE;
    if (gap.lines_n > 0)
        return CHUNK_LINE;
    return gap.end > gap.begin ? CHUNK_WORD : CHUNK_INSIDE;
}

/* ---- passages ---- */

struct cutter {
    const char *text;
    size_t len;
    const struct token_range *tokens;
    size_t tokens_n;
    struct chunk_rule rule;
};

static enum chunk_break break_before(const struct cutter *cutter, size_t token) {
    return chunk_break_at(cutter->text, cutter->len, cutter->tokens[token].begin);
}

/* Where the passage that begins with token `begin` ends: one past its last token. Of equal breaks
 * the last; the text's last passage is not left with a scrap. */
static size_t find_end(const struct cutter *cutter, size_t begin) {
    size_t left = cutter->tokens_n - begin, tokens = cutter->rule.tokens;
    if (left <= tokens)
        return cutter->tokens_n;
    size_t last = begin + tokens, first = begin + (tokens + 1) / 2;
    size_t scrap = tokens / 4;
    if (left < tokens + scrap && last - scrap > first)
        last = cutter->tokens_n - scrap;
    size_t end = last;
    enum chunk_break best = break_before(cutter, last);
    for (size_t at = last; at-- > first && best < CHUNK_HEADING;) {
        enum chunk_break here = break_before(cutter, at);
        if (here > best) {
            best = here;
            end = at;
        }
    }
    return end;
}

/* Where the next passage begins: as early as the overlap lets it, but at the best break, and not
 * before the middle of this one: so that passages are few, whatever the overlap. */
static size_t find_begin(const struct cutter *cutter, size_t begin, size_t end) {
    size_t earliest = end > cutter->rule.overlap ? end - cutter->rule.overlap : 0;
    if (earliest < begin + (end - begin) / 2)
        earliest = begin + (end - begin) / 2;
    if (earliest <= begin)
        earliest = begin + 1;
    enum chunk_break best = break_before(cutter, end);
    size_t next = end;
    if (best >= CHUNK_HEADING)
        return end;
    best = CHUNK_INSIDE;
    for (size_t at = end; at-- > earliest;) {
        enum chunk_break here = break_before(cutter, at);
        if (here == CHUNK_HEADING)
            return at;
        if (here >= CHUNK_SENTENCE)
            here = CHUNK_SENTENCE; /* the more is repeated, the better: any sentence will do */
        if (here >= best && here > CHUNK_INSIDE) {
            best = here;
            next = at;
        }
    }
    return next;
}

/* Tokens of some tokenizers begin with the blank in front of their word. */
static struct chunk trimmed(const struct cutter *cutter, size_t begin, size_t end) {
    struct chunk chunk = {
        .begin = cutter->tokens[begin].begin,
        .end = cutter->tokens[end - 1].end,
        .tokens_n = (uint32_t)(end - begin),
    };
    struct gap front = gap_around(cutter->text, cutter->len, chunk.begin);
    struct gap back = gap_around(cutter->text, cutter->len, chunk.end);
    if (front.end > chunk.begin && front.end < chunk.end)
        chunk.begin = (uint32_t)front.end;
    if (back.begin < chunk.end && back.begin > chunk.begin)
        chunk.end = (uint32_t)back.begin;
    return chunk;
}

size_t chunk_text(const char *text, size_t len, const struct token_range *tokens, size_t tokens_n,
                  struct chunk_rule rule, struct arena *arena, struct chunk **out) {
    struct cutter cutter = {text, len, tokens, tokens_n, rule};
    /* Each passage but the last moves on by half of its tokens less the overlap, or by one. */
    size_t n = 0, cap = 16;
    struct chunk *chunks = ARENA_NEW(arena, struct chunk, cap);
    for (size_t begin = 0; begin < tokens_n;) {
        size_t end = find_end(&cutter, begin);
        if (n == cap) {
            struct chunk *more = ARENA_NEW(arena, struct chunk, 2 * cap);
            memcpy(more, chunks, n * sizeof *chunks);
            chunks = more;
            cap *= 2;
        }
        struct chunk made = trimmed(&cutter, begin, end);
        /* Behind trimmed blanks both begin with the same word: the later one holds the other. */
        n -= n > 0 && made.begin <= chunks[n - 1].begin;
        chunks[n++] = made;
        begin = end < tokens_n ? find_begin(&cutter, begin, end) : tokens_n;
    }
    *out = chunks;
    return n;
}
