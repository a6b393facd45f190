#include "query/explain.h"

#include <stdlib.h>

#include "engine/model.h"
#include "engine/passage.h"

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

static bool explain_terms(struct search_run *run, struct search_hit *hit, struct error *err) {
    const struct sparse_vector *sparse = &run->query.sparse;
    float *shares = ARENA_ZERO(run->arena, float, sparse->n);
    struct search_term *terms = ARENA_ZERO(run->arena, struct search_term, sparse->n);
    if (!sparse_explain(run->snapshot, sparse, hit->scores.docid, run->arena, shares, err))
        return false;
    for (size_t i = 0; i < sparse->n; i++)
        terms[i] = (struct search_term){
            .text = term_text(run, i),
            .query_weight = sparse->weights[i],
            .share = shares[i],
        };
    if (sparse->n)
        qsort(terms, sparse->n, sizeof *terms, compare_shares);
    hit->explanation.terms = terms;
    hit->explanation.terms_n = sparse->n;
    return true;
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

/* A document's multi-vector i belongs to token first + i of its passage as ingest reads it. */
static bool name_matches(struct search_run *run, const struct search_hit *hit, const uint32_t *best,
                         struct search_match *matches, struct error *err) {
    const struct document *document = &hit->document;
    struct arena *arena = run->arena;
    struct passage passage =
        passage_of(document->title, document->title_len, document->text, document->text_len, arena);
    const struct encoder_text text = {passage.text, passage.len};
    const struct tokenizer *tokenizer = model_tokenizer(run->searcher->model);
    struct tokens tokens, closing;
    size_t first;
    if (!encoder_read(run->searcher->model, run->query.passage_instruction,
                      run->query.passage_length_max, &text, arena, &tokens, &first, err) ||
        !tokenizer_encode(tokenizer, "", 0, 0, arena, &closing, err))
        return false;
    uint32_t closing_id = closing.ids[closing.n - 1];
    for (size_t i = 0; i < run->query.multi_n; i++) {
        size_t token = (size_t)best[i] + first;
        matches[i].query_token = query_token(run, i, closing_id);
        if (token < tokens.n)
            matches[i].passage_token = token_as_written(
                tokenizer, passage.text, tokens.ranges[token], tokens.ids[token], arena);
    }
    return true;
}

static bool explain_matches(struct search_run *run, struct search_hit *hit, struct error *err) {
    size_t n = run->query.multi_n;
    uint32_t *best = ARENA_ZERO(run->arena, uint32_t, n);
    float *products = ARENA_ZERO(run->arena, float, n);
    struct search_match *matches = ARENA_ZERO(run->arena, struct search_match, n);
    if (!multi_explain(run->snapshot, run->query.multi, n, hit->scores.docid, 0, run->arena, best,
                       products, err))
        return false;
    for (size_t i = 0; i < n; i++)
        matches[i] = (struct search_match){"", "", products[i]};
    if (run->searcher->model && !name_matches(run, hit, best, matches, err))
        return false;
    hit->explanation.matches = matches;
    hit->explanation.matches_n = n;
    return true;
}

bool explain_hit(struct search_run *run, struct search_hit *hit, struct error *err) {
    unsigned modes = run->plan.fuse.modes;
    return (!(modes & 1u << FUSE_SPARSE) || explain_terms(run, hit, err)) &&
           (!(modes & 1u << FUSE_MULTI) || explain_matches(run, hit, err));
}
