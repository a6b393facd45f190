/* engine.h - Tercet's encoder as a library: text in, vectors, weights and scores out.
 *
 *     #include <tercet/engine.h>        cc example.c $(pkg-config --cflags --libs tercet)
 *
 * Nothing else of Tercet is needed, and no other name than tercet_... is exported. docs/example.c
 * is a whole program.
 *
 * Models   a folder as Hugging Face has it, a hub id that was downloaded, or NULL for the model
 *          inside the library. Encoders (BGE v1, v1.5 and M3, e5, gte, MiniLM: dense vectors,
 *          lexical weights, token vectors) encode and score; cross-encoders (bge-reranker,
 *          ms-marco-MiniLM) rerank. tercet_info tells which it is.
 * Threads  a struct tercet is used by one thread at a time and works with threads of its own; open
 *          several for several callers. Opening from several threads is fine.
 * Memory   what tercet_encode hands out belongs to the struct tercet and is good until its next
 *          call of any kind.
 * Errors   a function that can fail returns false and fills *err; outputs are untouched then.
 * Text     any bytes; what is no UTF-8 is read as U+FFFD. */
#ifndef TERCET_ENGINE_H
#define TERCET_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tercet;

struct tercet_error {
    char message[640]; /* what, where and what to do; UTF-8, NUL-terminated */
};

/* All zeros: the embedded model on all cores. */
struct tercet_options {
    const char *model;     /* NULL: the embedded bge-small-en-v1.5 */
    const char *precision; /* "f32", the model's exact numbers; "int8", "bf16" or "auto", the
                              fastest; NULL: "f32" */
    unsigned threads;      /* 0: one for each core */
    uint32_t length_max;   /* tokens of a text, specials included; 0: the model's limit, for pairs
                              512 or less */
};

bool tercet_open(const struct tercet_options *options, struct tercet **out,
                 struct tercet_error *err);
void tercet_close(struct tercet *tercet); /* NULL is fine */

struct tercet_info {
    const char *model;        /* as asked for */
    const char *fingerprint;  /* equal for models that give equal vectors */
    bool is_reranker;         /* a cross-encoder: tercet_rerank; else all the other functions */
    bool has_lexical_weights; /* learned ones; without, terms are counted words or tokens */
    uint32_t dense_dim, multi_dim, length_max;
    const char *query_instruction, *passage_instruction; /* "" for none */
};
const struct tercet_info *tercet_info(const struct tercet *tercet);

struct tercet_text {
    const char *text; /* borrowed for the call */
    size_t len;       /* bytes */
};

/* What a text is: the family's instruction for queries or passages stands in front of it for the
 * dense vector, or none. */
enum tercet_role { TERCET_BARE, TERCET_QUERY, TERCET_PASSAGE };

enum { TERCET_DENSE = 1, TERCET_LEXICAL = 2, TERCET_MULTI = 4 };

struct tercet_term {
    const char *word; /* NULL: the term is the token `id` */
    uint32_t id;
    float weight; /* learned weight, or how often the text has it */
};

struct tercet_encoding {
    uint32_t tokens_n;               /* that went through the model */
    const float *dense;              /* [dense_dim]; NULL when not asked for */
    const struct tercet_term *terms; /* [terms_n], each term once */
    size_t terms_n;
    const float *multi; /* [multi_n, multi_dim] row-major, each row of length 1 */
    size_t multi_n;
};

/* out: [n]. modes: one or more of TERCET_DENSE, ... */
bool tercet_encode(struct tercet *tercet, enum tercet_role role, unsigned modes,
                   const struct tercet_text *texts, size_t n, struct tercet_encoding *out,
                   struct tercet_error *err);

struct tercet_score_weights {
    float dense, sparse, colbert;
};

struct tercet_scores {
    float dense, sparse, colbert, sparse_dense, colbert_sparse_dense;
};

/* BGE-M3's five scores of one query against n passages (FlagEmbedding's compute_score), without
 * instructions. weights NULL: 1, 1, 1. Only for models with lexical weights. */
bool tercet_score(struct tercet *tercet, struct tercet_text query,
                  const struct tercet_text *passages, size_t n,
                  const struct tercet_score_weights *weights, struct tercet_scores *out,
                  struct tercet_error *err);

/* A cross-encoder's relevance of each of n passages to the query: logits, or with normalize their
 * sigmoids. out: [n]. */
bool tercet_rerank(struct tercet *tercet, struct tercet_text query,
                   const struct tercet_text *passages, size_t n, bool normalize, float *out,
                   struct tercet_error *err);

#ifdef __cplusplus
}
#endif

#endif
