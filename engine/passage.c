#include "engine/passage.h"

#include <stdbool.h>
#include <string.h>

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
