/* model_tokenizer.h - the tokenizer of a model folder, which needs nothing else of it.
 *
 * tokenizer.json, or in older BERT folders vocab.txt with tokenizer_config.json. */
#ifndef TERCET_MODEL_TOKENIZER_H
#define TERCET_MODEL_TOKENIZER_H

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/hub.h"

struct tokenizer;

/* ERROR_NOT_FOUND names tokenizer.json when neither is there. The tokenizer does not borrow from
 * the files. */
bool model_tokenizer_open(struct model_files *files, struct tokenizer **out, struct error *err);

/* The file that the tokenizer comes from: "tokenizer.json" or "vocab.txt". */
const char *model_tokenizer_file(const struct model_files *files);

#endif
