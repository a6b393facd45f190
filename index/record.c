#include "index/record.h"

#include <math.h>

#include "index/documents.h"
#include "index/multi/multivector.h"

enum {
    SPARSE_TERMS_MAX = 1 << 20,  /* distinct terms of one record */
    MULTI_VECTORS_MAX = 1 << 16, /* token vectors of one passage; encoders stop at 8,192 */
};
static const float f16_max = 65504;      /* a dense value beyond it would become infinite */
static const float length_max = 1 << 24; /* f32 counts words exactly up to here */

const struct record_passage *record_passages(const struct record *record,
                                             struct record_passage *alone, size_t *n_out) {
    if (record->passages_n > 0) {
        *n_out = record->passages_n;
        return record->passages;
    }
    *n_out = 1;
    *alone = (struct record_passage){
        .end = (uint32_t)record->text_len,
        .dense = record->dense,
        .multi = record->multi,
        .multi_n = record->multi_n,
        .multi_codes = record->multi_codes,
        .multi_codes_len = record->multi_codes_len,
    };
    return alone;
}

/* Without a branch, so that many are compared at once: a document's token vectors are many. */
static bool all_within(const float *values, size_t n, float max) {
    int beyond = 0;
    for (size_t i = 0; i < n; i++)
        beyond |= !(fabsf(values[i]) <= max); /* NaN too */
    return beyond == 0;
}

static bool check_vector(const float *values, size_t n, float max, const char *what,
                         struct error *err) {
    if (all_within(values, n, max))
        return true;
    size_t i = 0;
    while (fabsf(values[i]) <= max)
        i++;
    return error_set(err, ERROR_INVALID,
                     "%s: value %zu is %g; it must be a number "
                     "between -%g and %g",
                     what, i, (double)values[i], (double)max, (double)max);
}

static bool check_sparse(const struct record *record, struct error *err) {
    const struct sparse_vector *sparse = &record->sparse;
    if (sparse->n > SPARSE_TERMS_MAX)
        return error_set(err, ERROR_LIMIT, "%zu sparse terms; at most %d", sparse->n,
                         SPARSE_TERMS_MAX);
    for (size_t i = 0; i < sparse->n; i++) {
        if (i > 0 && sparse->ids[i] <= sparse->ids[i - 1])
            return error_set(err, ERROR_INVALID, "sparse ids must ascend: %u, then %u",
                             sparse->ids[i - 1], sparse->ids[i]);
        if (!(sparse->weights[i] > 0 && isfinite(sparse->weights[i])))
            return error_set(err, ERROR_INVALID, "weight of sparse id %u is %g; it must be above 0",
                             sparse->ids[i], (double)sparse->weights[i]);
    }
    if (!(record->sparse_length >= 0 && record->sparse_length <= length_max))
        return error_set(err, ERROR_INVALID, "a length of %g words; it must be between 0 and %g",
                         (double)record->sparse_length, (double)length_max);
    return true;
}

static bool check_texts(const struct record *record, struct error *err) {
    if (record->key_len == 0)
        return error_set(err, ERROR_INVALID, "the key is empty");
    if (record->key_len > WRITER_KEY_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "key \"%.40s...\": %zu bytes, at most %d", record->key,
                         record->key_len, WRITER_KEY_BYTES_MAX);
    if (record->title_len > DOCUMENT_TEXT_BYTES_MAX || record->text_len > DOCUMENT_TEXT_BYTES_MAX ||
        record->fields_len > DOCUMENT_TEXT_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "title, text and fields may have %d bytes each",
                         DOCUMENT_TEXT_BYTES_MAX);
    return true;
}

static bool check_places(const struct index_settings *settings, const struct record *record,
                         struct error *err) {
    const struct record_passage *passages = record->passages;
    size_t n = record->passages_n;
    if (n > 0 && settings->chunk_tokens == 0)
        return error_set(err, ERROR_INVALID,
                         "%zu passages; the index was made for documents of one", n);
    if (n > RECORD_PASSAGES_MAX)
        return error_set(err, ERROR_LIMIT,
                         "%zu passages; a document may have %d: make several of it, or passages of "
                         "more tokens",
                         n, RECORD_PASSAGES_MAX);
    for (size_t i = 0; i < n; i++)
        if (passages[i].begin >= passages[i].end || passages[i].end > record->text_len ||
            (i > 0 && passages[i].begin <= passages[i - 1].begin))
            return error_set(err, ERROR_INVALID,
                             "passage %zu: bytes %u to %u of %zu; they must ascend and lie within "
                             "the text",
                             i, passages[i].begin, passages[i].end, record->text_len);
    return true;
}

static bool check_vectors(const struct index_settings *settings, const float *vectors, uint32_t n,
                          struct error *err) {
    if (n > MULTI_VECTORS_MAX)
        return error_set(err, ERROR_LIMIT, "%u token vectors; at most %d", n, MULTI_VECTORS_MAX);
    return check_vector(vectors, (size_t)n * settings->multi_dim, f16_max, "token vectors", err);
}

static bool check_codes(const struct index_settings *settings, const struct record_passage *passage,
                        uint32_t *n_out, struct error *err) {
    struct multi_codes codes;
    if (!multi_codes_open(passage->multi_codes, passage->multi_codes_len, settings->multi_dim,
                          &codes, err)) {
        err->code = ERROR_INVALID;
        return false;
    }
    if (codes.n > MULTI_VECTORS_MAX)
        return error_set(err, ERROR_LIMIT, "codes of %u token vectors; at most %d", codes.n,
                         MULTI_VECTORS_MAX);
    *n_out = codes.n;
    return true;
}

/* *vectors_n_out: its token vectors. */
static bool check_passage(const struct index_settings *settings,
                          const struct record_passage *passage, uint32_t *vectors_n_out,
                          struct error *err) {
    if (settings->dense_dim > 0 && !passage->dense)
        return error_set(err, ERROR_INVALID, "no dense vector; the index has %u dimensions",
                         settings->dense_dim);
    if (settings->dense_dim > 0 &&
        !check_vector(passage->dense, settings->dense_dim, f16_max, "dense vector", err))
        return false;
    *vectors_n_out = settings->multi_dim > 0 ? passage->multi_n : 0;
    if (settings->multi_dim == 0)
        return true;
    return passage->multi_codes ? check_codes(settings, passage, vectors_n_out, err)
                                : check_vectors(settings, passage->multi, passage->multi_n, err);
}

static bool check_passages(const struct index_settings *settings, const struct record *record,
                           struct error *err) {
    struct record_passage alone;
    size_t n, vectors_n = 0;
    const struct record_passage *passages = record_passages(record, &alone, &n);
    for (size_t i = 0; i < n; i++) {
        uint32_t own_n = 0;
        if (!check_passage(settings, &passages[i], &own_n, err))
            return n == 1 ? false : error_wrap(err, "passage %zu: ", i);
        vectors_n += own_n;
    }
    if (vectors_n > RECORD_VECTORS_MAX)
        return error_set(err, ERROR_LIMIT,
                         "%zu token vectors in %zu passages; a document may have %d: make several "
                         "of it",
                         vectors_n, n, RECORD_VECTORS_MAX);
    return true;
}

bool record_fits(const struct index_settings *settings, const struct record *record,
                 struct error *err) {
    return check_texts(record, err) && check_places(settings, record, err) &&
           check_passages(settings, record, err) &&
           (settings->lexical == INDEX_LEXICAL_NONE || check_sparse(record, err));
}

bool record_encode_multi(const struct index_settings *settings, const float *vectors, uint32_t n,
                         struct arena *arena, const void **codes_out, size_t *codes_len_out,
                         struct error *err) {
    if (!check_vectors(settings, vectors, n, err))
        return false;
    size_t len = multi_codes_bytes(settings->multi_dim, n);
    uint8_t *codes = ARENA_NEW(arena, uint8_t, len);
    multi_encode(vectors, n, settings->multi_dim, codes);
    *codes_out = codes;
    *codes_len_out = len;
    return true;
}

uint32_t record_multi_dim(const void *codes, size_t codes_len) {
    return multi_codes_dim(codes, codes_len);
}
