#include "engine/tokenizer/vocabulary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

bool vocabulary_init(struct vocabulary *vocabulary, size_t ids_max, struct error *err) {
    if (ids_max > VOCABULARY_MAX)
        return error_set(err, ERROR_LIMIT, "model.vocab: %zu tokens, at most %d are supported",
                         ids_max, VOCABULARY_MAX);
    *vocabulary = (struct vocabulary){.ids_max = ids_max};
    vocabulary->texts = mem_zalloc(ids_max ? ids_max : 1, sizeof *vocabulary->texts);
    map_reserve(&vocabulary->ids, ids_max);
    return true;
}

void vocabulary_done(struct vocabulary *vocabulary) {
    map_done(&vocabulary->ids);
    arena_done(&vocabulary->arena);
    free(vocabulary->texts);
    *vocabulary = (struct vocabulary){0};
}

/* Token texts lie one behind the other: an arena alone would give each a cache line. */
static const char *keep_text(struct vocabulary *vocabulary, const char *text, size_t len) {
    enum { BLOCK_BYTES = 64 * 1024 };
    if (len + 1 > vocabulary->block_left) {
        vocabulary->block_left = len + 1 > BLOCK_BYTES ? len + 1 : BLOCK_BYTES;
        vocabulary->block = ARENA_NEW(&vocabulary->arena, char, vocabulary->block_left);
    }
    char *kept = vocabulary->block;
    memcpy(kept, text, len);
    kept[len] = '\0';
    vocabulary->block += len + 1;
    vocabulary->block_left -= len + 1;
    return kept;
}

bool vocabulary_add(struct vocabulary *vocabulary, const char *text, size_t text_len, double id,
                    const char *where, struct error *err) {
    if (!(id >= 0 && id == floor(id)))
        return error_set(err, ERROR_INVALID,
                         "%s: the id of \"%s\" must be a whole number from 0 on, found %g", where,
                         text, id);
    if (id >= (double)vocabulary->ids_max)
        return error_set(err, ERROR_INVALID,
                         "%s: the id %.0f of \"%s\" is beyond the file's %zu tokens", where, id,
                         text, vocabulary->ids_max);
    size_t i = (size_t)id;
    const uint32_t *known = vocabulary_find(vocabulary, text, text_len);
    if (known && *known == i)
        return true;
    if (known)
        return error_set(err, ERROR_INVALID, "%s: the token \"%s\" has two ids, %u and %zu", where,
                         text, *known, i);
    if (i < vocabulary->n && vocabulary->texts[i])
        return error_set(err, ERROR_INVALID, "%s: two tokens have the id %zu, \"%s\" and \"%s\"",
                         where, i, vocabulary->texts[i], text);
    const char *kept = keep_text(vocabulary, text, text_len);
    vocabulary->texts[i] = kept;
    map_put(&vocabulary->ids, kept, text_len, (uint32_t)i, NULL);
    if (vocabulary->n <= i)
        vocabulary->n = i + 1;
    return true;
}

bool vocabulary_check(const struct vocabulary *vocabulary, struct error *err) {
    if (vocabulary->n == 0)
        return error_set(err, ERROR_INVALID, "model.vocab: has no tokens");
    for (size_t i = 0; i < vocabulary->n; i++)
        if (!vocabulary->texts[i])
            return error_set(err, ERROR_INVALID,
                             "model.vocab: no token has the id %zu, yet \"%s\" has the id %zu: "
                             "%zu tokens must have the ids 0 to %zu",
                             i, vocabulary->texts[vocabulary->n - 1], vocabulary->n - 1,
                             vocabulary->ids.n, vocabulary->ids.n - 1);
    return true;
}

const uint32_t *vocabulary_find(const struct vocabulary *vocabulary, const char *text,
                                size_t text_len) {
    return map_find(&vocabulary->ids, text, text_len);
}
