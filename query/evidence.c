#include "query/evidence.h"

#include "engine/model.h"

static bool find_terms(struct search_run *run, const struct search_hit *hit, struct evidence *out,
                       struct error *err) {
    const struct sparse_vector *sparse = &run->query.sparse;
    float *shares = ARENA_ZERO(run->arena, float, sparse->n);
    out->shares = shares;
    return sparse_explain(run->snapshot, sparse, hit->scores.docid, run->arena, shares, err);
}

static bool find_tokens(struct search_run *run, const struct search_hit *hit, struct evidence *out,
                        struct error *err) {
    size_t n = run->query.multi_n;
    uint32_t *best = ARENA_ZERO(run->arena, uint32_t, n);
    float *products = ARENA_ZERO(run->arena, float, n);
    out->best = best;
    out->products = products;
    if (!multi_explain(run->snapshot, run->query.multi, n, hit->scores.docid, hit->passage.index,
                       run->arena, best, products, err))
        return false;
    for (size_t i = 0; i < n; i++)
        best[i] *= run->query.passage_pool_tokens;
    if (!run->searcher->model)
        return true;
    const struct document_passage *part = hit->has_passage ? &hit->passage : NULL;
    if (!run_passage_text(run, &hit->document, part, run->arena, &out->passage, &out->title_len,
                          err))
        return false;
    out->text_begin = part ? part->begin : 0;
    const struct encoder_text text = {out->passage.text, out->passage.len};
    return encoder_read(run->searcher->model, run->query.passage_instruction,
                        run->query.passage_length_max, &text, run->arena, &out->tokens, &out->first,
                        err);
}

bool evidence_find(struct search_run *run, const struct search_hit *hit, struct evidence *out,
                   struct error *err) {
    struct evidence evidence = {0};
    if ((run->query.sparse.n && !find_terms(run, hit, &evidence, err)) ||
        (run->query.multi_n && !find_tokens(run, hit, &evidence, err)))
        return false;
    *out = evidence;
    return true;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool evidence_place(const struct evidence *evidence, uint32_t i, struct search_place *out) {
    size_t token = evidence->first + i, title_len = evidence->title_len;
    if (token >= evidence->tokens.n)
        return false;
    struct token_range range = evidence->tokens.ranges[token];
    const char *passage = evidence->passage.text;
    while (range.begin < range.end && is_blank(passage[range.begin]))
        range.begin++;
    while (range.end > range.begin && is_blank(passage[range.end - 1]))
        range.end--;
    if (range.begin == range.end)
        return false;
    /* From here on in (title + " " + text), of what the encoder read of both. */
    size_t begin = range.begin + evidence->passage.trimmed;
    size_t end = range.end + evidence->passage.trimmed, text = title_len + 1;
    size_t in_title = begin < title_len ? (end < title_len ? end : title_len) - begin : 0;
    size_t in_text = end > text ? end - (begin > text ? begin : text) : 0;
    *out = in_title >= in_text
               ? (struct search_place){SEARCH_TITLE, (uint32_t)begin, (uint32_t)(begin + in_title)}
               : (struct search_place){SEARCH_TEXT,
                                       (uint32_t)(evidence->text_begin + end - in_text - text),
                                       (uint32_t)(evidence->text_begin + end - text)};
    return true;
}
