/* shards.h - weights that lie in several files, seen as one.
 *
 * A large model is saved as model-00001-of-00003.safetensors and so on, beside
 * model.safetensors.index.json: {"metadata": ..., "weight_map": {tensor: file name}}; as
 * PyTorch's files the same with pytorch_model.bin.index.json. Map and files must agree: each tensor
 * stands in the one file that the map names, and every tensor of a file is in the map. */
#ifndef TERCET_WEIGHTS_SHARDS_H
#define TERCET_WEIGHTS_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/hub.h"
#include "engine/weights/weights.h"

#define SHARDS_SAFETENSORS_INDEX "model.safetensors.index.json"
#define SHARDS_TORCH_INDEX "pytorch_model.bin.index.json"

struct shard_names {
    size_t n;
    const char **names; /* [n] each once, in the order of the map; in the caller's arena */
};

/* Only reads the index: which files it names, for those who need their bytes (a fingerprint). */
bool shards_list(struct model_files *files, const char *index, struct arena *arena,
                 struct shard_names *out, struct error *err);

/* Opens every file that `index` (one of the two above) names. The weights borrow from `files`.
 * ERROR_NOT_FOUND: a file is missing; ERROR_CORRUPT: map and files disagree, which names tensor,
 * file and the file where the tensor was found. Messages of weights_read_f32 name the tensor's own
 * file, or the index when no file has it. */
bool shards_open(struct model_files *files, const char *index, struct weights **out,
                 struct error *err);

#endif
