#include "engine/hub_random.h"

#include <string.h>

#include "engine/base/file.h"
#include "engine/embedded.h"
#include "engine/hub_making.h"
#include "engine/hub_random_parts.h"
#include "engine/tokenizer/tokenizer.h"

/* Sources: the config.json of BAAI/bge-{small,base,large}-en-v1.5, bge-m3, bge-reranker-v2-m3 and
 * sentence-transformers/all-MiniLM-L6-v2. */
static const struct random_shape shapes[] = {
    {"small", false, false, RANDOM_HEAD_NONE, 384, 12, 12, 1536, 30522, 512, 2, 0},
    {"base", false, false, RANDOM_HEAD_NONE, 768, 12, 12, 3072, 30522, 512, 2, 0},
    {"large", false, false, RANDOM_HEAD_NONE, 1024, 24, 16, 4096, 30522, 512, 2, 0},
    {"m3", true, false, RANDOM_HEAD_M3, 1024, 24, 16, 4096, 250002, 8194, 1, 0},
    {"v2-m3", true, false, RANDOM_HEAD_RERANKER, 1024, 24, 16, 4096, 250002, 8194, 1, 0},
    {"minilm-l6", false, true, RANDOM_HEAD_NONE, 384, 6, 12, 1536, 30522, 512, 2, 256},
};

enum {
    LAYERS_MAX = 1000,        /* of RANDOM_TENSORS_MAX names, 16 a layer */
    VOCABULARY_MIN = 200,     /* specials, the mark and ASCII */
    VOCABULARY_MAX = 4000000, /* the tokenizer's own limit */
    TOKENIZER_BYTES_MAX = 1 << 28,
};

struct making {
    const struct hub_random_options *options;
    struct random_shape shape;
    struct hub_making folder;
    struct hub_random_result result;
};

/* ---- the small files ---- */

static bool put(struct making *making, const char *name, const struct buf *text,
                struct error *err) {
    making->result.bytes += text->len;
    return hub_making_put(&making->folder, name, text->data, text->len, err);
}

static const char *class_of(const struct random_shape *shape) {
    return shape->head == RANDOM_HEAD_RERANKER ? "XLMRobertaForSequenceClassification"
           : shape->is_xlm_roberta             ? "XLMRobertaModel"
                                               : "BertModel";
}

static bool put_config(struct making *making, struct error *err) {
    const struct random_shape *shape = &making->shape;
    struct buf text = {0};
    buf_format(&text,
               "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n"
               "  \"hidden_act\": \"gelu\",\n  \"hidden_size\": %u,\n  \"intermediate_size\": %u,\n"
               "  \"num_hidden_layers\": %u,\n  \"num_attention_heads\": %u,\n"
               "  \"vocab_size\": %u,\n  \"max_position_embeddings\": %u,\n"
               "  \"type_vocab_size\": %u,\n  \"layer_norm_eps\": %s,\n  \"pad_token_id\": %d,\n",
               class_of(shape), shape->is_xlm_roberta ? "xlm-roberta" : "bert", shape->hidden,
               shape->intermediate, shape->layers_n, shape->heads_n, shape->vocabulary_n,
               shape->positions_n, shape->types_n, shape->is_xlm_roberta ? "1e-05" : "1e-12",
               shape->is_xlm_roberta ? 1 : 0);
    if (shape->head == RANDOM_HEAD_RERANKER)
        buf_text(&text, "  \"id2label\": {\"0\": \"LABEL_0\"},\n");
    buf_text(&text, "  \"position_embedding_type\": \"absolute\"\n}\n");
    bool ok = put(making, "config.json", &text, err);
    buf_done(&text);
    return ok;
}

/* sentence-transformers' files, which a cross-encoder does not have. */
static bool put_modules(struct making *making, struct error *err) {
    const struct random_shape *shape = &making->shape;
    struct buf modules = {0}, pooling = {0}, length = {0};
    if (shape->head == RANDOM_HEAD_RERANKER)
        return true;
    buf_text(&modules, "[\n"
                       "  {\"idx\": 0, \"name\": \"0\", \"path\": \"\","
                       " \"type\": \"sentence_transformers.models.Transformer\"},\n"
                       "  {\"idx\": 1, \"name\": \"1\", \"path\": \"1_Pooling\","
                       " \"type\": \"sentence_transformers.models.Pooling\"},\n"
                       "  {\"idx\": 2, \"name\": \"2\", \"path\": \"2_Normalize\","
                       " \"type\": \"sentence_transformers.models.Normalize\"}\n]\n");
    buf_format(&pooling,
               "{\n  \"word_embedding_dimension\": %u,\n  \"pooling_mode_cls_token\": %s,\n"
               "  \"pooling_mode_mean_tokens\": %s\n}\n",
               shape->hidden, shape->is_mean ? "false" : "true", shape->is_mean ? "true" : "false");
    buf_format(&length, "{\"max_seq_length\": %u, \"do_lower_case\": false}\n", shape->length_max);
    bool ok = put(making, "modules.json", &modules, err) &&
              put(making, "1_Pooling/config.json", &pooling, err) &&
              (!shape->length_max || put(making, "sentence_bert_config.json", &length, err));
    buf_done(&modules);
    buf_done(&pooling);
    buf_done(&length);
    return ok;
}

/* ---- the tokenizer ---- */

static bool read_tokenizer(struct making *making, struct buf *out, struct error *err) {
    const char *path = making->options->tokenizer;
    if (path) {
        if (file_is_folder(path))
            path = arena_format(&making->folder.arena, "%s/tokenizer.json", path);
        return file_read(path, TOKENIZER_BYTES_MAX, out, err);
    }
    if (making->shape.is_xlm_roberta) {
        random_tokenizer_write(making->shape.vocabulary_n, out);
        return true;
    }
    const struct embedded_file *embedded = embedded_find("tokenizer.json");
    buf_append(out, embedded->begin, (size_t)(embedded->end - embedded->begin));
    return true;
}

/* Read back before it is written: whoever loads the model finds no surprise. */
static bool put_tokenizer(struct making *making, struct error *err) {
    struct buf json = {0};
    struct tokenizer *tokenizer = NULL;
    const char *where = making->options->tokenizer ? making->options->tokenizer : "tokenizer.json";
    bool ok = read_tokenizer(making, &json, err) &&
              tokenizer_open(json.data ? json.data : "", json.len, where, &tokenizer, err);
    if (ok && tokenizer_vocabulary_n(tokenizer) > making->shape.vocabulary_n)
        ok = error_set(err, ERROR_INVALID, "%s has %zu tokens, more than the vocabulary of %u",
                       where, tokenizer_vocabulary_n(tokenizer), making->shape.vocabulary_n);
    ok = ok && put(making, "tokenizer.json", &json, err);
    tokenizer_close(tokenizer);
    buf_done(&json);
    return ok;
}

/* ---- the folder ---- */

static bool put_weights(struct making *making, struct error *err) {
    struct random_tensors tensors;
    struct arena *arena = &making->folder.arena;
    const char *path;
    random_tensors_of(&making->shape, arena, &tensors);
    if (!hub_making_path(&making->folder, "model.safetensors", &path, err) ||
        !random_weights_write(path, &tensors, making->options, &making->result, err))
        return false;
    if (making->shape.head != RANDOM_HEAD_M3)
        return true;
    random_tensors_of_heads(&making->shape, arena, &tensors);
    return hub_making_path(&making->folder, "heads.safetensors", &path, err) &&
           random_weights_write(path, &tensors, making->options, &making->result, err);
}

static bool choose_shape(struct making *making, struct error *err) {
    const struct hub_random_options *options = making->options;
    size_t n = sizeof shapes / sizeof *shapes, i = 0;
    while (i < n && strcmp(shapes[i].name, options->shape) != 0)
        i++;
    if (i == n)
        return error_set(err, ERROR_INVALID, "shape \"%s\": must be one of " HUB_RANDOM_SHAPES,
                         options->shape);
    making->shape = shapes[i];
    if (options->layers_n > LAYERS_MAX)
        return error_set(err, ERROR_LIMIT, "%u layers: at most %d", options->layers_n, LAYERS_MAX);
    if (options->layers_n)
        making->shape.layers_n = options->layers_n;
    if (options->vocabulary_n)
        making->shape.vocabulary_n = options->vocabulary_n;
    return (making->shape.vocabulary_n >= VOCABULARY_MIN &&
            making->shape.vocabulary_n <= VOCABULARY_MAX) ||
           error_set(err, ERROR_LIMIT, "a vocabulary of %u: must be from %d to %d",
                     making->shape.vocabulary_n, VOCABULARY_MIN, VOCABULARY_MAX);
}

bool hub_random_write(const struct hub_random_options *options, const char *folder,
                      struct hub_random_result *out, struct error *err) {
    struct making making = {.options = options};
    if (!choose_shape(&making, err) || !hub_making_begin(&making.folder, folder, err))
        return false;
    bool ok = put_config(&making, err) && put_modules(&making, err) &&
              put_tokenizer(&making, err) && put_weights(&making, err) &&
              hub_making_publish(&making.folder, err);
    if (ok)
        *out = making.result;
    else
        hub_making_give_up(&making.folder);
    return ok;
}
