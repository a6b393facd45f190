#include <stdio.h>
#include <stdlib.h>
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

/* Frees the array that own made last. */
static void disown_last(struct model *model) {
    free(model->owned[--model->owned_n]);
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

/* Matrices that stand one below the other in one layer: query, key and value, or one alone. */
enum { PARTS_MAX = 3 };
struct parts {
    const char *names[PARTS_MAX]; /* NULL: no more */
    size_t rows;                  /* of each */
};

/* NAME.weight [rows, columns] and NAME.bias [rows] of each part, packed as one layer. bias_out
 * NULL: the layer has the bias itself; else it is left to the caller. */
static bool read_linear(const struct source *source, enum linear_kind kind,
                        const struct parts *parts, size_t columns, struct linear **out,
                        const float **bias_out, struct error *err) {
    char names[2][PARTS_MAX][TENSOR_NAME_MAX];
    const char *pointers[2][PARTS_MAX];
    size_t n = 0;
    for (; n < PARTS_MAX && parts->names[n]; n++)
        for (size_t which = 0; which < 2; which++) {
            snprintf(names[which][n], TENSOR_NAME_MAX, "%s.%s", parts->names[n],
                     which ? "bias" : "weight");
            pointers[which][n] = names[which][n];
        }
    const float *weight = NULL, *bias = NULL;
    if (!read_stacked(source, pointers[1], n, 1, parts->rows, &bias, err) ||
        !read_stacked(source, pointers[0], n, parts->rows, columns, &weight, err))
        return false;
    *out = linear_pack(kind, weight, bias_out ? NULL : bias, n * parts->rows, columns,
                       &source->model->pages);
    disown_last(source->model); /* the matrix: it is packed */
    if (bias_out)
        *bias_out = bias;
    else
        disown_last(source->model);
    return true;
}

static bool read_layer_linear(const struct source *source, const char *name, size_t rows,
                              size_t columns, struct linear **out, const float **bias_out,
                              struct error *err) {
    return read_linear(source, source->model->kind, &(struct parts){{name}, rows}, columns, out,
                       bias_out, err);
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

static bool read_rows(const struct source *source, const char *name, size_t rows, size_t columns,
                      struct weights_rows *out, struct error *err) {
    char whole[2 * TENSOR_NAME_MAX];
    snprintf(whole, sizeof whole, "%s%s", source->prefix, name);
    note_read(source->read, whole);
    return weights_rows_open(source->weights, whole, rows, columns, out, err);
}

static bool read_embeddings(const struct source *source, struct error *err) {
    struct model *model = source->model;
    const struct model_config *config = &model->config;
    size_t hidden = config->hidden;
    if (!read_rows(source, "embeddings.word_embeddings.weight", config->vocabulary_n, hidden,
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
    const struct parts qkv = {
        {"attention.self.query", "attention.self.key", "attention.self.value"}, hidden};
    size_t wide = config->intermediate;
    return read_linear(&layer, source->model->kind, &qkv, hidden, &out->qkv, NULL, err) &&
           read_layer_linear(&layer, "attention.output.dense", hidden, hidden, &out->mix,
                             &out->mix_bias, err) &&
           read_norm(&layer, "attention.output.LayerNorm", &out->mix_norm, err) &&
           read_layer_linear(&layer, "intermediate.dense", wide, hidden, &out->widen, NULL, err) &&
           read_layer_linear(&layer, "output.dense", hidden, wide, &out->narrow, &out->narrow_bias,
                             err) &&
           read_norm(&layer, "output.LayerNorm", &out->narrow_norm, err);
}

/* Layers are made one by one, so that a config.json that promises a million of them ends at the
 * first missing tensor. */
static bool read_layers(const struct source *source, struct error *err) {
    struct model *model = source->model;
    for (size_t i = 0; i < model->config.layers_n; i++) {
        if (i == model->layers_cap) {
            size_t cap = i ? 2 * i : 16;
            model->layers = mem_realloc(model->layers, cap, sizeof *model->layers);
            memset(model->layers + i, 0, (cap - i) * sizeof *model->layers);
            model->layers_cap = cap;
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
    bool own_head = model->config.is_xlm_roberta;
    const struct parts dense = {{own_head ? "classifier.dense" : "pooler.dense"}, hidden};
    const char *score = own_head ? "classifier.out_proj" : "classifier";
    char weight[TENSOR_NAME_MAX], bias[TENSOR_NAME_MAX];
    snprintf(weight, sizeof weight, "%s.weight", score);
    snprintf(bias, sizeof bias, "%s.bias", score);
    return read_linear(own_head ? &top : encoder, LINEAR_F32, &dense, hidden, &model->pair_dense,
                       NULL, err) &&
           read_one(&top, weight, 1, hidden, &model->pair_weight, err) &&
           read_one(&top, bias, 1, 1, &model->pair_bias, err);
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
    model->weights = weights; /* words are read from it */
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
 * NAME.pt, as BGE-M3 has them, as f32 [rows, hidden] and [rows]. rows 0: as many as the tensor has.
 * A head that is in none of them is absent: *rows_out 0. */
static bool read_head(struct model *model, const char *name, uint32_t rows, uint32_t *rows_out,
                      const float **weight_out, const float **bias_out, struct error *err) {
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
    bool ok = read_one(&source, "bias", 1, found, bias_out, err) &&
              read_one(&source, "weight", found, model->config.hidden, weight_out, err);
    weights_close(weights);
    map_done(&read.map);
    arena_done(&read.arena);
    *rows_out = found;
    return ok;
}

static bool read_heads(struct model *model, struct error *err) {
    struct model_info *info = &model->info;
    const float *weight = NULL, *bias = NULL;
    uint32_t sparse_rows, colbert_rows;
    if (!read_head(model, "sparse_linear", 1, &sparse_rows, &model->sparse_weight,
                   &model->sparse_bias, err) ||
        !read_head(model, "colbert_linear", 0, &colbert_rows, &weight, &bias, err))
        return false;
    if (colbert_rows) {
        model->colbert_head =
            linear_pack(LINEAR_F32, weight, bias, colbert_rows, model->config.hidden, NULL);
        disown_last(model);
    }
    info->has_sparse_head = sparse_rows > 0;
    info->has_colbert_head = colbert_rows > 0;
    info->multi_dim = colbert_rows ? colbert_rows : model->config.hidden;
    return true;
}

bool model_load(struct model *model, struct error *err) {
    return read_encoder(model, err) && (model->config.is_reranker || read_heads(model, err));
}
