#include "query/explain.h"

#include <stdlib.h>

#include "engine/model.h"

/* ---- terms ---- */

static int compare_shares(const void *a, const void *b) {
    float x = ((const struct search_term *)a)->share, y = ((const struct search_term *)b)->share;
    return (x < y) - (x > y);
}

/* A word, or a token as the vocabulary has it, or its number where there is no vocabulary. */
static const char *term_text(const struct search_run *run, size_t i) {
    const struct lexical_term *term = run->query.terms[i];
    const struct model *model = run->searcher->model;
    if (term->word)
        return arena_text(run->arena, term->word, term->word_len);
    const char *token = model && !run->query.terms_are_words
                            ? tokenizer_token_text(model_tokenizer(model), term->id)
                            : NULL;
    return token ? token : arena_format(run->arena, "%u", run->query.sparse.ids[i]);
}

static void explain_terms(struct search_run *run, const struct evidence *evidence,
                          struct search_hit *hit) {
    const struct sparse_vector *sparse = &run->query.sparse;
    struct search_term *terms = ARENA_ZERO(run->arena, struct search_term, sparse->n);
    for (size_t i = 0; i < sparse->n; i++)
        terms[i] = (struct search_term){
            .text = term_text(run, i),
            .query_weight = sparse->weights[i],
            .share = evidence->shares[i],
        };
    if (sparse->n)
        qsort(terms, sparse->n, sizeof *terms, compare_shares);
    hit->explanation.terms = terms;
    hit->explanation.terms_n = sparse->n;
}

/* ---- tokens ---- */

/* The bytes a token stands for; a special token that was put in stands for none of them. */
static const char *token_as_written(const struct tokenizer *tokenizer, const char *text,
                                    struct token_range range, uint32_t id, struct arena *arena) {
    if (range.end > range.begin)
        return arena_text(arena, text + range.begin, range.end - range.begin);
    const char *token = tokenizer_token_text(tokenizer, id);
    return token ? token : "";
}

/* Who came with vectors knows the words to them; nobody else does. */
static const char *query_token(const struct search_run *run, size_t i, uint32_t closing_id) {
    const struct query *query = &run->query;
    return query->multi_ranges
               ? token_as_written(model_tokenizer(run->searcher->model), query->text,
                                  query->multi_ranges[i], closing_id, run->arena)
               : "";
}

static bool explain_tokens(struct search_run *run, const struct evidence *evidence,
                           struct search_hit *hit, struct error *err) {
    size_t n = run->query.multi_n;
    const struct tokens *tokens = &evidence->tokens;
    struct search_match *matches = ARENA_ZERO(run->arena, struct search_match, n);
    struct tokens closing = {0};
    const struct tokenizer *tokenizer = tokens->n ? model_tokenizer(run->searcher->model) : NULL;
    if (tokenizer && !tokenizer_encode(tokenizer, "", 0, 0, run->arena, &closing, err))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        size_t token = (size_t)evidence->best[i] + evidence->first;
        matches[i] = (struct search_match){"", "", evidence->products[i], .has_place = false};
        if (!tokenizer || token >= tokens->n)
            continue;
        matches[i].query_token = query_token(run, i, closing.ids[closing.n - 1]);
        matches[i].passage_token =
            token_as_written(tokenizer, evidence->passage.text, tokens->ranges[token],
                             tokens->ids[token], run->arena);
        matches[i].has_place = evidence_place(evidence, evidence->best[i], &matches[i].place);
    }
    hit->explanation.matches = matches;
    hit->explanation.matches_n = n;
    return true;
}

bool explain_hit(struct search_run *run, const struct evidence *evidence, struct search_hit *hit,
                 struct error *err) {
    unsigned modes = run->plan.fuse.modes;
    if (modes & 1u << FUSE_SPARSE)
        explain_terms(run, evidence, hit);
    return !(modes & 1u << FUSE_MULTI) || explain_tokens(run, evidence, hit, err);
}
