/* config.h - what a model folder's small JSON files say about its architecture.
 *
 * config.json (transformers), 1_Pooling/config.json and sentence_bert_config.json
 * (sentence-transformers). Known here: model_type bert, GELU with erf, absolute positions, CLS
 * pooling. Anything else is refused by name: a setting that is passed over gives wrong vectors. */
#ifndef TERCET_CONFIG_H
#define TERCET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/hub.h"

struct model_config {
    uint32_t hidden, layers_n, heads_n, intermediate;
    uint32_t vocabulary_n, positions_n, types_n;
    uint32_t position_first; /* the position of a sequence's first token: 0 for BERT */
    uint32_t length_max;     /* tokens, specials included */
    float norm_epsilon;
};

bool config_read(struct model_files *files, struct model_config *out, struct error *err);

#endif
