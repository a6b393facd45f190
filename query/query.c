#include "query/query.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/topk.h"
#include "engine/passage.h"
#include "index/representation.h"
#include "query/vectors.h"

/* ---- terms ---- */

struct numbered_term {
    uint32_t id;
    const struct lexical_term *term;
};

static int compare_ids(const void *a, const void *b) {
    uint32_t x = ((const struct numbered_term *)a)->id, y = ((const struct numbered_term *)b)->id;
    return (x > y) - (x < y);
}

/* Sorts them by id; what stands there twice is added up. */
static void sparse_of_numbered(struct numbered_term *known, size_t n, struct arena *arena,
                               struct query *query) {
    if (n)
        qsort(known, n, sizeof *known, compare_ids);
    uint32_t *ids = ARENA_NEW(arena, uint32_t, n);
    float *weights = ARENA_NEW(arena, float, n);
    query->terms = ARENA_NEW(arena, const struct lexical_term *, n);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept && ids[kept - 1] == known[i].id) {
            weights[kept - 1] += known[i].term->weight;
            continue;
        }
        ids[kept] = known[i].id;
        weights[kept] = known[i].term->weight;
        query->terms[kept++] = known[i].term;
    }
    query->sparse = (struct sparse_vector){.ids = ids, .weights = weights, .n = kept};
}

static bool sparse_of(const struct lexical *lexical, struct snapshot *snapshot, struct arena *arena,
                      struct query *query, struct error *err) {
    struct numbered_term *known = ARENA_NEW(arena, struct numbered_term, lexical->n);
    size_t n = 0;
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        uint32_t id = term->id;
        bool found = true;
        if (term->word && !term_find(snapshot, term->word, term->word_len, &id, &found, err))
            return false;
        if (found)
            known[n++] = (struct numbered_term){.id = id, .term = term};
    }
    sparse_of_numbered(known, n, arena, query);
    return true;
}

static struct query empty_query(const struct index_settings *settings) {
    return (struct query){
        .terms_are_words = vectors_terms_are_words(settings),
        .passage_instruction = settings->passage_instruction,
        .passage_length_max = settings->length_max,
        .passage_pool_tokens = settings->pool_tokens > 1 ? settings->pool_tokens : 1,
    };
}

/* ---- of a text ---- */

bool query_encode(struct encoder *encoder, unsigned modes, const struct index_settings *settings,
                  struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                  const struct encoding *ready, struct query *out, struct error *err) {
    struct encoder_text input = {.text = text, .len = len};
    struct encoding encoding;
    struct query query = empty_query(settings);
    if (ready)
        encoding = *ready;
    else if (!encoder_encode_modes(encoder, modes, &input, 1, arena, &encoding, err))
        return false;
    query.text = text;
    query.text_len = len;
    query.dense = encoding.dense;
    query.multi = encoding.multi;
    query.multi_n = encoding.multi_n;
    query.multi_ranges = encoding.multi_ranges;
    if (modes & ENCODE_LEXICAL && !sparse_of(&encoding.lexical, snapshot, arena, &query, err))
        return false;
    *out = query;
    return true;
}

bool query_add_terms(struct query *query, struct analyzer *analyzer, struct snapshot *snapshot,
                     struct arena *arena, struct error *err) {
    struct lexical lexical;
    return analyzer_run(analyzer, query->text, query->text_len, arena, &lexical, err) &&
           sparse_of(&lexical, snapshot, arena, query, err);
}

/* ---- ready-made ---- */

/* The numbers of tokens, written as words. */
static struct lexical number_terms(const struct lexical *words, struct arena *arena) {
    struct lexical numbers = *words;
    numbers.terms = ARENA_ZERO(arena, struct lexical_term, words->n);
    for (size_t i = 0; i < words->n; i++) {
        numbers.terms[i].weight = words->terms[i].weight;
        vectors_term_number(words->terms[i].word, &numbers.terms[i].id);
    }
    return numbers;
}

bool query_ready(const struct query_vectors *vectors, const struct index_settings *settings,
                 struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                 struct query *out, struct error *err) {
    struct query query = empty_query(settings);
    struct lexical lexical = vectors->sparse;
    query.text = text;
    query.text_len = len;
    query.dense = vectors->dense;
    query.multi = vectors->multi;
    query.multi_n = (uint32_t)vectors->multi_n;
    if (!vectors_terms_are_words(settings))
        lexical = number_terms(&vectors->sparse, arena);
    if (!sparse_of(&lexical, snapshot, arena, &query, err))
        return false;
    *out = query;
    return true;
}

/* ---- of a document ---- */

/* What a document's weight is worth as a query's. BM25 counts how often a query says a term, and
 * takes it as it is; a document's counts are saturated first, as its own side of BM25 does. */
static float query_weight(const struct index_settings *settings, float weight) {
    float k1 = settings->bm25_k1;
    return settings->lexical == INDEX_LEXICAL_BM25 ? weight * (k1 + 1) / (weight + k1) : weight;
}

/* The terms that the document's own score consists of mostly. */
static bool sparse_of_document(struct snapshot *snapshot, uint32_t docid,
                               const struct index_settings *settings,
                               const struct sparse_vector *row, struct arena *arena,
                               struct query *query, struct error *err) {
    float *shares = ARENA_ZERO(arena, float, row->n);
    struct lexical_term *terms = ARENA_ZERO(arena, struct lexical_term, row->n);
    struct scored *order = ARENA_NEW(arena, struct scored, row->n);
    struct numbered_term *kept = ARENA_NEW(arena, struct numbered_term, row->n);
    if (!sparse_explain(snapshot, row, docid, arena, shares, err))
        return false;
    for (size_t i = 0; i < row->n; i++) {
        terms[i].id = row->ids[i];
        terms[i].weight = query_weight(settings, row->weights[i]);
        order[i] = (struct scored){shares[i], (uint32_t)i};
    }
    scored_sort(order, row->n);
    size_t n = row->n < QUERY_LIKE_TERMS_MAX ? row->n : QUERY_LIKE_TERMS_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct lexical_term *term = &terms[order[i].docid];
        kept[i] = (struct numbered_term){term->id, term};
    }
    sparse_of_numbered(kept, n, arena, query);
    return true;
}

static int compare_id_to_term(const void *id, const void *at) {
    uint32_t x = *(const uint32_t *)id, y = *(const uint32_t *)at;
    return (x > y) - (x < y);
}

/* The index knows a word's number, not a number's word: the document's text says which words may be
 * meant. */
static bool name_terms(struct snapshot *snapshot, struct analyzer *analyzer,
                       const struct passage *passage, struct arena *arena, struct query *query,
                       struct error *err) {
    struct lexical lexical;
    if (!analyzer_run(analyzer, passage->text, passage->len, arena, &lexical, err))
        return false;
    for (size_t i = 0; i < lexical.n; i++) {
        const struct lexical_term *word = &lexical.terms[i];
        uint32_t id;
        bool found = false;
        if (word->word && !term_find(snapshot, word->word, word->word_len, &id, &found, err))
            return false;
        if (!found)
            continue;
        const uint32_t *at =
            bsearch(&id, query->sparse.ids, query->sparse.n, sizeof id, compare_id_to_term);
        if (at)
            query->terms[at - query->sparse.ids] = word;
    }
    return true;
}

/* The document's own tokens, as many as have vectors in the query. */
static bool name_tokens(const struct model *model, const struct representation *document,
                        const struct passage *passage, struct arena *arena, struct query *query,
                        struct error *err) {
    const struct encoder_text text = {passage->text, passage->len};
    struct token_range *ranges = ARENA_ZERO(arena, struct token_range, query->multi_n);
    struct tokens tokens;
    size_t first;
    if (!encoder_read(model, query->passage_instruction, query->passage_length_max, &text, arena,
                      &tokens, &first, err))
        return false;
    for (uint32_t i = 0; i < query->multi_n; i++) {
        size_t at = first + (size_t)i * document->multi_step * query->passage_pool_tokens;
        if (at < tokens.n)
            ranges[i] = tokens.ranges[at];
    }
    query->multi_ranges = ranges;
    return true;
}

bool query_like(struct snapshot *snapshot, uint32_t docid, const struct index_settings *settings,
                struct analyzer *analyzer, const struct model *model, struct arena *arena,
                struct query *out, struct error *err) {
    struct query query = empty_query(settings);
    struct representation own;
    struct document document;
    if (!representation_of(snapshot, docid, QUERY_LIKE_VECTORS_MAX, arena, &own, err) ||
        !sparse_of_document(snapshot, docid, settings, &own.sparse, arena, &query, err))
        return false;
    query.dense = own.dense;
    query.multi = own.multi;
    query.multi_n = own.multi_n;
    if (analyzer || model) {
        if (!document_get(snapshot, docid, arena, &document, err))
            return false;
        struct passage passage =
            passage_of(document.title, document.title_len, document.text, document.text_len, arena);
        query.text = passage.text;
        query.text_len = passage.len;
        if ((analyzer && !name_terms(snapshot, analyzer, &passage, arena, &query, err)) ||
            (model && own.passages_n == 1 &&
             !name_tokens(model, &own, &passage, arena, &query, err)))
            return false;
    }
    *out = query;
    return true;
}
