#include "query/query.h"

#include <stdlib.h>

struct numbered_term {
    uint32_t id;
    const struct lexical_term *term;
};

static int compare_ids(const void *a, const void *b) {
    uint32_t x = ((const struct numbered_term *)a)->id, y = ((const struct numbered_term *)b)->id;
    return (x > y) - (x < y);
}

static void sparse_of(const struct lexical *lexical, struct snapshot *snapshot, struct arena *arena,
                      struct query *query) {
    struct numbered_term *known = ARENA_NEW(arena, struct numbered_term, lexical->n);
    size_t n = 0;
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        uint32_t id = term->id;
        if (!term->word || term_find(snapshot, term->word, term->word_len, &id))
            known[n++] = (struct numbered_term){.id = id, .term = term};
    }
    if (n)
        qsort(known, n, sizeof *known, compare_ids);
    uint32_t *ids = ARENA_NEW(arena, uint32_t, n);
    float *weights = ARENA_NEW(arena, float, n);
    query->terms = ARENA_NEW(arena, const struct lexical_term *, n);
    for (size_t i = 0; i < n; i++) {
        ids[i] = known[i].id;
        weights[i] = known[i].term->weight;
        query->terms[i] = known[i].term;
    }
    query->sparse = (struct sparse_vector){.ids = ids, .weights = weights, .n = n};
}

bool query_encode(struct encoder *encoder, unsigned modes, const struct index_settings *settings,
                  struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                  const struct encoding *ready, struct query *out, struct error *err) {
    struct encoder_text input = {.text = text, .len = len};
    struct encoding encoding;
    if (ready)
        encoding = *ready;
    else if (!encoder_encode_modes(encoder, modes, &input, 1, arena, &encoding, err))
        return false;
    struct query query = {
        .text = text,
        .text_len = len,
        .dense = encoding.dense,
        .multi = encoding.multi,
        .multi_n = encoding.multi_n,
        .multi_ranges = encoding.multi_ranges,
        .passage_instruction = settings->passage_instruction,
        .passage_length_max = settings->length_max,
    };
    if (modes & ENCODE_LEXICAL)
        sparse_of(&encoding.lexical, snapshot, arena, &query);
    *out = query;
    return true;
}
