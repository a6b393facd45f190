#include <stdio.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/base/mem.h"
#include "engine/hub.h"
#include "engine/model_parts.h"
#include "engine/weights/shards.h"
#include "engine/weights/weights.h"

/* ---- tensors ---- */

/* The names of the tensors that were read, to find those that were not. */
struct read_names {
    struct map map;
    struct arena arena;
};

/* Where tensors are read from: one file, its names with `prefix` in front. */
struct source {
    struct model *model;
    const struct weights *weights;
    const char *prefix;
    struct read_names *read;
};

enum { TENSOR_NAME_MAX = 256 };

static float *own(struct model *model, size_t n) {
    if (model->owned_n == model->owned_cap) {
        model->owned_cap = model->owned_cap ? 2 * model->owned_cap : 64;
        model->owned = mem_realloc(model->owned, model->owned_cap, sizeof *model->owned);
    }
    return model->owned[model->owned_n++] = mem_alloc_aligned(n, sizeof(float));
}

static void note_read(struct read_names *read, const char *name) {
    size_t len = strlen(name);
    if (!map_find(&read->map, name, len))
        map_put(&read->map, arena_text(&read->arena, name, len), len, 0, NULL);
}

/* Reads `parts_n` tensors of [rows, columns] each, one below the other, into one new array. All are
 * checked first: a header that promises more than the file holds makes no allocation. */
static bool read_stacked(const struct source *source, const char *const *names, size_t parts_n,
                         size_t rows, size_t columns, const float **out, struct error *err) {
    char name[2 * TENSOR_NAME_MAX];
    float *all = NULL;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < parts_n; i++) {
            snprintf(name, sizeof name, "%s%s", source->prefix, names[i]);
            float *part = all ? all + i * rows * columns : NULL;
            if (!weights_read_f32(source->weights, name, rows, columns, part, err))
                return false;
            note_read(source->read, name);
        }
        if (!all)
            all = own(source->model, parts_n * rows * columns);
    }
    *out = all;
    return true;
}

static bool read_one(const struct source *source, const char *name, size_t rows, size_t columns,
                     const float **out, struct error *err) {
    return read_stacked(source, &name, 1, rows, columns, out, err);
}

/* NAME.weight [rows, columns] and NAME.bias [rows]. */
static bool read_linear(const struct source *source, const char *name, size_t rows, size_t columns,
                        struct model_linear *out, struct error *err) {
    char weight[TENSOR_NAME_MAX], bias[TENSOR_NAME_MAX];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return read_one(source, weight, rows, columns, &out->weight, err) &&
           read_one(source, bias, 1, rows, &out->bias, err);
}

static bool read_norm(const struct source *source, const char *name, struct nn_norm *out,
                      struct error *err) {
    char gain[TENSOR_NAME_MAX], shift[TENSOR_NAME_MAX];
    const struct model_config *config = &source->model->config;
    snprintf(gain, sizeof gain, "%s.weight", name);
    snprintf(shift, sizeof shift, "%s.bias", name);
    out->epsilon = config->norm_epsilon;
    return read_one(source, gain, 1, config->hidden, &out->gain, err) &&
           read_one(source, shift, 1, config->hidden, &out->shift, err);
}

static bool read_embeddings(const struct source *source, struct error *err) {
    struct model *model = source->model;
    const struct model_config *config = &model->config;
    size_t hidden = config->hidden;
    if (!read_one(source, "embeddings.word_embeddings.weight", config->vocabulary_n, hidden,
                  &model->words, err))
        return error_wrap(err, "config.json has vocab_size %u and hidden_size %u: ",
                          config->vocabulary_n, config->hidden);
    if (!read_one(source, "embeddings.position_embeddings.weight", config->positions_n, hidden,
                  &model->positions, err))
        return error_wrap(err, "config.json has max_position_embeddings %u: ", config->positions_n);
    if (!read_one(source, "embeddings.token_type_embeddings.weight", config->types_n, hidden,
                  &model->types, err))
        return error_wrap(err, "config.json has type_vocab_size %u: ", config->types_n);
    return read_norm(source, "embeddings.LayerNorm", &model->embedding_norm, err);
}

static bool read_layer(const struct source *source, size_t i, struct model_layer *out,
                       struct error *err) {
    const struct model_config *config = &source->model->config;
    size_t hidden = config->hidden;
    char prefix[TENSOR_NAME_MAX];
    snprintf(prefix, sizeof prefix, "%sencoder.layer.%zu.", source->prefix, i);
    const struct source layer = {source->model, source->weights, prefix, source->read};
    static const char *const qkv_weights[] = {
        "attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"};
    static const char *const qkv_biases[] = {"attention.self.query.bias", "attention.self.key.bias",
                                             "attention.self.value.bias"};
    return read_stacked(&layer, qkv_weights, 3, hidden, hidden, &out->qkv.weight, err) &&
           read_stacked(&layer, qkv_biases, 3, 1, hidden, &out->qkv.bias, err) &&
           read_linear(&layer, "attention.output.dense", hidden, hidden, &out->mix, err) &&
           read_norm(&layer, "attention.output.LayerNorm", &out->mix_norm, err) &&
           read_linear(&layer, "intermediate.dense", config->intermediate, hidden, &out->widen,
                       err) &&
           read_linear(&layer, "output.dense", hidden, config->intermediate, &out->narrow, err) &&
           read_norm(&layer, "output.LayerNorm", &out->narrow_norm, err);
}

/* Layers are made one by one, so that a config.json that promises a million of them ends at the
 * first missing tensor. */
static bool read_layers(const struct source *source, struct error *err) {
    struct model *model = source->model;
    size_t cap = 0;
    for (size_t i = 0; i < model->config.layers_n; i++) {
        if (i == cap) {
            cap = cap ? 2 * cap : 16;
            model->layers = mem_realloc(model->layers, cap, sizeof *model->layers);
        }
        if (!read_layer(source, i, &model->layers[i], err))
            return false;
    }
    return true;
}

/* ---- files ---- */

/* PyTorch's own files end in .bin or .pt, the others are safetensors. */
static bool open_weights(struct model *model, const char *file_name, struct weights **out,
                         struct error *err) {
    struct model_file file;
    const char *ending = strrchr(file_name, '.');
    bool torch = strcmp(ending, ".bin") == 0 || strcmp(ending, ".pt") == 0;
    return model_files_map(model->files, file_name, &file, err) &&
           (torch ? weights_open_torch : weights_open)(file.data, file.len, file.path, out, err);
}

/* The first of the files that is there; NULL: none. */
static const char *first_file(const struct model *model, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (model_files_has(model->files, names[i]))
            return names[i];
    return NULL;
}

/* Tensors of a plain BertModel have no prefix; inside a BertFor... they begin with "bert.", inside
 * an XLMRobertaFor... with "roberta.". */
static const char *prefix_of(const struct weights *weights) {
    if (weights_find(weights, "roberta.embeddings.LayerNorm.weight"))
        return "roberta.";
    return weights_find(weights, "bert.embeddings.LayerNorm.weight") ? "bert." : "";
}

/* A cross-encoder's head: XLM-R's own two layers, or BERT's pooler and one. */
static bool read_pair_head(const struct source *encoder, struct error *err) {
    struct model *model = encoder->model;
    size_t hidden = model->config.hidden;
    const struct source top = {model, encoder->weights, "", encoder->read};
    if (model->config.is_xlm_roberta)
        return read_linear(&top, "classifier.dense", hidden, hidden, &model->pair_dense, err) &&
               read_linear(&top, "classifier.out_proj", 1, hidden, &model->pair_score, err);
    return read_linear(encoder, "pooler.dense", hidden, hidden, &model->pair_dense, err) &&
           read_linear(&top, "classifier", 1, hidden, &model->pair_score, err);
}

/* Tensors that may stand in a file and are not used: a pooler that only pre-training knew, the
 * heads of pre-training and of other tasks, positions counted out, and the scales of int8 tensors,
 * which were read with them. */
static bool may_be_passed_over(const struct model *model, const char *name) {
    static const char *const parts[] = {"pooler.", "position_ids", "token_type_ids"};
    static const char *const beginnings[] = {"cls.", "lm_head.", "qa_outputs."};
    size_t len = strlen(name), scale_len = strlen("_scale");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i]))
            return true;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    if (strncmp(name, "classifier.", strlen("classifier.")) == 0)
        return !model->config.is_reranker;
    return len > scale_len && strcmp(name + len - scale_len, "_scale") == 0;
}

/* A tensor that nothing reads means that the file is of another model than config.json: one of more
 * layers, say, whose vectors would come out wrong without a word. */
static bool check_rest(const struct model *model, const struct weights *weights,
                       const struct read_names *read, struct error *err) {
    for (size_t i = 0; i < weights_count(weights); i++) {
        const char *name = weights_name(weights, i);
        if (!map_find(&read->map, name, strlen(name)) && !may_be_passed_over(model, name))
            return error_set(err, ERROR_INVALID,
                             "%s: tensor \"%s\" belongs to no %s of %u layers as config.json "
                             "describes it",
                             weights_file(weights, i), name,
                             model->config.is_xlm_roberta ? "XLM-RoBERTa" : "BERT",
                             model->config.layers_n);
    }
    return true;
}

static bool open_encoder_weights(struct model *model, struct weights **out, struct error *err) {
    static const char *const names[] = {"model.safetensors", SHARDS_SAFETENSORS_INDEX,
                                        "pytorch_model.bin", SHARDS_TORCH_INDEX};
    const char *name = first_file(model, names, sizeof names / sizeof *names);
    if (!name)
        return error_set(err, ERROR_NOT_FOUND, "%s: neither %s nor %s is there, nor their index",
                         model->info.where, names[0], names[2]);
    bool sharded = name == names[1] || name == names[3];
    return sharded ? shards_open(model->files, name, out, err)
                   : open_weights(model, name, out, err);
}

static bool read_encoder(struct model *model, struct error *err) {
    struct weights *weights = NULL;
    struct read_names read = {0};
    if (!open_encoder_weights(model, &weights, err))
        return false;
    const struct source source = {model, weights, prefix_of(weights), &read};
    bool ok = read_embeddings(&source, err) && read_layers(&source, err) &&
              (!model->config.is_reranker || read_pair_head(&source, err)) &&
              check_rest(model, weights, &read, err);
    weights_close(weights); /* everything was converted */
    map_done(&read.map);
    arena_done(&read.arena);
    return ok;
}

/* The tensor's rows, which for the ColBERT head are its own choice. */
static uint32_t rows_of(const struct weights *weights, const char *name) {
    enum { ROWS_MAX = 1 << 16 };
    const struct weights_tensor *tensor = weights_find(weights, name);
    bool plausible =
        tensor && tensor->rank == 2 && tensor->shape[0] > 0 && tensor->shape[0] <= ROWS_MAX;
    return plausible ? (uint32_t)tensor->shape[0] : 1;
}

/* NAME.weight and NAME.bias in heads.safetensors, or weight and bias in NAME.safetensors or in
 * NAME.pt, as BGE-M3 has them. A head that is in none of them is absent: *rows_out 0. */
static bool read_head(struct model *model, const char *name, uint32_t rows, uint32_t *rows_out,
                      struct model_linear *out, struct error *err) {
    char weight[TENSOR_NAME_MAX], prefix[TENSOR_NAME_MAX] = "";
    char safetensors[TENSOR_NAME_MAX], torch[TENSOR_NAME_MAX];
    struct weights *weights = NULL;
    snprintf(safetensors, sizeof safetensors, "%s.safetensors", name);
    snprintf(torch, sizeof torch, "%s.pt", name);
    const char *const names[] = {"heads.safetensors", safetensors, torch};
    const char *file_name = first_file(model, names, 3);
    *rows_out = 0;
    if (!file_name)
        return true;
    if (!open_weights(model, file_name, &weights, err))
        return false;
    if (file_name == names[0])
        snprintf(prefix, sizeof prefix, "%s.", name);
    snprintf(weight, sizeof weight, "%sweight", prefix);
    struct read_names read = {0};
    const struct source source = {model, weights, prefix, &read};
    uint32_t found = rows ? rows : rows_of(weights, weight);
    bool ok = read_one(&source, "weight", found, model->config.hidden, &out->weight, err) &&
              read_one(&source, "bias", 1, found, &out->bias, err);
    weights_close(weights);
    map_done(&read.map);
    arena_done(&read.arena);
    *rows_out = found;
    return ok;
}

static bool read_heads(struct model *model, struct error *err) {
    struct model_info *info = &model->info;
    uint32_t sparse_rows, colbert_rows;
    if (!read_head(model, "sparse_linear", 1, &sparse_rows, &model->sparse_head, err) ||
        !read_head(model, "colbert_linear", 0, &colbert_rows, &model->colbert_head, err))
        return false;
    info->has_sparse_head = sparse_rows > 0;
    info->has_colbert_head = colbert_rows > 0;
    info->multi_dim = colbert_rows ? colbert_rows : model->config.hidden;
    return true;
}

bool model_load(struct model *model, struct error *err) {
    return read_encoder(model, err) && (model->config.is_reranker || read_heads(model, err));
}
