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

static bool read_dense(const struct json *dense, struct arena *arena, struct ready *out,
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

static bool read_multi_codes(const struct json *multi, struct arena *arena, struct ready *out,
                             struct error *err) {
    size_t len;
    const char *text = json_string_of(multi, &len);
    uint8_t *codes = ARENA_NEW(arena, uint8_t, len / 4 * 3 + 1);
    out->multi_codes = codes;
    return base64_parse(text, len, codes, &out->multi_codes_len, err) ||
           error_wrap(err, "\"multi\": ");
}

static bool read_multi(const struct json *multi, struct arena *arena, struct ready *out,
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

bool ready_from_json(const struct json *row, struct arena *arena, const struct ready **out,
                     struct error *err) {
    const struct json *dense = json_get(row, "dense"), *sparse = json_get(row, "sparse"),
                      *multi = json_get(row, "multi");
    if (json_kind_of(dense) == JSON_KIND_NULL && json_kind_of(sparse) == JSON_KIND_NULL &&
        json_kind_of(multi) == JSON_KIND_NULL) {
        *out = NULL;
        return true;
    }
    struct ready *ready = ARENA_ZERO(arena, struct ready, 1);
    if (!read_dense(dense, arena, ready, err) || !read_sparse(sparse, arena, ready, err) ||
        !read_multi(multi, arena, ready, err))
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

bool ready_encoding(const struct ready *ready, const struct index_settings *settings,
                    struct arena *arena, struct encoding *out, struct error *err) {
    struct encoding encoding = {.lexical = ready->lexical};
    if (ready->dense_n != settings->dense_dim)
        return error_set(err, ERROR_INVALID, "\"dense\": %zu numbers, the index has %u",
                         ready->dense_n, settings->dense_dim);
    if (ready->multi_n > 0 && ready->multi_dim != settings->multi_dim)
        return error_set(err, ERROR_INVALID, "\"multi\": vectors of %zu numbers, the index has %u",
                         ready->multi_dim, settings->multi_dim);
    if (ready->multi_codes && settings->multi_dim == 0)
        return error_set(err, ERROR_INVALID, "\"multi\": the index keeps none");
    if (ready->has_sparse != (settings->lexical != INDEX_LEXICAL_NONE))
        return error_set(err, ERROR_INVALID,
                         ready->has_sparse ? "\"sparse\": the index keeps none"
                                           : "no \"sparse\" beside the other representations");
    bool words = strncmp(settings->analyzer, "words:", strlen("words:")) == 0;
    if (!words && !number_terms(&ready->lexical, arena, &encoding.lexical, err))
        return false;
    encoding.dense = settings->dense_dim ? ready->dense : NULL;
    encoding.multi = ready->multi;
    encoding.multi_n = (uint32_t)ready->multi_n;
    *out = encoding;
    return true;
}

size_t ready_bytes(const struct ready *ready) {
    return (ready->dense_n + ready->multi_n * ready->multi_dim) * sizeof(float) +
           ready->multi_codes_len + ready->lexical.n * sizeof(struct lexical_term);
}

uint64_t ready_hash(const struct ready *ready, uint64_t seed) {
    const struct lexical *lexical = &ready->lexical;
    size_t multi_bytes = ready->multi_n * ready->multi_dim * sizeof(float);
    uint64_t hash =
        XXH3_64bits_withSeed(ready->dense, ready->dense_n * sizeof(float), seed + ready->dense_n);
    hash = XXH3_64bits_withSeed(ready->multi, multi_bytes, hash + multi_bytes);
    if (ready->multi_codes)
        hash = XXH3_64bits_withSeed(ready->multi_codes, ready->multi_codes_len, ~hash);
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        hash = XXH3_64bits_withSeed(term->word, term->word_len, hash + term->word_len);
        hash = XXH3_64bits_withSeed(&term->weight, sizeof term->weight, hash);
    }
    return XXH3_64bits_withSeed(&lexical->length, sizeof lexical->length, hash);
}
