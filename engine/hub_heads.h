/* hub_heads.h - a model's folder made anew with heads of BGE-M3's kind beside its weights, so that
 * it has all three modes. Everything but the heads is copied byte by byte. */
#ifndef TERCET_HUB_HEADS_H
#define TERCET_HUB_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct model_info;

struct hub_heads {
    size_t width, dim;
    const float *parameters; /* as in heads_fit.h */
    const char *note;        /* stands in the header of heads.safetensors under "tercet" */
};

/* info: of the model, opened; folder: new. Heads that the model has are left out. Where the model's
 * instructions are known by its name alone (model_family.h), config_sentence_transformers.json
 * tells them, so that the folder may have any name. *bytes_out: of heads.safetensors. */
bool hub_heads_write(const struct model_info *info, const struct hub_heads *heads,
                     const char *folder, uint64_t *bytes_out, struct error *err);

#endif
