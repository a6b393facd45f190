#include "query/vectors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/base64.h"
#include "query/fuse.h"

/* ---- from JSON ---- */

static bool must_be(const struct json *value, enum json_kind kind, const char *name,
                    const char *what, struct error *err) {
    return json_kind_of(value) == kind ||
           error_set(err, ERROR_INVALID, "\"%s\" must be %s, found %s", name, what,
                     json_kind_name(json_kind_of(value)));
}

/* JSON has neither NaN nor infinity, but numbers that are too large for an f32. */
static bool read_numbers(const struct json *array, const char *name, float *out,
                         struct error *err) {
    for (size_t i = 0, n = json_count(array); i < n; i++) {
        const struct json *value = json_at(array, i);
        out[i] = json_kind_of(value) == JSON_KIND_NUMBER ? (float)json_number_of(value) : NAN;
        if (!isfinite(out[i]))
            return error_set(err, ERROR_INVALID, "\"%s\": number %zu must be a finite number", name,
                             i + 1);
    }
    return true;
}

static bool is_vector(const struct json *value) {
    return json_kind_of(value) == JSON_KIND_ARRAY || json_kind_of(value) == JSON_KIND_STRING;
}

/* How many numbers a vector has, as far as its size tells. */
static size_t numbers_of(const struct json *vector) {
    size_t len;
    if (json_kind_of(vector) != JSON_KIND_STRING)
        return json_count(vector);
    const char *text = json_string_of(vector, &len);
    size_t padding = (len > 0 && text[len - 1] == '=') + (len > 1 && text[len - 2] == '=');
    return (len / 4 * 3 - (padding < len / 4 * 3 ? padding : 0)) / sizeof(float);
}

/* out: [n], n being numbers_of the vector. */
static bool read_vector(const struct json *vector, const char *name, size_t n, struct arena *arena,
                        float *out, struct error *err) {
    size_t len, bytes_n;
    if (json_kind_of(vector) != JSON_KIND_STRING)
        return read_numbers(vector, name, out, err);
    const char *text = json_string_of(vector, &len);
    uint8_t *bytes = ARENA_NEW(arena, uint8_t, len / 4 * 3);
    if (!base64_parse(text, len, bytes, &bytes_n, err))
        return error_wrap(err, "\"%s\": ", name);
    if (bytes_n != n * sizeof *out)
        return error_set(err, ERROR_INVALID, "\"%s\": %zu bytes are no numbers of 4 bytes", name,
                         bytes_n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = bytes + 4 * i;
        uint32_t bits =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        memcpy(&out[i], &bits, sizeof bits);
        if (!isfinite(out[i]))
            return error_set(err, ERROR_INVALID, "\"%s\": number %zu must be a finite number", name,
                             i + 1);
    }
    return true;
}

bool vectors_read_dense(const struct json *json, struct arena *arena, struct query_vectors *out,
                        struct error *err) {
    const struct json *dense = json_get(json, "dense");
    size_t n = numbers_of(dense);
    if (json_kind_of(dense) == JSON_KIND_NULL)
        return true;
    if (!is_vector(dense))
        return error_set(err, ERROR_INVALID,
                         "\"dense\" must be a list of numbers, or their f32 in base64, found %s",
                         json_kind_name(json_kind_of(dense)));
    if (n == 0 || n > VECTORS_DIM_MAX)
        return error_set(err, ERROR_INVALID, "\"dense\" must have 1 to %d numbers, found %zu",
                         VECTORS_DIM_MAX, n);
    float *values = ARENA_NEW(arena, float, n);
    if (!read_vector(dense, "dense", n, arena, values, err))
        return false;
    out->dense = values;
    out->dense_n = n;
    return true;
}

bool vectors_read_sparse(const struct json *json, struct arena *arena, struct query_vectors *out,
                         struct error *err) {
    const struct json *sparse = json_get(json, "sparse");
    size_t n = json_count(sparse);
    if (json_kind_of(sparse) == JSON_KIND_NULL)
        return true;
    if (!must_be(sparse, JSON_KIND_OBJECT, "sparse", "{term: weight}", err))
        return false;
    if (n > VECTORS_TOKENS_MAX)
        return error_set(err, ERROR_LIMIT, "\"sparse\" has %zu terms, at most %d are read", n,
                         VECTORS_TOKENS_MAX);
    struct lexical lexical = {.terms = ARENA_ZERO(arena, struct lexical_term, n)};
    for (void *at = json_first(sparse); at; at = json_next(sparse, at)) {
        const char *word = json_member_key(at);
        const struct json *value = json_member_value(at);
        float weight = json_kind_of(value) == JSON_KIND_NUMBER ? (float)json_number_of(value) : NAN;
        if (!(weight > 0 && isfinite(weight)))
            return error_set(err, ERROR_INVALID,
                             "\"sparse\": the weight of \"%.100s\" must be a finite number above 0",
                             word);
        size_t len = strlen(word);
        lexical.terms[lexical.n++] = (struct lexical_term){
            .word = arena_text(arena, word, len), .word_len = (uint32_t)len, .weight = weight};
    }
    out->sparse = lexical;
    out->has_sparse = true;
    return true;
}

bool vectors_read_multi(const struct json *json, struct arena *arena, struct query_vectors *out,
                        struct error *err) {
    const struct json *multi = json_get(json, "multi");
    size_t n = json_count(multi), dim = numbers_of(json_at(multi, 0));
    if (json_kind_of(multi) == JSON_KIND_NULL)
        return true;
    if (!must_be(multi, JSON_KIND_ARRAY, "multi", "a list of vectors", err))
        return false;
    if (n > VECTORS_TOKENS_MAX)
        return error_set(err, ERROR_LIMIT, "\"multi\" has %zu vectors, at most %d are read", n,
                         VECTORS_TOKENS_MAX);
    if (dim == 0 || dim > VECTORS_DIM_MAX)
        return error_set(err, ERROR_INVALID,
                         "\"multi\" must be a list of vectors of 1 to %d numbers", VECTORS_DIM_MAX);
    size_t numbers_n = n * dim;
    float *values = ARENA_NEW(arena, float, numbers_n);
    for (size_t i = 0; i < n; i++) {
        const struct json *vector = json_at(multi, i);
        if (!is_vector(vector))
            return error_set(err, ERROR_INVALID, "\"multi\" must be a list of vectors, found %s",
                             json_kind_name(json_kind_of(vector)));
        if (numbers_of(vector) != dim)
            return error_set(err, ERROR_INVALID,
                             "\"multi\": vector %zu has %zu numbers, the first has %zu", i + 1,
                             numbers_of(vector), dim);
        if (!read_vector(vector, "multi", dim, arena, values + i * dim, err))
            return error_wrap(err, "vector %zu: ", i + 1);
    }
    out->multi = values;
    out->multi_n = n;
    out->multi_dim = dim;
    return true;
}

/* ---- against an index ---- */

unsigned vectors_modes(const struct query_vectors *vectors) {
    return (vectors->dense ? 1u << FUSE_DENSE : 0u) |
           (vectors->has_sparse ? 1u << FUSE_SPARSE : 0u) |
           (vectors->multi ? 1u << FUSE_MULTI : 0u);
}

bool vectors_terms_are_words(const struct index_settings *settings) {
    return strncmp(settings->analyzer, "words:", strlen("words:")) == 0;
}

bool vectors_term_number(const char *word, uint32_t *out) {
    char *end;
    errno = 0;
    unsigned long long id = strtoull(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end || errno || id >= UINT32_MAX)
        return false;
    *out = (uint32_t)id;
    return true;
}

static bool modes_fit(unsigned given, const struct index_settings *settings, const char **field_out,
                      struct error *err) {
    const bool has[] = {[FUSE_DENSE] = settings->dense_dim > 0,
                        [FUSE_SPARSE] = settings->lexical != INDEX_LEXICAL_NONE,
                        [FUSE_MULTI] = settings->multi_dim > 0};
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (given & 1u << mode && !has[mode]) {
            *field_out = fuse_mode_name((enum fuse_mode)mode);
            return error_set(err, ERROR_INVALID, "this collection has no %s representations",
                             *field_out);
        }
    return true;
}

bool vectors_fit(const struct query_vectors *vectors, const struct index_settings *settings,
                 const char **field_out, struct error *err) {
    uint32_t id;
    if (!modes_fit(vectors_modes(vectors), settings, field_out, err))
        return false;
    *field_out = "dense";
    if (vectors->dense && vectors->dense_n != settings->dense_dim)
        return error_set(err, ERROR_INVALID, "\"dense\" has %zu numbers, the collection's have %u",
                         vectors->dense_n, settings->dense_dim);
    *field_out = "multi";
    if (vectors->multi && vectors->multi_dim != settings->multi_dim)
        return error_set(err, ERROR_INVALID,
                         "\"multi\" has vectors of %zu numbers, the collection's have %u",
                         vectors->multi_dim, settings->multi_dim);
    *field_out = "sparse";
    for (size_t i = 0; i < vectors->sparse.n && !vectors_terms_are_words(settings); i++)
        if (!vectors_term_number(vectors->sparse.terms[i].word, &id))
            return error_set(err, ERROR_INVALID,
                             "\"sparse\": term \"%.100s\" must be the number of a token here",
                             vectors->sparse.terms[i].word);
    *field_out = NULL;
    return true;
}
