/* config.h - what a model folder's small JSON files say about its architecture.
 *
 * config.json (transformers): BERT and XLM-RoBERTa, bare or with the head of a cross-encoder.
 * modules.json, the pooling module's config.json, sentence_bert_config.json and
 * config_sentence_transformers.json (sentence-transformers): CLS or mean pooling, normalised or
 * not, the length limit (tokenizer_config.json's where there is no other), prompts. tercet.json
 * (config_own.c): what these have no place for. A folder
 * without modules.json is an encoder as FlagEmbedding publishes it, which takes CLS and normalises.
 * Anything else is refused by name: a setting that is passed over gives wrong vectors. */
#ifndef TERCET_CONFIG_H
#define TERCET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/hub.h"

/* An index has room for as much. */
enum { CONFIG_PROMPT_MAX = 512, CONFIG_WORD_MAX = 32 };

/* Ours; the library that made a folder does not read it. {"analyzer": "words:en",
 * "fusion": "zscore"} */
#define CONFIG_OWN_FILE "tercet.json"

enum config_pooling { CONFIG_POOLING_CLS, CONFIG_POOLING_MEAN };

struct model_config {
    bool is_xlm_roberta; /* positions count from pad_id + 1; a <pad> in the text does not count */
    bool is_reranker;    /* ...ForSequenceClassification with one label: a cross-encoder */
    uint32_t hidden, layers_n, heads_n, intermediate;
    uint32_t vocabulary_n, positions_n, types_n;
    uint32_t pad_id;
    uint32_t position_first; /* the position of a sequence's first token: 0 for BERT */
    uint32_t length_max;     /* tokens, specials included */
    float norm_epsilon;
    enum config_pooling pooling;
    bool normalize;  /* the dense vector */
    bool lower_case; /* the tokenizer must make no difference between cases */
    /* What the folder itself says should stand in front; "": it says nothing. */
    char query_prompt[CONFIG_PROMPT_MAX], passage_prompt[CONFIG_PROMPT_MAX];
    /* Where the sparse head is not asked: the folder's word, or its family's (lexical.h). */
    char analyzer[CONFIG_WORD_MAX];
    /* How a search that is not told should fuse (query/fuse.h); "": nothing is said. */
    char fusion[CONFIG_WORD_MAX];
};

bool config_read(struct model_files *files, struct model_config *out, struct error *err);

#endif
