#include "engine/model_tokenizer.h"

#include <string.h>

#include "engine/tokenizer/tokenizer.h"

static const char json_name[] = "tokenizer.json", vocab_name[] = "vocab.txt",
                  config_name[] = "tokenizer_config.json";

const char *model_tokenizer_file(const struct model_files *files) {
    bool vocab = !model_files_has(files, json_name) && model_files_has(files, vocab_name);
    return vocab ? vocab_name : json_name;
}

static bool open_vocab(struct model_files *files, struct tokenizer **out, struct error *err) {
    struct model_file vocab, config = {0};
    if (!model_files_map(files, vocab_name, &vocab, err) ||
        (model_files_has(files, config_name) && !model_files_map(files, config_name, &config, err)))
        return false;
    const struct tokenizer_vocab_files both = {
        .vocab = (const char *)vocab.data,
        .vocab_len = vocab.len,
        .vocab_where = vocab.path,
        .config = (const char *)config.data,
        .config_len = config.len,
        .config_where = config.path,
    };
    return tokenizer_open_vocab(&both, out, err);
}

bool model_tokenizer_open(struct model_files *files, struct tokenizer **out, struct error *err) {
    struct model_file file;
    if (model_tokenizer_file(files) == vocab_name)
        return open_vocab(files, out, err);
    return model_files_map(files, json_name, &file, err) &&
           tokenizer_open((const char *)file.data, file.len, file.path, out, err);
}
