/* model_parts.h - what a model holds, for its own files and those of the forward pass only
 * (model*.c, forward.c, session.c, heads.c, encoder.c, reranker.c); everybody else asks model.h.
 *
 * Matrices are f32, row-major [out, in] as in the folder, 64-byte aligned, and never change. */
#ifndef TERCET_MODEL_PARTS_H
#define TERCET_MODEL_PARTS_H

#include "engine/config.h"
#include "engine/math/nn.h"
#include "engine/model.h"

struct model_linear {
    const float *weight; /* [out, in] */
    const float *bias;   /* [out] */
};

struct model_layer {
    struct model_linear qkv; /* [3 * hidden, hidden]: query, key, value one below the other */
    struct model_linear mix; /* [hidden, hidden]: attention.output.dense */
    struct nn_norm mix_norm;
    struct model_linear widen;  /* [intermediate, hidden] */
    struct model_linear narrow; /* [hidden, intermediate] */
    struct nn_norm narrow_norm;
};

struct model {
    struct model_info info;
    struct model_config config;
    struct model_files *files;
    struct tokenizer *tokenizer;

    const float *words;     /* [vocabulary_n, hidden] */
    const float *positions; /* [positions_n, hidden] */
    const float *types;     /* [types_n, hidden] */
    struct nn_norm embedding_norm;
    struct model_layer *layers; /* [layers_n] */

    struct model_linear sparse_head;  /* [1, hidden]; weight NULL: none */
    struct model_linear colbert_head; /* [multi_dim, hidden]; weight NULL: none */

    /* A cross-encoder's head: score = pair_score . tanh(pair_dense . h + bias) + bias. */
    struct model_linear pair_dense; /* [hidden, hidden] */
    struct model_linear pair_score; /* [1, hidden] */

    uint32_t mask_id; /* of XLM-R's <mask>, which has a lexical weight; UINT32_MAX: none */

    float **owned; /* every array above, for model_close */
    size_t owned_n, owned_cap;
    char fingerprint[33]; /* 128 bits in hex */
};

/* Reads all tensors of a model whose files and config are there (model_load.c). */
bool model_load(struct model *model, struct error *err);

#endif
