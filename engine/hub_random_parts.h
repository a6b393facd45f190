/* hub_random_parts.h - the parts of a made-up model, for hub_random*.c only. */
#ifndef TERCET_HUB_RANDOM_PARTS_H
#define TERCET_HUB_RANDOM_PARTS_H

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/hub_random.h"

enum random_head { RANDOM_HEAD_NONE, RANDOM_HEAD_M3, RANDOM_HEAD_RERANKER };

struct random_shape {
    const char *name;
    bool is_xlm_roberta, is_mean;
    enum random_head head;
    uint32_t hidden, layers_n, heads_n, intermediate, vocabulary_n, positions_n, types_n;
    uint32_t length_max; /* sentence_bert_config.json's; 0: none */
};

/* A tensor that is to be made up: [rows, columns], or [rows] when columns is 0. */
struct random_tensor {
    const char *name;
    uint64_t rows, columns;
    float center, deviation;
};

enum { RANDOM_TENSORS_MAX = 16 * 1024 };

struct random_tensors {
    struct random_tensor *items; /* [RANDOM_TENSORS_MAX] */
    size_t n;
};

/* In the order of the file; names lie in the arena. heads: M3's two, which have a file of their
 * own. */
void random_tensors_of(const struct random_shape *shape, struct arena *arena,
                       struct random_tensors *out);
void random_tensors_of_heads(const struct random_shape *shape, struct arena *arena,
                             struct random_tensors *out);

/* A safetensors file. *parameters and *bytes grow by what was written. */
bool random_weights_write(const char *path, const struct random_tensors *tensors,
                          const struct hub_random_options *options,
                          struct hub_random_result *result, struct error *err);

/* tokenizer.json of an XLM-RoBERTa of so many tokens. */
void random_tokenizer_write(uint32_t vocabulary_n, struct buf *out);

#endif
