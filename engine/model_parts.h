/* model_parts.h - what a model holds, for its own files and those of the forward pass only
 * (model*.c, forward.c, session.c, heads.c, encoder.c, reranker.c, cost.c); everybody else asks
 * model.h.
 *
 * The matrices of the layers are packed for the precision in use (math/linear.h), word embeddings
 * stay in the mapped file and the rest is f32. Nothing changes once the model is open. */
#ifndef TERCET_MODEL_PARTS_H
#define TERCET_MODEL_PARTS_H

#include "engine/config.h"
#include "engine/math/linear.h"
#include "engine/math/nn.h"
#include "engine/model.h"
#include "engine/weights/weights.h"

struct model_layer {
    struct linear *qkv;    /* [3 * hidden, hidden]: query, key, value one below the other */
    struct linear *mix;    /* [hidden, hidden]: attention.output.dense, without its bias */
    struct linear *widen;  /* [intermediate, hidden] */
    struct linear *narrow; /* [hidden, intermediate], without its bias */
    /* The biases that residual and norm add in one pass, [hidden] each. */
    const float *mix_bias, *narrow_bias;
    struct nn_norm mix_norm, narrow_norm;
};

struct model {
    struct model_info info;
    struct model_config config;
    struct model_files *files;
    struct tokenizer *tokenizer;

    struct weights *weights;   /* of the encoder: open because words are read from it */
    struct weights_rows words; /* [vocabulary_n, hidden] */
    const float *positions;    /* [positions_n, hidden] */
    const float *types;        /* [types_n, hidden] */
    struct nn_norm embedding_norm;
    enum linear_kind kind;      /* of the layers */
    struct pages pages;         /* the layers' packed matrices */
    struct model_layer *layers; /* [layers_n] */
    size_t layers_cap;          /* zeros behind those that were read */

    /* The heads, always f32. */
    const float *sparse_weight;  /* [hidden]; NULL: none */
    const float *sparse_bias;    /* [1] */
    struct linear *colbert_head; /* [multi_dim, hidden]; NULL: none */

    /* A cross-encoder's: score = pair_weight . tanh(pair_dense(h)) + pair_bias. */
    struct linear *pair_dense;            /* [hidden, hidden] */
    const float *pair_weight, *pair_bias; /* [hidden], [1] */

    uint32_t mask_id; /* of XLM-R's <mask>, which has a lexical weight; UINT32_MAX: none */

    float **owned; /* every f32 array above, for model_close */
    size_t owned_n, owned_cap;
    char fingerprint[33]; /* 128 bits in hex */
};

/* Reads all tensors of a model whose files and config are there (model_load.c). */
bool model_load(struct model *model, struct error *err);

#endif
