#include <stdio.h>
#include <string.h>

#include "engine/config_parts.h"

/* Long enough for "1_Pooling" and what else a person calls a folder. */
enum { CONFIG_PATH_MAX = 128 };

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
    struct json *root = NULL;
    if (!config_parse(files, file_name, JSON_KIND_OBJECT, &file, &root, err))
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
    if (config_ends_with(type, ".Transformer"))
        return path[0] == '\0' ||
               error_set(err, ERROR_UNSUPPORTED,
                         "the Transformer has the \"path\" \"%s\"; supported: the folder itself",
                         path);
    if (config_ends_with(type, ".Normalize")) {
        config->normalize = true;
        return true;
    }
    if (!config_ends_with(type, ".Pooling"))
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
    if (!config_parse(files, file_name, JSON_KIND_ARRAY, &file, &root, err))
        return false;
    config->normalize = false;
    bool ok = true;
    for (size_t i = 0; ok && i < json_count(root); i++)
        ok = read_module(files, json_at(root, i), config, err);
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

/* The tokenizer's own limit: sentence-transformers' where the folder names no other. transformers
 * writes 1e30 for none. */
static bool read_tokenizer_length(struct model_files *files, struct model_config *config,
                                  struct error *err) {
    static const char file_name[] = "tokenizer_config.json";
    struct model_file file;
    struct json *root = NULL;
    double limit = 0;
    if (!model_files_has(files, file_name))
        return true;
    if (!config_parse(files, file_name, JSON_KIND_OBJECT, &file, &root, err))
        return false;
    bool ok = json_read_double(root, "model_max_length", 1, 1e300, &limit, err);
    if (ok && limit >= 1 && limit < config->length_max)
        config->length_max = (uint32_t)limit;
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

/* The model's own limit may be lower than its positions. */
static bool read_length(struct model_files *files, struct model_config *config, struct error *err) {
    static const char file_name[] = "sentence_bert_config.json";
    struct model_file file;
    struct json *root = NULL;
    uint32_t most = config->length_max, length = 0;
    if (!model_files_has(files, file_name))
        return !model_files_has(files, "modules.json") || read_tokenizer_length(files, config, err);
    if (!config_parse(files, file_name, JSON_KIND_OBJECT, &file, &root, err))
        return false;
    bool ok = json_read_u32(root, "max_seq_length", 1, CONFIG_POSITIONS_MAX, &length, err) &&
              json_read_bool(root, "do_lower_case", &config->lower_case, err);
    json_release(root);
    if (!ok)
        return error_wrap(err, "%s: ", file.path);
    if (length == 0)
        return read_tokenizer_length(files, config, err);
    config->length_max = length < most ? length : most;
    return true;
}

/* A prompt by one of its names, the first that is there and not empty. */
static bool read_prompt(const struct json *prompts, const char *const *names, size_t n,
                        char out[CONFIG_PROMPT_MAX], struct error *err) {
    const char *text = "";
    for (size_t i = 0; i < n && !*text; i++)
        if (!json_read_string(prompts, names[i], &text, err))
            return error_wrap(err, "\"prompts\": ");
    if (strlen(text) >= CONFIG_PROMPT_MAX)
        return error_set(err, ERROR_LIMIT, "\"prompts\": \"%.40s...\" is longer than %d bytes",
                         text, CONFIG_PROMPT_MAX - 1);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool read_prompts(struct model_files *files, struct model_config *config,
                         struct error *err) {
    static const char file_name[] = "config_sentence_transformers.json";
    static const char *const query[] = {"query"}, *const passage[] = {"document", "passage"};
    struct model_file file;
    struct json *root = NULL;
    if (!model_files_has(files, file_name))
        return true;
    if (!config_parse(files, file_name, JSON_KIND_OBJECT, &file, &root, err))
        return false;
    const struct json *prompts = json_get(root, "prompts");
    bool ok = read_prompt(prompts, query, 1, config->query_prompt, err) &&
              read_prompt(prompts, passage, 2, config->passage_prompt, err);
    json_release(root);
    return ok || error_wrap(err, "%s: ", file.path);
}

bool config_read_sentence(struct model_files *files, struct model_config *config,
                          struct error *err) {
    return read_modules(files, config, err) && read_length(files, config, err) &&
           read_prompts(files, config, err);
}
