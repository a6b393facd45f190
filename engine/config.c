#include "engine/config.h"

#include <string.h>

#include "engine/config_parts.h"
#include "engine/math/linear.h"

/* Far above any encoder, and small enough that every product of two of them fits in 64 bits. */
enum { WIDTH_MAX = LINEAR_IN_MAX, VOCABULARY_MAX = 1 << 24, TYPES_MAX = 1 << 10 };

/* Small files: a megabyte is a thousand times the usual. */
enum { CONFIG_BYTES_MAX = 1 << 20 };

bool config_parse(struct model_files *files, const char *file, enum json_kind kind,
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

bool config_ends_with(const char *text, const char *ending) {
    size_t len = strlen(text), ending_len = strlen(ending);
    return len >= ending_len && strcmp(text + len - ending_len, ending) == 0;
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

/* A cross-encoder names its class; an encoder's class matters to nobody. transformers gives a
 * classifier two labels unless the file says otherwise. */
static bool read_head(const struct json *root, struct model_config *config, struct error *err) {
    const struct json *class = json_at(json_get(root, "architectures"), 0);
    const struct json *labels = json_get(root, "id2label");
    uint32_t labels_n = 2;
    if (json_kind_of(class) != JSON_KIND_STRING ||
        !config_ends_with(json_string_of(class, NULL), "ForSequenceClassification"))
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
        !required_u32(root, "max_position_embeddings", 1, CONFIG_POSITIONS_MAX,
                      &config->positions_n, err) ||
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

bool config_read(struct model_files *files, struct model_config *out, struct error *err) {
    struct model_config config = {0};
    struct model_file file;
    struct json *root = NULL;
    if (!config_parse(files, "config.json", JSON_KIND_OBJECT, &file, &root, err))
        return false;
    bool ok = read_kind(root, &config, err) && read_sizes(root, &config, err);
    json_release(root);
    if (!ok)
        return error_wrap(err, "%s: ", file.path);
    if ((!config.is_reranker && !config_read_sentence(files, &config, err)) ||
        !config_read_own(files, &config, err))
        return false;
    *out = config;
    return true;
}
