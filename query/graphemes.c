#include "query/graphemes.h"

#include <stdint.h>
#include <utf8proc.h>

#include "engine/tokenizer/utf8.h"

enum {
    /* What decides about a border lies before it: flags come in pairs, emoji in chains. Nothing
     * that anybody writes is longer; what is, is cut somewhere inside. */
    LOOK_BACK_BYTES = 512,
};

static bool is_plain_border(const char *text, size_t len, size_t at) {
    if (at == 0 || at == len)
        return true;
    uint8_t left = (uint8_t)text[at - 1], right = (uint8_t)text[at];
    return left < 0x80 && right < 0x80 && !(left == '\r' && right == '\n');
}

/* utf8proc's rules ask for the state that the text before left. At a border between two ASCII
 * characters there is none, so reading begins there. */
static size_t reading_begin(const char *text, size_t len, size_t at) {
    size_t begin = at;
    while (!is_plain_border(text, len, begin) && at - begin < LOOK_BACK_BYTES)
        begin--;
    while (begin < at && ((uint8_t)text[begin] & 0xc0) == 0x80) /* the limit fell into one */
        begin++;
    return begin;
}

/* The last border at or before `at`, and the first one behind that. */
static void borders_around(const char *text, size_t len, size_t at, size_t *before,
                           size_t *behind) {
    size_t border = reading_begin(text, len, at), next = border;
    uint32_t last = 0, codepoint;
    utf8proc_int32_t state = 0;
    while (next < len) {
        size_t bytes = utf8_read(text + next, len - next, &codepoint);
        if (next > border && utf8proc_grapheme_break_stateful(
                                 (utf8proc_int32_t)last, (utf8proc_int32_t)codepoint, &state)) {
            if (next > at)
                break;
            border = next;
        }
        last = codepoint;
        next += bytes;
    }
    *before = border;
    *behind = next;
}

size_t graphemes_border_before(const char *text, size_t len, size_t at) {
    size_t before, behind;
    if (is_plain_border(text, len, at))
        return at;
    borders_around(text, len, at, &before, &behind);
    return before;
}

size_t graphemes_border_behind(const char *text, size_t len, size_t at) {
    size_t before, behind;
    if (is_plain_border(text, len, at))
        return at;
    borders_around(text, len, at, &before, &behind);
    return before == at ? at : behind;
}
