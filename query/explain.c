#include "query/explain.h"

#include <stdlib.h>

#include "engine/model.h"
#include "engine/passage.h"

static int compare_shares(const void *a, const void *b) {
    float x = ((const struct search_term *)a)->share, y = ((const struct search_term *)b)->share;
    return (x < y) - (x > y);
}

static bool explain_terms(struct snapshot *snapshot, const struct tokenizer *tokenizer,
                          const struct query *query, struct arena *arena, struct search_hit *hit,
                          struct error *err) {
    size_t n = query->sparse.n;
    float *shares = ARENA_ZERO(arena, float, n);
    struct search_term *terms = ARENA_ZERO(arena, struct search_term, n);
    if (!sparse_explain(snapshot, &query->sparse, hit->scores.docid, arena, shares, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct lexical_term *term = query->terms[i];
        const char *token = term->word ? NULL : tokenizer_token_text(tokenizer, term->id);
        terms[i] = (struct search_term){
            .text = term->word ? arena_text(arena, term->word, term->word_len)
                    : token    ? token
                               : "?",
            .query_weight = query->sparse.weights[i],
            .share = shares[i],
        };
    }
    if (n)
        qsort(terms, n, sizeof *terms, compare_shares);
    hit->explanation.terms = terms;
    hit->explanation.terms_n = n;
    return true;
}

/* The bytes a token stands for; a special token that was put in stands for none of them. */
static const char *token_as_written(const struct tokenizer *tokenizer, const char *text,
                                    struct token_range range, uint32_t id, struct arena *arena) {
    if (range.end > range.begin)
        return arena_text(arena, text + range.begin, range.end - range.begin);
    const char *token = tokenizer_token_text(tokenizer, id);
    return token ? token : "";
}

/* A document's multi-vector i belongs to token first + i of its passage as ingest reads it. */
static bool explain_matches(struct snapshot *snapshot, const struct model *model,
                            const struct query *query, struct arena *arena, struct search_hit *hit,
                            struct error *err) {
    size_t n = query->multi_n;
    uint32_t *best = ARENA_ZERO(arena, uint32_t, n);
    float *products = ARENA_ZERO(arena, float, n);
    struct search_match *matches = ARENA_ZERO(arena, struct search_match, n);
    const struct document *document = &hit->document;
    struct passage passage =
        passage_of(document->title, document->title_len, document->text, document->text_len, arena);
    const struct encoder_text text = {passage.text, passage.len};
    const struct tokenizer *tokenizer = model_tokenizer(model);
    struct tokens tokens, closing;
    size_t first;
    if (!multi_explain(snapshot, query->multi, n, hit->scores.docid, arena, best, products, err) ||
        !encoder_read(model, query->passage_instruction, query->passage_length_max, &text, arena,
                      &tokens, &first, err) ||
        !tokenizer_encode(tokenizer, "", 0, 0, arena, &closing, err))
        return false;
    uint32_t closing_id = closing.ids[closing.n - 1];
    for (size_t i = 0; i < n; i++) {
        size_t token = (size_t)best[i] + first;
        bool known = token < tokens.n;
        matches[i] = (struct search_match){
            .query_token =
                token_as_written(tokenizer, query->text, query->multi_ranges[i], closing_id, arena),
            .passage_token = known ? token_as_written(tokenizer, passage.text, tokens.ranges[token],
                                                      tokens.ids[token], arena)
                                   : "",
            .product = products[i],
        };
    }
    hit->explanation.matches = matches;
    hit->explanation.matches_n = n;
    return true;
}

bool explain_hit(struct snapshot *snapshot, const struct model *model, const struct query *query,
                 unsigned modes, struct arena *arena, struct search_hit *hit, struct error *err) {
    if (modes & 1u << FUSE_SPARSE &&
        !explain_terms(snapshot, model_tokenizer(model), query, arena, hit, err))
        return false;
    return !(modes & 1u << FUSE_MULTI) || explain_matches(snapshot, model, query, arena, hit, err);
}
