#include "engine/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/mem.h"
#include "engine/hub.h"
#include "engine/model_parts.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/weights.h"

/* ---- tensors ---- */

/* Where tensors are read from: one file, its names with `prefix` in front. */
struct source {
    struct model *model;
    const struct weights *weights;
    const char *prefix;
};

enum { TENSOR_NAME_MAX = 256 };

static float *own(struct model *model, size_t n) {
    if (model->owned_n == model->owned_cap) {
        model->owned_cap = model->owned_cap ? 2 * model->owned_cap : 64;
        model->owned = mem_realloc(model->owned, model->owned_cap, sizeof *model->owned);
    }
    return model->owned[model->owned_n++] = mem_alloc_aligned(n, sizeof(float));
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
    const struct source layer = {source->model, source->weights, prefix};
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

/* Tensors of a plain BertModel have no prefix; inside a BertFor... they begin with "bert.". */
static const char *prefix_of(const struct weights *weights) {
    return weights_find(weights, "bert.embeddings.LayerNorm.weight") ? "bert." : "";
}

static bool read_encoder(struct model *model, struct error *err) {
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin"};
    const char *file_name = first_file(model, names, 2);
    struct weights *weights = NULL;
    if (!file_name)
        return error_set(err, ERROR_NOT_FOUND, "%s: neither %s nor %s is there", model->info.where,
                         names[0], names[1]);
    if (!open_weights(model, file_name, &weights, err))
        return false;
    const struct source source = {model, weights, prefix_of(weights)};
    bool ok = read_embeddings(&source, err) && read_layers(&source, err);
    weights_close(weights); /* everything was converted */
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
    const struct source source = {model, weights, prefix};
    uint32_t found = rows ? rows : rows_of(weights, weight);
    bool ok = read_one(&source, "weight", found, model->config.hidden, &out->weight, err) &&
              read_one(&source, "bias", 1, found, &out->bias, err);
    weights_close(weights);
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

static bool open_tokenizer(struct model *model, struct error *err) {
    struct model_file file;
    if (!model_files_map(model->files, "tokenizer.json", &file, err) ||
        !tokenizer_open((const char *)file.data, file.len, file.path, &model->tokenizer, err))
        return false;
    size_t n = tokenizer_vocabulary_n(model->tokenizer);
    if (n > model->config.vocabulary_n)
        return error_set(
            err, ERROR_INVALID,
            "%s: model.vocab has the id %zu, beyond the embedding's %u rows (vocab_size "
            "of config.json)",
            file.path, n - 1, model->config.vocabulary_n);
    return true;
}

/* XXH3-128 over name, length and bytes of everything that decides what comes out. */
static bool take_fingerprint(struct model *model, struct error *err) {
    static const char *const names[] = {
        "config.json",       "1_Pooling/config.json",     "sentence_bert_config.json",
        "tokenizer.json",    "model.safetensors",         "pytorch_model.bin",
        "heads.safetensors", "sparse_linear.safetensors", "colbert_linear.safetensors",
        "sparse_linear.pt",  "colbert_linear.pt"};
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_128bits_reset(state) == XXH_ERROR)
        mem_alloc(SIZE_MAX, 2); /* out of memory: says so and aborts */
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof names / sizeof *names; i++) {
        struct model_file file;
        if (!model_files_has(model->files, names[i]))
            continue;
        ok = model_files_map(model->files, names[i], &file, err);
        if (!ok)
            break;
        uint64_t len = file.len;
        XXH3_128bits_update(state, names[i], strlen(names[i]) + 1);
        XXH3_128bits_update(state, &len, sizeof len);
        XXH3_128bits_update(state, file.data, file.len);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    snprintf(model->fingerprint, sizeof model->fingerprint, "%016llx%016llx",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    XXH3_freeState(state);
    return ok;
}

/* ---- families ---- */

/* The part of a model's name or path that tells its family: the last component; in the Hugging
 * Face cache (.../models--ORG--NAME/snapshots/HASH) the one that holds the name. */
static const char *family_name(const char *name, char out[256]) {
    const char *end = name + strlen(name), *snapshots = strstr(name, "/snapshots/");
    if (snapshots)
        end = snapshots;
    while (end > name + 1 && end[-1] == '/')
        end--;
    const char *begin = end;
    while (begin > name && begin[-1] != '/')
        begin--;
    snprintf(out, 256, "%.*s", (int)(end - begin), begin);
    return out;
}

/* The folder itself does not say which instruction its queries want, so its name must: "bge-" with
 * "-en" or "-zh" are the BGE v1 and v1.5 encoders (FlagEmbedding's model list); bge-m3 has no
 * language in its name and wants none. */
static void choose_family(struct model *model) {
    char name[256];
    family_name(model->info.name, name);
    const char *bge = strstr(name, "bge-");
    bool english = strstr(name, "-en") != NULL;
    model->info.query_instruction = "";
    if (bge && english)
        model->info.query_instruction = "Represent this sentence for searching relevant passages: ";
    else if (bge && strstr(name, "-zh"))
        model->info.query_instruction = "为这个句子生成表示以用于检索相关文章:";
    if (model->info.has_sparse_head)
        model->info.analyzer = "head";
    else
        model->info.analyzer = english || strstr(name, "all-MiniLM") ? "words:en" : "model";
}

/* ---- model.h ---- */

static void fill_info(struct model *model) {
    struct model_info *info = &model->info;
    info->layers_n = model->config.layers_n;
    info->dense_dim = model->config.hidden;
    info->heads_n = model->config.heads_n;
    info->vocabulary_n = model->config.vocabulary_n;
    info->length_max = model->config.length_max;
    info->fingerprint = model->fingerprint;
    info->precision = "f32";
}

bool model_open(const struct model_options *options, struct model **out, struct error *err) {
    struct model *model = mem_zalloc(1, sizeof *model);
    if (!model_files_open(options->name, &model->files, err))
        goto failed;
    model->info.name = model_files_name(model->files);
    model->info.where = model_files_where(model->files);
    if (!config_read(model->files, &model->config, err) || !open_tokenizer(model, err) ||
        !read_encoder(model, err) || !read_heads(model, err) || !take_fingerprint(model, err))
        goto failed;
    fill_info(model);
    choose_family(model);
    *out = model;
    return true;
failed:
    model_close(model);
    return false;
}

void model_close(struct model *model) {
    if (!model)
        return;
    for (size_t i = 0; i < model->owned_n; i++)
        free(model->owned[i]);
    free(model->owned);
    free(model->layers);
    tokenizer_close(model->tokenizer);
    model_files_close(model->files);
    free(model);
}

const struct model_info *model_info(const struct model *model) {
    return &model->info;
}

const struct tokenizer *model_tokenizer(const struct model *model) {
    return model->tokenizer;
}

bool model_precision_parse(const char *name, enum model_precision *out, struct error *err) {
    if (strcmp(name, "auto") == 0)
        *out = MODEL_PRECISION_AUTO;
    else if (strcmp(name, "f32") == 0)
        *out = MODEL_PRECISION_F32;
    else
        return error_set(err, ERROR_INVALID, "precision \"%s\": must be \"auto\" or \"f32\"", name);
    return true;
}
