#include "engine/config.h"

#include <string.h>

#include "engine/base/json.h"

/* Small files: a megabyte is a thousand times the usual. */
enum { CONFIG_BYTES_MAX = 1 << 20 };
/* Far above any encoder, and small enough that every product of two of them fits in 64 bits. */
enum {
    WIDTH_MAX = 1 << 17,
    VOCABULARY_MAX = 1 << 24,
    POSITIONS_MAX = 1 << 20,
    TYPES_MAX = 1 << 10
};

/* The file as a JSON object; NULL on failure. file_out->path is for messages. */
static struct json *parse_file(struct model_files *files, const char *file,
                               struct model_file *file_out, struct error *err) {
    if (!model_files_map(files, file, file_out, err))
        return NULL;
    if (file_out->len > CONFIG_BYTES_MAX) {
        error_set(err, ERROR_LIMIT, "%s: %zu bytes, at most %d", file_out->path, file_out->len,
                  CONFIG_BYTES_MAX);
        return NULL;
    }
    struct json *root = json_parse((const char *)file_out->data, file_out->len, err);
    if (root && json_kind_of(root) != JSON_KIND_OBJECT) {
        error_set(err, ERROR_INVALID, "must be an object, found %s",
                  json_kind_name(json_kind_of(root)));
        json_release(root);
        root = NULL;
    }
    if (!root)
        error_wrap(err, "%s: ", file_out->path);
    return root;
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

static bool check_kind(const struct json *root, struct error *err) {
    const char *type = "";
    bool is_decoder = false;
    if (!json_read_string(root, "model_type", &type, err))
        return false;
    if (strcmp(type, "bert") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "\"model_type\" is \"%s\"; supported: \"bert\"",
                         type);
    if (!json_read_bool(root, "is_decoder", &is_decoder, err))
        return false;
    if (is_decoder)
        return error_set(err, ERROR_UNSUPPORTED, "\"is_decoder\" is true; encoders are supported");
    const struct json *quantized = json_get(root, "quantization_config");
    return expect_text(root, "hidden_act", "gelu", err) &&
           expect_text(root, "position_embedding_type", "absolute", err) &&
           expect_text(quantized, "quant_method", "compressed-tensors", err) &&
           expect_text(quantized, "format", "int-quantized", err);
}

static bool read_sizes(const struct json *root, struct model_config *config, struct error *err) {
    uint32_t pad = 0;
    double epsilon = 1e-12;
    config->types_n = 2;
    if (!required_u32(root, "hidden_size", 1, WIDTH_MAX, &config->hidden, err) ||
        !required_u32(root, "num_hidden_layers", 1, UINT32_MAX, &config->layers_n, err) ||
        !required_u32(root, "num_attention_heads", 1, WIDTH_MAX, &config->heads_n, err) ||
        !required_u32(root, "intermediate_size", 1, WIDTH_MAX, &config->intermediate, err) ||
        !required_u32(root, "vocab_size", 1, VOCABULARY_MAX, &config->vocabulary_n, err) ||
        !required_u32(root, "max_position_embeddings", 1, POSITIONS_MAX, &config->positions_n,
                      err) ||
        !json_read_u32(root, "type_vocab_size", 1, TYPES_MAX, &config->types_n, err) ||
        !json_read_u32(root, "pad_token_id", 0, config->vocabulary_n - 1, &pad, err) ||
        !json_read_double(root, "layer_norm_eps", 0, 1, &epsilon, err))
        return false;
    if (config->hidden % config->heads_n != 0)
        return error_set(err, ERROR_INVALID,
                         "\"hidden_size\" %u is no multiple of \"num_attention_heads\" %u",
                         config->hidden, config->heads_n);
    config->norm_epsilon = (float)epsilon;
    config->position_first = 0;
    config->length_max = config->positions_n;
    return true;
}

/* Every pooling_mode_* but CLS must be off. A folder without the file is an encoder as
 * FlagEmbedding publishes it, which takes CLS. */
static bool check_pooling(struct model_files *files, const struct model_config *config,
                          struct error *err) {
    static const char file_name[] = "1_Pooling/config.json", prefix[] = "pooling_mode_";
    if (!model_files_has(files, file_name))
        return true;
    struct model_file file;
    struct json *root = parse_file(files, file_name, &file, err);
    if (!root)
        return false;
    uint32_t dim = config->hidden;
    bool ok =
        json_read_u32(root, "word_embedding_dimension", config->hidden, config->hidden, &dim, err);
    bool cls = false;
    for (void *at = json_first(root); ok && at; at = json_next(root, at)) {
        const char *key = json_member_key(at);
        bool on = false;
        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        ok = json_read_bool(root, key, &on, err);
        if (ok && on && strcmp(key, "pooling_mode_cls_token") == 0)
            cls = true;
        else if (ok && on)
            ok = error_set(err, ERROR_UNSUPPORTED,
                           "\"%s\" is on; supported: \"pooling_mode_cls_token\" alone", key);
    }
    if (ok && !cls)
        ok = error_set(err, ERROR_UNSUPPORTED,
                       "no pooling_mode_* is on; supported: \"pooling_mode_cls_token\"");
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
    bool ok = json_read_u32(root, "max_seq_length", 1, POSITIONS_MAX, &config->length_max, err);
    if (config->length_max > config->positions_n)
        config->length_max = config->positions_n;
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

bool config_read(struct model_files *files, struct model_config *out, struct error *err) {
    struct model_config config = {0};
    struct model_file file;
    struct json *root = parse_file(files, "config.json", &file, err);
    if (!root)
        return false;
    bool ok = check_kind(root, err) && read_sizes(root, &config, err);
    json_release(root);
    if (!ok)
        return error_wrap(err, "%s: ", file.path);
    if (!check_pooling(files, &config, err) || !read_length(files, &config, err))
        return false;
    *out = config;
    return true;
}
