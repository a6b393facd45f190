/* tercet model info - what a model is, from its small files; with --load also what only its weights
 * tell. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/config.h"
#include "engine/model.h"
#include "engine/model_family.h"
#include "tools/model_commands.h"

struct card {
    const char *name, *where;
    struct model_config config;
    struct model_instructions instructions;
    const char *analyzer;
    bool has_sparse_head, has_colbert_head;
    const struct model_info *loaded; /* NULL: weights were not read */
};

/* BertModel's without the pooler: embeddings and layers. */
static uint64_t encoder_parameters(const struct model_config *config) {
    uint64_t hidden = config->hidden, wide = config->intermediate;
    uint64_t rows = (uint64_t)config->vocabulary_n + config->positions_n + config->types_n;
    uint64_t attention = 4 * (hidden * hidden + hidden);
    uint64_t widening = 2 * hidden * wide + wide + hidden;
    uint64_t norms = 4 * hidden;
    return rows * hidden + 2 * hidden + config->layers_n * (attention + widening + norms);
}

static bool has_head(const struct model_files *files, const char *safetensors, const char *torch) {
    return model_files_has(files, "heads.safetensors") || model_files_has(files, safetensors) ||
           model_files_has(files, torch);
}

static const char *pooling_name(const struct card *card) {
    return card->config.is_reranker                      ? "none"
           : card->config.pooling == CONFIG_POOLING_MEAN ? "mean"
                                                         : "cls";
}

static void print_json(const struct card *card) {
    const struct model_config *config = &card->config;
    struct json *row = json_new_object();
    json_add_string(row, "model", card->name);
    json_add_string(row, "where", card->where);
    json_add_string(row, "architecture", config->is_xlm_roberta ? "xlm-roberta" : "bert");
    json_add_string(row, "kind", config->is_reranker ? "reranker" : "encoder");
    json_add_number(row, "layers", config->layers_n);
    json_add_number(row, "hidden", config->hidden);
    json_add_number(row, "heads", config->heads_n);
    json_add_number(row, "intermediate", config->intermediate);
    json_add_number(row, "vocabulary", config->vocabulary_n);
    json_add_number(row, "encoder_parameters", (double)encoder_parameters(config));
    json_add_number(row, "max_length", config->length_max);
    json_add_string(row, "pooling", pooling_name(card));
    json_add_bool(row, "normalized", config->normalize);
    json_add_bool(row, "sparse_head", card->has_sparse_head);
    json_add_bool(row, "colbert_head", card->has_colbert_head);
    json_add_string(row, "query_instruction", card->instructions.query);
    json_add_string(row, "passage_instruction", card->instructions.passage);
    json_add_string(row, "analyzer", card->analyzer);
    json_add_string(row, "fusion", card->config.fusion);
    if (card->loaded) {
        json_add_string(row, "fingerprint", card->loaded->fingerprint);
        json_add_string(row, "precision", card->loaded->precision);
        json_add_number(row, "multi_dim", card->loaded->multi_dim);
    }
    model_print_json(row);
}

static void print_text(const struct card *card) {
    const struct model_config *config = &card->config;
    printf("model        %s in %s\n", card->name, card->where);
    printf("kind         %s%s of %.1f million parameters\n",
           config->is_xlm_roberta ? "XLM-RoBERTa" : "BERT",
           config->is_reranker ? " cross-encoder" : "", (double)encoder_parameters(config) / 1e6);
    printf("layers       %u of %u dimensions, %u heads, %u inside\n", config->layers_n,
           config->hidden, config->heads_n, config->intermediate);
    printf("reads        %u tokens at most, of a vocabulary of %u\n", config->length_max,
           config->vocabulary_n);
    if (!config->is_reranker)
        printf("dense        %s pooling%s\nsparse       %s\nmulti        %s\n", pooling_name(card),
               config->normalize ? ", length 1" : "",
               card->has_sparse_head ? "learned" : card->analyzer,
               card->has_colbert_head ? "learned" : "the token states themselves");
    if (card->config.fusion[0])
        printf("fusion       %s\n", card->config.fusion);
    if (card->instructions.query[0])
        printf("query        \"%s...\"\n", card->instructions.query);
    if (card->instructions.passage[0])
        printf("documents    \"%s...\"\n", card->instructions.passage);
    if (card->loaded)
        printf("fingerprint  %s\nprecision    %s\n", card->loaded->fingerprint,
               card->loaded->precision);
}

static bool read_card(struct model_files *files, struct card *card, struct error *err) {
    card->name = model_files_name(files);
    card->where = model_files_where(files);
    if (!config_read(files, &card->config, err) ||
        !model_family_instructions(card->name, NULL, &card->instructions, err))
        return false;
    const struct model_config *config = &card->config;
    if (config->query_prompt[0] || config->passage_prompt[0])
        card->instructions =
            (struct model_instructions){config->query_prompt, config->passage_prompt};
    bool is_encoder = !card->config.is_reranker;
    card->has_sparse_head =
        is_encoder && has_head(files, "sparse_linear.safetensors", "sparse_linear.pt");
    card->has_colbert_head =
        is_encoder && has_head(files, "colbert_linear.safetensors", "colbert_linear.pt");
    card->analyzer = card->has_sparse_head ? "head" : card->config.analyzer;
    return true;
}

static int run(int argc, char **argv) {
    bool json = false, load = false;
    const struct option table[] = {
        {"load", OPTION_FLAG, &load, NULL, "read the weights too, for the fingerprint", 0, 0, 0},
        {"json", OPTION_FLAG, &json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    struct card card = {0};
    struct model_files *files = NULL;
    struct model *model = NULL;
    struct error err;
    size_t words_n;
    int status = options_parse(&command_model_info, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n > 1)
        return options_wrong(&command_model_info, "one model at a time, found \"%s\"", argv[1]);
    const struct model_options options = {.name = words_n ? argv[0] : NULL};
    bool ok = model_files_open(options.name, &files, &err) && read_card(files, &card, &err) &&
              (!load || model_open(&options, &model, &err));
    if (ok && model)
        card.loaded = model_info(model);
    if (ok)
        (json ? print_json : print_text)(&card);
    model_close(model);
    model_files_close(files);
    return ok ? EXIT_DONE : command_failed(&err);
}

const struct command command_model_info = {"model info", "[M]", "what a model is", run};
