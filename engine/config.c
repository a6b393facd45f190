#include "engine/config.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/math/linear.h"

/* Small files: a megabyte is a thousand times the usual. */
enum { CONFIG_BYTES_MAX = 1 << 20 };
/* Far above any encoder, and small enough that every product of two of them fits in 64 bits. */
enum {
    WIDTH_MAX = LINEAR_IN_MAX,
    VOCABULARY_MAX = 1 << 24,
    POSITIONS_MAX = 1 << 20,
    TYPES_MAX = 1 << 10
};

/* Long enough for "1_Pooling" and what else a person calls a folder. */
enum { CONFIG_PATH_MAX = 128 };

/* The file as a JSON value of the kind. file_out->path is for messages. */
static bool parse_kind(struct model_files *files, const char *file, enum json_kind kind,
                       struct model_file *file_out, struct json **out, struct error *err) {
    if (!model_files_map(files, file, file_out, err))
        return false;
    if (file_out->len > CONFIG_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: %zu bytes, at most %d", file_out->path,
                         file_out->len, CONFIG_BYTES_MAX);
    struct json *root = json_parse((const char *)file_out->data, file_out->len, err);
    if (root && json_kind_of(root) != kind) {
        error_set(err, ERROR_INVALID, "must be %s, found %s", json_kind_name(kind),
                  json_kind_name(json_kind_of(root)));
        json_release(root);
        root = NULL;
    }
    *out = root;
    return root || error_wrap(err, "%s: ", file_out->path);
}

/* The file as a JSON object; NULL on failure. */
static struct json *parse_file(struct model_files *files, const char *file,
                               struct model_file *file_out, struct error *err) {
    struct json *root = NULL;
    return parse_kind(files, file, JSON_KIND_OBJECT, file_out, &root, err) ? root : NULL;
}

static bool required_u32(const struct json *root, const char *key, uint32_t min, uint32_t max,
                         uint32_t *out, struct error *err) {
    if (json_kind_of(json_get(root, key)) == JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "\"%s\" is missing", key);
    return json_read_u32(root, key, min, max, out, err);
}

/* A text setting that may be absent and has one value we know. */
static bool expect_text(const struct json *root, const char *key, const char *known,
                        struct error *err) {
    const char *found = known;
    if (!json_read_string(root, key, &found, err))
        return false;
    if (strcmp(found, known) != 0)
        return error_set(err, ERROR_UNSUPPORTED, "\"%s\" is \"%s\"; supported: \"%s\"", key, found,
                         known);
    return true;
}

static bool ends_with(const char *text, const char *ending) {
    size_t len = strlen(text), ending_len = strlen(ending);
    return len >= ending_len && strcmp(text + len - ending_len, ending) == 0;
}

/* A cross-encoder names its class; an encoder's class matters to nobody. transformers gives a
 * classifier two labels unless the file says otherwise. */
static bool read_head(const struct json *root, struct model_config *config, struct error *err) {
    const struct json *class = json_at(json_get(root, "architectures"), 0);
    const struct json *labels = json_get(root, "id2label");
    uint32_t labels_n = 2;
    if (json_kind_of(class) != JSON_KIND_STRING ||
        !ends_with(json_string_of(class, NULL), "ForSequenceClassification"))
        return true;
    if (json_kind_of(labels) == JSON_KIND_OBJECT)
        labels_n = (uint32_t)json_count(labels);
    if (!json_read_u32(root, "num_labels", 0, UINT32_MAX, &labels_n, err))
        return false;
    config->is_reranker = true;
    return labels_n == 1 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "\"id2label\" has %u labels; supported: a cross-encoder with 1", labels_n);
}

static bool read_kind(const struct json *root, struct model_config *config, struct error *err) {
    const char *type = "";
    bool is_decoder = false;
    if (!json_read_string(root, "model_type", &type, err))
        return false;
    config->is_xlm_roberta = strcmp(type, "xlm-roberta") == 0;
    if (!config->is_xlm_roberta && strcmp(type, "bert") != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "\"model_type\" is \"%s\"; supported: \"bert\", \"xlm-roberta\"", type);
    if (!json_read_bool(root, "is_decoder", &is_decoder, err))
        return false;
    if (is_decoder)
        return error_set(err, ERROR_UNSUPPORTED, "\"is_decoder\" is true; encoders are supported");
    const struct json *quantized = json_get(root, "quantization_config");
    return expect_text(root, "hidden_act", "gelu", err) &&
           expect_text(root, "position_embedding_type", "absolute", err) &&
           expect_text(quantized, "quant_method", "compressed-tensors", err) &&
           expect_text(quantized, "format", "int-quantized", err) && read_head(root, config, err);
}

/* XLM-RoBERTa's first token stands at position pad + 1 (fairseq's convention). */
static bool read_positions(const struct json *root, struct model_config *config,
                           struct error *err) {
    uint32_t pad = config->is_xlm_roberta ? 1 : 0;
    if (!json_read_u32(root, "pad_token_id", 0, config->vocabulary_n - 1, &pad, err))
        return false;
    config->pad_id = pad;
    config->position_first = config->is_xlm_roberta ? pad + 1 : 0;
    if (config->positions_n <= config->position_first)
        return error_set(err, ERROR_INVALID,
                         "\"max_position_embeddings\" %u leaves no position behind that of "
                         "\"pad_token_id\" %u",
                         config->positions_n, pad);
    config->length_max = config->positions_n - config->position_first;
    return true;
}

static bool read_sizes(const struct json *root, struct model_config *config, struct error *err) {
    double epsilon = config->is_xlm_roberta ? 1e-5 : 1e-12;
    config->types_n = 2;
    if (!required_u32(root, "hidden_size", 1, WIDTH_MAX, &config->hidden, err) ||
        !required_u32(root, "num_hidden_layers", 1, UINT32_MAX, &config->layers_n, err) ||
        !required_u32(root, "num_attention_heads", 1, WIDTH_MAX, &config->heads_n, err) ||
        !required_u32(root, "intermediate_size", 1, WIDTH_MAX, &config->intermediate, err) ||
        !required_u32(root, "vocab_size", 1, VOCABULARY_MAX, &config->vocabulary_n, err) ||
        !required_u32(root, "max_position_embeddings", 1, POSITIONS_MAX, &config->positions_n,
                      err) ||
        !json_read_u32(root, "type_vocab_size", 1, TYPES_MAX, &config->types_n, err) ||
        !json_read_double(root, "layer_norm_eps", 0, 1, &epsilon, err))
        return false;
    if (config->hidden % config->heads_n != 0)
        return error_set(err, ERROR_INVALID,
                         "\"hidden_size\" %u is no multiple of \"num_attention_heads\" %u",
                         config->hidden, config->heads_n);
    config->norm_epsilon = (float)epsilon;
    return read_positions(root, config, err);
}

/* ---- sentence-transformers ---- */

/* One pooling_mode_* must be on: a folder with several concatenates them, which is not done here.
 * Young versions write "pooling_mode": "cls" instead. */
static bool read_pooling_mode(const struct json *root, struct model_config *config,
                              struct error *err) {
    static const char prefix[] = "pooling_mode_";
    static const struct {
        const char *key, *name;
        enum config_pooling pooling;
    } known[] = {{"pooling_mode_cls_token", "cls", CONFIG_POOLING_CLS},
                 {"pooling_mode_mean_tokens", "mean", CONFIG_POOLING_MEAN}};
    const char *found = NULL, *name = "";
    if (!json_read_string(root, "pooling_mode", &name, err))
        return false;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(name, known[i].name) == 0) {
            found = known[i].key;
            config->pooling = known[i].pooling;
        }
    for (void *at = json_first(root); at; at = json_next(root, at)) {
        const char *key = json_member_key(at);
        bool on = false;
        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        if (!json_read_bool(root, key, &on, err))
            return false;
        if (!on)
            continue;
        if (found)
            return error_set(err, ERROR_UNSUPPORTED,
                             "\"%s\" and \"%s\" are both on; supported: one of them", found, key);
        for (size_t i = 0; i < 2; i++)
            if (strcmp(key, known[i].key) == 0) {
                found = known[i].key;
                config->pooling = known[i].pooling;
            }
        if (!found)
            return error_set(err, ERROR_UNSUPPORTED, "\"%s\" is on; supported: \"%s\" or \"%s\"",
                             key, known[0].key, known[1].key);
    }
    return found ||
           error_set(err, ERROR_UNSUPPORTED, "no pooling_mode_* is on; supported: \"%s\" or \"%s\"",
                     known[0].key, known[1].key);
}

static bool read_pooling(struct model_files *files, const char *folder, struct model_config *config,
                         struct error *err) {
    char file_name[CONFIG_PATH_MAX + sizeof "/config.json"];
    struct model_file file;
    snprintf(file_name, sizeof file_name, "%s/config.json", folder);
    struct json *root = parse_file(files, file_name, &file, err);
    if (!root)
        return false;
    uint32_t dim = config->hidden;
    bool ok = json_read_u32(root, "word_embedding_dimension", config->hidden, config->hidden, &dim,
                            err) &&
              read_pooling_mode(root, config, err);
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

/* One entry of modules.json: what it does is the last part of its class's name. */
static bool read_module(struct model_files *files, const struct json *module,
                        struct model_config *config, struct error *err) {
    const char *type = "", *path = "";
    if (!json_read_string(module, "type", &type, err) ||
        !json_read_string(module, "path", &path, err))
        return false;
    if (ends_with(type, ".Transformer"))
        return path[0] == '\0' ||
               error_set(err, ERROR_UNSUPPORTED,
                         "the Transformer has the \"path\" \"%s\"; supported: the folder itself",
                         path);
    if (ends_with(type, ".Normalize")) {
        config->normalize = true;
        return true;
    }
    if (!ends_with(type, ".Pooling"))
        return error_set(err, ERROR_UNSUPPORTED,
                         "\"type\" is \"%s\"; supported: Transformer, Pooling and Normalize", type);
    if (strlen(path) >= CONFIG_PATH_MAX || strstr(path, ".."))
        return error_set(err, ERROR_INVALID, "\"path\" of the Pooling module is no folder's name");
    return read_pooling(files, path, config, err);
}

static bool read_modules(struct model_files *files, struct model_config *config,
                         struct error *err) {
    static const char file_name[] = "modules.json";
    config->normalize = true;
    if (!model_files_has(files, file_name))
        return !model_files_has(files, "1_Pooling/config.json") ||
               read_pooling(files, "1_Pooling", config, err);
    struct model_file file;
    struct json *root = NULL;
    if (!parse_kind(files, file_name, JSON_KIND_ARRAY, &file, &root, err))
        return false;
    config->normalize = false;
    bool ok = true;
    for (size_t i = 0; ok && i < json_count(root); i++)
        ok = read_module(files, json_at(root, i), config, err);
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

/* The model's own limit may be lower than its positions. */
static bool read_length(struct model_files *files, struct model_config *config, struct error *err) {
    static const char file_name[] = "sentence_bert_config.json";
    if (!model_files_has(files, file_name))
        return true;
    struct model_file file;
    struct json *root = parse_file(files, file_name, &file, err);
    if (!root)
        return false;
    uint32_t most = config->length_max;
    bool ok = json_read_u32(root, "max_seq_length", 1, POSITIONS_MAX, &config->length_max, err);
    if (config->length_max > most)
        config->length_max = most;
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

bool config_read(struct model_files *files, struct model_config *out, struct error *err) {
    struct model_config config = {0};
    struct model_file file;
    struct json *root = parse_file(files, "config.json", &file, err);
    if (!root)
        return false;
    bool ok = read_kind(root, &config, err) && read_sizes(root, &config, err);
    json_release(root);
    if (!ok)
        return error_wrap(err, "%s: ", file.path);
    if (!config.is_reranker &&
        (!read_modules(files, &config, err) || !read_length(files, &config, err)))
        return false;
    *out = config;
    return true;
}
