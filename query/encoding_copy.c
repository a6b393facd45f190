#include "query/encoding_copy.h"

#include <string.h>

static void *copy_of(const void *data, size_t n, size_t size, struct arena *arena) {
    void *copy = arena_alloc(arena, n, size);
    if (n)
        memcpy(copy, data, n * size);
    return copy;
}

struct encoding encoding_copy(const struct encoding *encoding, const struct model_info *info,
                              struct arena *arena) {
    struct encoding copy = *encoding;
    size_t multi_n = encoding->multi_n;
    if (encoding->dense)
        copy.dense = copy_of(encoding->dense, info->dense_dim, sizeof *copy.dense, arena);
    if (encoding->multi)
        copy.multi = copy_of(encoding->multi, multi_n * info->multi_dim, sizeof *copy.multi, arena);
    if (encoding->multi_ranges)
        copy.multi_ranges =
            copy_of(encoding->multi_ranges, multi_n, sizeof *copy.multi_ranges, arena);
    struct lexical *lexical = &copy.lexical;
    lexical->terms = copy_of(lexical->terms, lexical->n, sizeof *lexical->terms, arena);
    for (size_t i = 0; i < lexical->n; i++) {
        struct lexical_term *term = &lexical->terms[i];
        if (term->word)
            term->word = arena_text(arena, term->word, term->word_len);
    }
    return copy;
}
