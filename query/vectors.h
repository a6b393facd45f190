/* vectors.h - a query that comes ready-made: representations instead of a text.
 *
 *   "dense"   [dense_dim numbers], of length 1 where scores shall be cosines
 *   "sparse"  {term: weight}: a term is a word as the index has it (a stem) where it analyses
 *             words, else the number of a token; weights above 0. A term that no document has
 *             finds nothing
 *   "multi"   [[multi_dim numbers], ...], each of length 1
 * A vector may be a string instead: its numbers as little-endian f32 in base64, which takes half
 * the bytes and no reading of numbers. As `tercet encode` and POST /v1/encode print them. */
#ifndef TERCET_QUERY_VECTORS_H
#define TERCET_QUERY_VECTORS_H

#include "engine/base/json.h"
#include "engine/lexical.h"
#include "index/index.h"

enum {
    /* Terms, and token vectors: a query has at most so many tokens. */
    VECTORS_TOKENS_MAX = 8192,
    /* More than any model's; what does not fit a collection is refused there. */
    VECTORS_DIM_MAX = 65536,
};

struct query_vectors {
    const float *dense; /* [dense_n]; NULL: none */
    size_t dense_n;
    bool has_sparse;
    struct lexical sparse; /* its terms are words, whatever they stand for */
    const float *multi;    /* [multi_n, multi_dim]; NULL: none */
    size_t multi_n, multi_dim;
};

/* Each reads the member of its name; absent or null: nothing. Everything lies in the arena. */
bool vectors_read_dense(const struct json *json, struct arena *arena, struct query_vectors *out,
                        struct error *err);
bool vectors_read_sparse(const struct json *json, struct arena *arena, struct query_vectors *out,
                         struct error *err);
bool vectors_read_multi(const struct json *json, struct arena *arena, struct query_vectors *out,
                        struct error *err);

/* The modes (fuse.h) that were given. */
unsigned vectors_modes(const struct query_vectors *vectors);

/* Whether they fit an index that has those modes. *field_out: the one that does not. */
bool vectors_fit(const struct query_vectors *vectors, const struct index_settings *settings,
                 const char **field_out, struct error *err);

/* Whether an index of these settings knows words, or the numbers of tokens. */
bool vectors_terms_are_words(const struct index_settings *settings);

/* The number of a token, written as a word. */
bool vectors_term_number(const char *word, uint32_t *out);

#endif
