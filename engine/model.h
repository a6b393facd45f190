/* model.h - config, tokenizer and weights of one encoder or cross-encoder, ready to be shared.
 *
 * A model is a Hugging Face folder (or the embedded one): config.json, tokenizer.json,
 * model.safetensors or pytorch_model.bin, 1_Pooling/config.json, and for three-mode models the
 * heads sparse_linear and colbert_linear (heads.safetensors, <head>.safetensors or <head>.pt).
 * Threads: immutable once open; encoders on any number of threads share it. */
#ifndef TERCET_MODEL_H
#define TERCET_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct model;
struct tokenizer;

enum model_precision {
    MODEL_PRECISION_AUTO, /* int8 where the processor has byte products, else f32 */
    MODEL_PRECISION_F32,  /* as the reference code computes: vectors within 1e-6 */
    MODEL_PRECISION_BF16, /* where the processor has no bf16 products, f32 is used */
    MODEL_PRECISION_INT8,
};

struct model_options {
    const char *name; /* see hub.h; NULL: the embedded default */
    enum model_precision precision;
    const char *task; /* of LLM-Embedder: "qa", "chat", ...; NULL: the family's first, or none */
};

struct model_info {
    const char *name;        /* as asked for */
    const char *where;       /* folder, or "embedded:..." */
    const char *fingerprint; /* hash of config, tokenizer and weights, hex: two models with the same
                                one give the same vectors */
    uint32_t layers_n, dense_dim, heads_n, vocabulary_n;
    uint32_t multi_dim;  /* the ColBERT head's width, or dense_dim: the token states themselves */
    uint32_t length_max; /* tokens, specials included */
    bool has_sparse_head, has_colbert_head;
    bool is_reranker;              /* a cross-encoder: it scores pairs and encodes nothing */
    const char *pooling;           /* of the dense vector: "cls" or "mean" */
    bool normalized;               /* dense vectors have length 1 */
    const char *query_instruction; /* put in front of a query; "" when the family has none */
    const char *passage_instruction;
    const char *analyzer;  /* the default lexer: "head", "words:en" or "model" */
    const char *fusion;    /* that a search should take (query/fuse.h); "": nothing is said */
    const char *precision; /* the one in use: "f32", "bf16" or "int8" */
};

bool model_open(const struct model_options *options, struct model **out, struct error *err);
void model_close(struct model *model);

const struct model_info *model_info(const struct model *model);
const struct tokenizer *model_tokenizer(const struct model *model);

bool model_precision_parse(const char *name, enum model_precision *out, struct error *err);

#endif
