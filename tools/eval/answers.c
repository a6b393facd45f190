#include "tools/eval/answers.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/buf.h"
#include "tools/eval/judged.h"

static bool is_word(utf8proc_int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return true;
    default: return false;
    }
}

static bool is_shown(utf8proc_int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return category < UTF8PROC_CATEGORY_ZS && category != UTF8PROC_CATEGORY_CN;
}

/* " word word . word ": every word between two blanks. Text that is no UTF-8 gives no words. */
static void words_of(const char *text, size_t len, struct buf *out) {
    utf8proc_uint8_t *decomposed = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len,
                                      &decomposed, UTF8PROC_DECOMPOSE);
    bool in_word = false;
    buf_clear(out);
    buf_append(out, " ", 1);
    for (utf8proc_ssize_t at = 0; at < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t step = utf8proc_iterate(decomposed + at, n - at, &c);
        if (step <= 0)
            break;
        at += step;
        bool word = is_word(c);
        if (in_word && !word)
            buf_append(out, " ", 1);
        in_word = word;
        if (!word && !is_shown(c))
            continue;
        utf8proc_uint8_t lower[4];
        buf_append(out, lower, (size_t)utf8proc_encode_char(utf8proc_tolower(c), lower));
        if (!word)
            buf_append(out, " ", 1);
    }
    if (in_word)
        buf_append(out, " ", 1);
    free(decomposed);
}

bool answers_held(const struct judged_query *query, const char *text, size_t len) {
    struct buf passage = {0}, answer = {0};
    bool held = false;
    words_of(text, len, &passage);
    for (size_t i = 0; i < query->answers_n && !held; i++) {
        words_of(query->answers[i], strlen(query->answers[i]), &answer);
        held = answer.len > 1 && memmem(passage.data, passage.len, answer.data, answer.len) != NULL;
    }
    buf_done(&passage);
    buf_done(&answer);
    return held;
}
