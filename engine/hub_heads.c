#include "engine/hub_heads.h"

#include <string.h>

#include "engine/hub.h"
#include "engine/hub_making.h"
#include "engine/model.h"
#include "engine/weights/shards.h"
#include "engine/weights/write.h"

static bool copy(struct hub_making *making, struct model_files *files, const char *name,
                 struct error *err) {
    struct model_file file;
    return model_files_map(files, name, &file, err) &&
           hub_making_put(making, name, file.data, file.len, err);
}

/* The first set of weights that is there, as the loader chooses. */
static bool copy_weights(struct hub_making *making, struct model_files *files, struct error *err) {
    static const char *const names[] = {"model.safetensors", SHARDS_SAFETENSORS_INDEX,
                                        "pytorch_model.bin", SHARDS_TORCH_INDEX};
    size_t set = 0;
    while (set < 3 && !model_files_has(files, names[set]))
        set++;
    if (!copy(making, files, names[set], err))
        return false;
    struct shard_names shards = {0};
    if (set % 2 == 1 && !shards_list(files, names[set], &making->arena, &shards, err))
        return false;
    for (size_t i = 0; i < shards.n; i++)
        if (!copy(making, files, shards.names[i], err))
            return false;
    return true;
}

/* ---- heads ---- */

/* Tensors lie in the parameters one behind the other, but for the order. */
struct writing {
    const float *from[4];
};

static bool values(void *context, size_t tensor, uint64_t at, size_t n, float *out,
                   struct error *err) {
    const struct writing *writing = context;
    (void)err;
    memcpy(out, writing->from[tensor] + at, n * sizeof *out);
    return true;
}

static bool put_heads(struct hub_making *making, const struct hub_heads *heads, uint64_t *bytes_out,
                      struct error *err) {
    size_t width = heads->width, dim = heads->dim;
    const float *matrix = heads->parameters, *bias = matrix + (dim + 1) * width;
    const struct weights_made tensors[] = {
        {"colbert_linear.bias", WEIGHTS_F32, 1, {dim}},
        {"colbert_linear.weight", WEIGHTS_F32, 2, {dim, width}},
        {"sparse_linear.bias", WEIGHTS_F32, 1, {1}},
        {"sparse_linear.weight", WEIGHTS_F32, 2, {1, width}},
    };
    struct writing writing = {{bias, matrix, bias + dim, matrix + dim * width}};
    const char *path;
    return hub_making_path(making, "heads.safetensors", &path, err) &&
           weights_write(path, tensors, 4, heads->note, values, &writing, bytes_out, err);
}

/* BGE-M3's weights, 1 / .3 / 1, are of raw scores as its own heads give them; those of fitted heads
 * lie elsewhere, and summed like that cost a point of nDCG@10 (docs/heads.md). */
static const struct hub_making_word fusion = {"fusion", "zscore"};

bool hub_heads_write(const struct model_info *info, const struct hub_heads *heads,
                     const char *folder, uint64_t *bytes_out, struct error *err) {
    struct model_files *files;
    struct hub_making making;
    uint64_t bytes = 0;
    if (!model_files_open(info->name, &files, err))
        return false;
    bool ok = hub_making_begin(&making, folder, err);
    if (ok) {
        ok = hub_making_settings(&making, files, err) && copy_weights(&making, files, err) &&
             hub_making_instructions(&making, files, info->query_instruction,
                                     info->passage_instruction, err) &&
             hub_making_say(&making, files, &fusion, 1, err) &&
             put_heads(&making, heads, &bytes, err) && hub_making_publish(&making, err);
        if (!ok)
            hub_making_give_up(&making);
    }
    model_files_close(files);
    if (ok)
        *bytes_out = bytes;
    return ok;
}
