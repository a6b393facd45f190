/* query.h - a question in the three representations, ready to be compared with an index. */
#ifndef TERCET_QUERY_H
#define TERCET_QUERY_H

#include "engine/base/sparse_vector.h"
#include "engine/encoder.h"
#include "engine/tokenizer/tokenizer.h"
#include "index/index.h"

struct model;
struct query_vectors;

enum {
    /* Of a document that stands for the query: as many as a long question has; more cost time and
     * blur what it is about. */
    QUERY_LIKE_TERMS_MAX = 32,
    QUERY_LIKE_VECTORS_MAX = 64,
};

/* What was not given, or is not going to be compared, is empty. */
struct query {
    const char *text; /* what it was made of; NULL: it came as vectors alone */
    size_t text_len;
    const float *dense; /* [dense_dim] */
    struct sparse_vector sparse;
    const struct lexical_term **terms; /* [sparse.n]: the term behind each sparse id */
    bool terms_are_words;              /* else token ids */
    const float *multi;                /* [multi_n, multi_dim] */
    uint32_t multi_n;
    const struct token_range *multi_ranges; /* [multi_n], bytes of text; NULL: nobody knows */
    const char *passage_instruction;        /* what stood in front of passages; "" for nothing */
    uint32_t passage_length_max;  /* tokens that passages were cut to; 0: the model's limit */
    uint32_t passage_pool_tokens; /* tokens that share a vector of a passage, >= 1 */
};

/* ready: NULL, or what the encoder made of this text before; it is borrowed then.
 * Words are looked up in the snapshot's dictionary; those that no document says are left out.
 * modes: the ENCODE_... that will be compared; the others stay empty. */
bool query_encode(struct encoder *encoder, unsigned modes, const struct index_settings *settings,
                  struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                  const struct encoding *ready, struct query *out, struct error *err);

/* Of vectors that fit the index (vectors_fit); text may stand beside them, or be NULL. */
bool query_ready(const struct query_vectors *vectors, const struct index_settings *settings,
                 struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                 struct query *out, struct error *err);

/* The terms of its text into a query that has none. */
bool query_add_terms(struct query *query, struct analyzer *analyzer, struct snapshot *snapshot,
                     struct arena *arena, struct error *err);

/* What the index keeps of a document is the query: its dense vector, its QUERY_LIKE_TERMS_MAX
 * heaviest terms, QUERY_LIKE_VECTORS_MAX of its token vectors.
 * To name terms and tokens in an explanation: the index's own analyzer and the model; each may be
 * NULL. */
bool query_like(struct snapshot *snapshot, uint32_t docid, const struct index_settings *settings,
                struct analyzer *analyzer, const struct model *model, struct arena *arena,
                struct query *out, struct error *err);

#endif
