#include "engine/passage.h"

#include <string.h>

#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"

/* Longer titles are not all made tokens of, only to be cut. */
enum { TOKEN_BYTES_MAX = 64 };

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct passage passage_of(const char *title, size_t title_len, const char *text, size_t text_len,
                          struct arena *arena) {
    char *joined = arena_alloc(arena, title_len + text_len + 2, 1);
    size_t begin = 0, end = title_len + 1 + text_len;
    if (title_len)
        memcpy(joined, title, title_len);
    joined[title_len] = ' ';
    if (text_len)
        memcpy(joined + title_len + 1, text, text_len);
    while (begin < end && is_blank(joined[begin]))
        begin++;
    while (end > begin && is_blank(joined[end - 1]))
        end--;
    joined[end] = '\0';
    return (struct passage){.text = joined + begin, .len = end - begin, .trimmed = begin};
}

bool passage_title(const struct model *model, uint32_t length_max, const char *title,
                   size_t title_len, struct arena *arena, size_t *len_out, uint32_t *tokens_out,
                   struct error *err) {
    uint32_t tokens_max = length_max / PASSAGE_TITLE_PART, n = 0;
    size_t len = title_len, read_max = (size_t)tokens_max * TOKEN_BYTES_MAX;
    struct tokens tokens;
    if (len > read_max)
        len = read_max;
    while (len < title_len && len > 0 && ((unsigned char)title[len] & 0xC0) == 0x80)
        len--;
    if (!tokenizer_encode(model_tokenizer(model), title, len, 0, arena, &tokens, err))
        return false;
    for (size_t i = 0; i < tokens.n; i++) {
        struct token_range range = tokens.ranges[i];
        if (range.end == range.begin) /* a special token that was put in */
            continue;
        if (n == tokens_max) {
            len = range.begin;
            break;
        }
        n++;
    }
    *len_out = len;
    *tokens_out = n;
    return true;
}
