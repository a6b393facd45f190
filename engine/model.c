#include "engine/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/arena.h"
#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/hub.h"
#include "engine/model_family.h"
#include "engine/model_parts.h"
#include "engine/model_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/shards.h"

/* sentence-transformers makes texts lower case before a tokenizer that may keep cases apart; ours
 * must do it itself. */
static bool check_lower_case(struct model *model, struct error *err) {
    struct arena arena = {0};
    struct tokens upper, lower;
    bool ok = tokenizer_encode(model->tokenizer, "TEXT A", 6, 0, &arena, &upper, err) &&
              tokenizer_encode(model->tokenizer, "text a", 6, 0, &arena, &lower, err);
    if (ok &&
        (upper.n != lower.n || memcmp(upper.ids, lower.ids, lower.n * sizeof *lower.ids) != 0))
        ok =
            error_set(err, ERROR_UNSUPPORTED,
                      "%s/sentence_bert_config.json: \"do_lower_case\" is true, but %s keeps upper "
                      "case: supported where the tokenizer makes texts lower case itself",
                      model->info.where, model_tokenizer_file(model->files));
    arena_done(&arena);
    return ok;
}

static bool open_tokenizer(struct model *model, struct error *err) {
    if (!model_tokenizer_open(model->files, &model->tokenizer, err))
        return false;
    size_t n = tokenizer_vocabulary_n(model->tokenizer);
    if (n > model->config.vocabulary_n)
        return error_set(err, ERROR_INVALID,
                         "%s/%s: model.vocab has the id %zu, beyond the embedding's %u rows "
                         "(vocab_size of config.json)",
                         model->info.where, model_tokenizer_file(model->files), n - 1,
                         model->config.vocabulary_n);
    return !model->config.lower_case || check_lower_case(model, err);
}

/* ---- the fingerprint ---- */

/* Name, length and bytes of a file that decides what comes out; one that is absent adds nothing. */
static bool add_file(struct model *model, XXH3_state_t *state, const char *name,
                     struct error *err) {
    struct model_file file;
    if (!model_files_has(model->files, name))
        return true;
    if (!model_files_map(model->files, name, &file, err))
        return false;
    uint64_t len = file.len;
    XXH3_128bits_update(state, name, strlen(name) + 1);
    XXH3_128bits_update(state, &len, sizeof len);
    XXH3_128bits_update(state, file.data, file.len);
    return true;
}

static bool add_files(struct model *model, XXH3_state_t *state, const char *const *names, size_t n,
                      struct error *err) {
    for (size_t i = 0; i < n; i++)
        if (!add_file(model, state, names[i], err))
            return false;
    return true;
}

static bool add_shards(struct model *model, XXH3_state_t *state, const char *index,
                       struct error *err) {
    struct shard_names shards = {0};
    struct arena arena = {0};
    bool ok = !model_files_has(model->files, index) ||
              (shards_list(model->files, index, &arena, &shards, err) &&
               add_files(model, state, shards.names, shards.n, err));
    arena_done(&arena);
    return ok;
}

static bool take_fingerprint(struct model *model, struct error *err) {
    static const char *const names[] = {"config.json",
                                        "1_Pooling/config.json",
                                        "sentence_bert_config.json",
                                        "modules.json",
                                        "tokenizer.json",
                                        "model.safetensors",
                                        "pytorch_model.bin",
                                        "heads.safetensors",
                                        "sparse_linear.safetensors",
                                        "sparse_linear.pt",
                                        "colbert_linear.safetensors",
                                        "colbert_linear.pt"};
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_128bits_reset(state) == XXH_ERROR)
        mem_alloc(SIZE_MAX, 2); /* out of memory: says so and aborts */
    bool vocab = strcmp(model_tokenizer_file(model->files), "vocab.txt") == 0;
    bool ok = add_files(model, state, names, sizeof names / sizeof *names, err) &&
              (!vocab || (add_file(model, state, "vocab.txt", err) &&
                          add_file(model, state, "tokenizer_config.json", err))) &&
              add_shards(model, state, SHARDS_SAFETENSORS_INDEX, err) &&
              add_shards(model, state, SHARDS_TORCH_INDEX, err);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    snprintf(model->fingerprint, sizeof model->fingerprint, "%016llx%016llx",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    XXH3_freeState(state);
    return ok;
}

/* ---- model.h ---- */

static const char *const precision_names[] = {
    [MODEL_PRECISION_AUTO] = "auto",
    [MODEL_PRECISION_F32] = "f32",
    [MODEL_PRECISION_BF16] = "bf16",
    [MODEL_PRECISION_INT8] = "int8",
};
enum { PRECISIONS_N = sizeof precision_names / sizeof *precision_names };

/* Bytes where the processor has products of them, else f32 (bf16 between the two is for those who
 * ask: every processor that has it has byte products too, which are faster). */
static enum linear_kind kind_of(enum model_precision precision) {
    bool bytes = cpu_level() >= CPU_AVX512 || cpu_has(CPU_AVX_VNNI);
    switch (precision) {
    case MODEL_PRECISION_AUTO: return bytes ? LINEAR_S8 : LINEAR_F32;
    case MODEL_PRECISION_F32: return LINEAR_F32;
    case MODEL_PRECISION_BF16: return LINEAR_BF16;
    case MODEL_PRECISION_INT8: return LINEAR_S8;
    }
    return LINEAR_F32;
}

static const char *kind_name(enum linear_kind kind) {
    return precision_names[kind == LINEAR_S8     ? MODEL_PRECISION_INT8
                           : kind == LINEAR_BF16 ? MODEL_PRECISION_BF16
                                                 : MODEL_PRECISION_F32];
}

static void fill_info(struct model *model) {
    struct model_info *info = &model->info;
    info->layers_n = model->config.layers_n;
    info->dense_dim = model->config.hidden;
    info->heads_n = model->config.heads_n;
    info->vocabulary_n = model->config.vocabulary_n;
    info->length_max = model->config.length_max;
    info->fingerprint = model->fingerprint;
    info->precision = kind_name(linear_kind(model->layers[0].qkv));
    info->is_reranker = model->config.is_reranker;
    info->pooling = model->config.pooling == CONFIG_POOLING_MEAN ? "mean" : "cls";
    info->normalized = model->config.normalize;
}

/* heads_lexical leaves special tokens out; FlagEmbedding keeps XLM-R's <mask>. */
static void find_mask(struct model *model) {
    model->mask_id = UINT32_MAX;
    for (uint32_t id = 0; model->config.is_xlm_roberta && id < model->config.vocabulary_n; id++) {
        const char *text = tokenizer_token_text(model->tokenizer, id);
        if (text && strcmp(text, "<mask>") == 0)
            model->mask_id = id;
    }
}

/* The folder decides the instructions, or else its name; see model_family.h. */
static bool choose_family(struct model *model, const char *task, struct error *err) {
    struct model_info *info = &model->info;
    struct model_instructions instructions;
    if (!model_family_instructions(info->name, task, &instructions, err))
        return false;
    const struct model_config *config = &model->config;
    bool own = !task && (config->query_prompt[0] || config->passage_prompt[0]);
    info->query_instruction = own ? config->query_prompt : instructions.query;
    info->passage_instruction = own ? config->passage_prompt : instructions.passage;
    info->analyzer = info->has_sparse_head ? "head" : config->analyzer;
    info->fusion = config->fusion;
    return true;
}

bool model_open(const struct model_options *options, struct model **out, struct error *err) {
    struct model *model = mem_zalloc(1, sizeof *model);
    if (!model_files_open(options->name, &model->files, err))
        goto failed;
    model->kind = kind_of(options->precision);
    model->info.name = model_files_name(model->files);
    model->info.where = model_files_where(model->files);
    if (!config_read(model->files, &model->config, err) || !open_tokenizer(model, err) ||
        !model_load(model, err) || !choose_family(model, options->task, err) ||
        !take_fingerprint(model, err))
        goto failed;
    fill_info(model);
    find_mask(model);
    *out = model;
    return true;
failed:
    model_close(model);
    return false;
}

static void free_layer(struct model_layer *layer) {
    linear_free(layer->qkv);
    linear_free(layer->mix);
    linear_free(layer->widen);
    linear_free(layer->narrow);
}

void model_close(struct model *model) {
    if (!model)
        return;
    for (size_t i = 0; i < model->layers_cap; i++)
        free_layer(&model->layers[i]);
    free(model->layers);
    linear_free(model->colbert_head);
    linear_free(model->pair_dense);
    pages_done(&model->pages);
    for (size_t i = 0; i < model->owned_n; i++)
        free(model->owned[i]);
    free(model->owned);
    weights_close(model->weights);
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
    for (size_t i = 0; i < PRECISIONS_N; i++)
        if (strcmp(name, precision_names[i]) == 0) {
            *out = (enum model_precision)i;
            return true;
        }
    return error_set(err, ERROR_INVALID,
                     "precision \"%s\": must be \"auto\", \"f32\", \"bf16\" or \"int8\"", name);
}
