#include "ingest/ready.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/base64.h"

/* ---- out of JSON ---- */

/* Appends the array's numbers at out [n]. */
static bool read_numbers(const struct json *array, size_t n, const char *name, float *out,
                         struct error *err) {
    for (size_t i = 0; i < n; i++) {
        const struct json *value = json_at(array, i);
        if (json_kind_of(value) != JSON_KIND_NUMBER)
            return error_set(err, ERROR_INVALID, "\"%s\": value %zu must be a number, found %s",
                             name, i, json_kind_name(json_kind_of(value)));
        out[i] = (float)json_number_of(value);
        if (!isfinite(out[i]))
            return error_set(err, ERROR_INVALID, "\"%s\": value %zu is too large", name, i);
    }
    return true;
}

static bool must_be(const struct json *value, enum json_kind kind, const char *name,
                    struct error *err) {
    return json_kind_of(value) == kind ||
           error_set(err, ERROR_INVALID, "\"%s\" must be %s, found %s", name, json_kind_name(kind),
                     json_kind_name(json_kind_of(value)));
}

static bool read_dense(const struct json *dense, struct arena *arena, struct ready_vectors *out,
                       struct error *err) {
    if (json_kind_of(dense) == JSON_KIND_NULL)
        return true;
    if (!must_be(dense, JSON_KIND_ARRAY, "dense", err))
        return false;
    out->dense_n = json_count(dense);
    float *values = ARENA_NEW(arena, float, out->dense_n + 1);
    out->dense = values;
    return read_numbers(dense, out->dense_n, "dense", values, err);
}

static bool read_multi_codes(const struct json *multi, struct arena *arena,
                             struct ready_vectors *out, struct error *err) {
    size_t len;
    const char *text = json_string_of(multi, &len);
    uint8_t *codes = ARENA_NEW(arena, uint8_t, len / 4 * 3 + 1);
    out->multi_codes = codes;
    return base64_parse(text, len, codes, &out->multi_codes_len, err) ||
           error_wrap(err, "\"multi\": ");
}

static bool read_multi(const struct json *multi, struct arena *arena, struct ready_vectors *out,
                       struct error *err) {
    if (json_kind_of(multi) == JSON_KIND_NULL)
        return true;
    if (json_kind_of(multi) == JSON_KIND_STRING)
        return read_multi_codes(multi, arena, out, err);
    if (!must_be(multi, JSON_KIND_ARRAY, "multi", err))
        return false;
    size_t n = json_count(multi), dim = json_count(json_at(multi, 0));
    float *values = ARENA_NEW(arena, float, n *dim + 1);
    out->multi = values;
    out->multi_n = n;
    out->multi_dim = dim;
    for (size_t i = 0; i < n; i++) {
        const struct json *vector = json_at(multi, i);
        if (!must_be(vector, JSON_KIND_ARRAY, "multi", err))
            return false;
        if (json_count(vector) != dim)
            return error_set(err, ERROR_INVALID,
                             "\"multi\": vector %zu has %zu numbers, others %zu", i,
                             json_count(vector), dim);
        if (!read_numbers(vector, dim, "multi", values + i * dim, err))
            return false;
    }
    return true;
}

static bool read_sparse(const struct json *sparse, struct arena *arena, struct ready *out,
                        struct error *err) {
    double length = 0;
    if (json_kind_of(sparse) == JSON_KIND_NULL)
        return true;
    if (!must_be(sparse, JSON_KIND_OBJECT, "sparse", err))
        return false;
    const struct json *terms = json_get(sparse, "terms");
    if (!must_be(terms, JSON_KIND_OBJECT, "sparse.terms", err) ||
        !json_read_double(sparse, "length", 0, 1 << 24, &length, err))
        return false;
    struct lexical lexical = {.length = (float)length};
    lexical.terms = ARENA_ZERO(arena, struct lexical_term, json_count(terms) + 1);
    for (void *at = json_first(terms); at; at = json_next(terms, at)) {
        const char *word = json_member_key(at);
        const struct json *weight = json_member_value(at);
        if (json_kind_of(weight) != JSON_KIND_NUMBER || !((float)json_number_of(weight) > 0))
            return error_set(err, ERROR_INVALID,
                             "\"sparse\": the weight of \"%.100s\" must be a number above 0", word);
        size_t len = strlen(word);
        lexical.terms[lexical.n++] = (struct lexical_term){
            .word = arena_text(arena, word, len),
            .word_len = (uint32_t)len,
            .weight = (float)json_number_of(weight),
        };
    }
    out->lexical = lexical;
    out->has_sparse = true;
    return true;
}

static bool is_boundary(const char *text, size_t text_len, uint32_t at) {
    return at == text_len || (at < text_len && ((unsigned char)text[at] & 0xC0) != 0x80);
}

static bool read_passage(const struct json *json, const char *text, size_t text_len,
                         struct arena *arena, struct ready_vectors *out, struct error *err) {
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "must be an object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (!json_read_u32(json, "begin", 0, UINT32_MAX, &out->begin, err) ||
        !json_read_u32(json, "end", 0, UINT32_MAX, &out->end, err))
        return false;
    if (out->begin >= out->end || !is_boundary(text, text_len, out->begin) ||
        !is_boundary(text, text_len, out->end))
        return error_set(err, ERROR_INVALID,
                         "bytes %u to %u of %zu: not a part of the text in whole characters",
                         out->begin, out->end, text_len);
    return read_dense(json_get(json, "dense"), arena, out, err) &&
           read_multi(json_get(json, "multi"), arena, out, err);
}

static bool read_passages(const struct json *passages, const char *text, size_t text_len,
                          struct arena *arena, struct ready *out, struct error *err) {
    if (json_kind_of(passages) == JSON_KIND_NULL)
        return true;
    if (!must_be(passages, JSON_KIND_ARRAY, "passages", err))
        return false;
    size_t n = json_count(passages);
    if (n > RECORD_PASSAGES_MAX)
        return error_set(err, ERROR_LIMIT, "\"passages\": %zu, a document may have %d", n,
                         RECORD_PASSAGES_MAX);
    if (n > 0 && (out->whole.dense || out->whole.multi || out->whole.multi_codes))
        return error_set(err, ERROR_INVALID,
                         "\"dense\" and \"multi\" stand in the \"passages\" or beside none");
    struct ready_vectors *all = ARENA_ZERO(arena, struct ready_vectors, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!read_passage(json_at(passages, i), text, text_len, arena, &all[i], err))
            return error_wrap(err, "\"passages\", number %zu: ", i);
    out->passages = all;
    out->passages_n = n;
    return true;
}

bool ready_from_json(const struct json *row, const char *text, size_t text_len, struct arena *arena,
                     const struct ready **out, struct error *err) {
    const struct json *dense = json_get(row, "dense"), *sparse = json_get(row, "sparse"),
                      *multi = json_get(row, "multi"), *passages = json_get(row, "passages");
    if (json_kind_of(dense) == JSON_KIND_NULL && json_kind_of(sparse) == JSON_KIND_NULL &&
        json_kind_of(multi) == JSON_KIND_NULL && json_kind_of(passages) == JSON_KIND_NULL) {
        *out = NULL;
        return true;
    }
    struct ready *ready = ARENA_ZERO(arena, struct ready, 1);
    if (!read_dense(dense, arena, &ready->whole, err) || !read_sparse(sparse, arena, ready, err) ||
        !read_multi(multi, arena, &ready->whole, err) ||
        !read_passages(passages, text, text_len, arena, ready, err))
        return false;
    *out = ready;
    return true;
}

/* ---- into an index ---- */

/* The numbers of tokens, written as words. */
static bool number_terms(const struct lexical *words, struct arena *arena, struct lexical *out,
                         struct error *err) {
    *out = *words;
    out->terms = ARENA_ZERO(arena, struct lexical_term, words->n + 1);
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->terms[i].word;
        char *end;
        errno = 0;
        unsigned long long id = strtoull(word, &end, 10);
        if (word[0] < '0' || word[0] > '9' || *end || errno || id >= UINT32_MAX)
            return error_set(err, ERROR_INVALID,
                             "\"sparse\": term \"%.100s\" must be the number of a token here",
                             word);
        out->terms[i] = (struct lexical_term){.id = (uint32_t)id, .weight = words->terms[i].weight};
    }
    return true;
}

static bool vectors_fit(const struct ready_vectors *vectors, const struct index_settings *settings,
                        struct error *err) {
    if (vectors->dense_n != settings->dense_dim)
        return error_set(err, ERROR_INVALID, "\"dense\": %zu numbers, the index has %u",
                         vectors->dense_n, settings->dense_dim);
    if (vectors->multi_n > 0 && vectors->multi_dim != settings->multi_dim)
        return error_set(err, ERROR_INVALID, "\"multi\": vectors of %zu numbers, the index has %u",
                         vectors->multi_dim, settings->multi_dim);
    if (vectors->multi_codes && settings->multi_dim == 0)
        return error_set(err, ERROR_INVALID, "\"multi\": the index keeps none");
    return true;
}

static bool all_fit(const struct ready *ready, const struct index_settings *settings,
                    struct error *err) {
    if (ready->passages_n == 0)
        return vectors_fit(&ready->whole, settings, err);
    if (settings->chunk_tokens == 0)
        return error_set(err, ERROR_INVALID,
                         "\"passages\": the index was made for documents of one");
    for (size_t i = 0; i < ready->passages_n; i++)
        if (!vectors_fit(&ready->passages[i], settings, err))
            return error_wrap(err, "\"passages\", number %zu: ", i);
    return true;
}

bool ready_encoding(const struct ready *ready, const struct index_settings *settings,
                    struct arena *arena, struct encoding *out, struct error *err) {
    struct encoding encoding = {.lexical = ready->lexical};
    if (!all_fit(ready, settings, err))
        return false;
    if (ready->has_sparse && settings->lexical == INDEX_LEXICAL_NONE)
        return error_set(err, ERROR_INVALID, "\"sparse\": the index keeps none");
    if (!ready->has_sparse && settings->lexical == INDEX_LEXICAL_LEARNED)
        return error_set(err, ERROR_INVALID, "no \"sparse\" beside the other representations");
    bool words = strncmp(settings->analyzer, "words:", strlen("words:")) == 0;
    if (!words && !number_terms(&ready->lexical, arena, &encoding.lexical, err))
        return false;
    encoding.dense = settings->dense_dim ? ready->whole.dense : NULL;
    encoding.multi = ready->whole.multi;
    encoding.multi_n = (uint32_t)ready->whole.multi_n;
    *out = encoding;
    return true;
}

const struct record_passage *ready_passages(const struct ready *ready, struct arena *arena) {
    struct record_passage *all = ARENA_ZERO(arena, struct record_passage, ready->passages_n + 1);
    for (size_t i = 0; i < ready->passages_n; i++) {
        const struct ready_vectors *from = &ready->passages[i];
        all[i] = (struct record_passage){
            .begin = from->begin,
            .end = from->end,
            .dense = from->dense,
            .multi = from->multi,
            .multi_n = (uint32_t)from->multi_n,
            .multi_codes = from->multi_codes,
            .multi_codes_len = from->multi_codes_len,
        };
    }
    return all;
}

static size_t vectors_bytes(const struct ready_vectors *vectors) {
    return (vectors->dense_n + vectors->multi_n * vectors->multi_dim) * sizeof(float) +
           vectors->multi_codes_len;
}

size_t ready_bytes(const struct ready *ready) {
    size_t bytes = vectors_bytes(&ready->whole) + ready->lexical.n * sizeof(struct lexical_term);
    for (size_t i = 0; i < ready->passages_n; i++)
        bytes += sizeof ready->passages[i] + vectors_bytes(&ready->passages[i]);
    return bytes;
}

static uint64_t vectors_hash(const struct ready_vectors *vectors, uint64_t seed) {
    size_t multi_bytes = vectors->multi_n * vectors->multi_dim * sizeof(float);
    uint64_t hash = XXH3_64bits_withSeed(vectors->dense, vectors->dense_n * sizeof(float),
                                         seed + vectors->dense_n);
    hash = XXH3_64bits_withSeed(vectors->multi, multi_bytes, hash + multi_bytes);
    if (vectors->multi_codes)
        hash = XXH3_64bits_withSeed(vectors->multi_codes, vectors->multi_codes_len, ~hash);
    return hash;
}

uint64_t ready_hash(const struct ready *ready, uint64_t seed) {
    const struct lexical *lexical = &ready->lexical;
    uint64_t hash = vectors_hash(&ready->whole, seed);
    for (size_t i = 0; i < ready->passages_n; i++) {
        const struct ready_vectors *passage = &ready->passages[i];
        hash = XXH3_64bits_withSeed(&passage->begin, 2 * sizeof passage->begin, hash);
        hash = vectors_hash(passage, hash);
    }
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        hash = XXH3_64bits_withSeed(term->word, term->word_len, hash + term->word_len);
        hash = XXH3_64bits_withSeed(&term->weight, sizeof term->weight, hash);
    }
    return XXH3_64bits_withSeed(&lexical->length, sizeof lexical->length, hash);
}
