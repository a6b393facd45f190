/* model_family.h - what a model's folder does not say about itself, but its name does: the
 * instructions it was trained with.
 *
 * Sources: FlagEmbedding's model list (bge v1 and v1.5, m3), table 10 of the LLM-Embedder paper
 * (arXiv 2310.07554), the model cards of multilingual-e5 and e5 v2. */
#ifndef TERCET_MODEL_FAMILY_H
#define TERCET_MODEL_FAMILY_H

#include <stdbool.h>

#include "engine/base/error.h"

struct model_info;

/* What stands in front of a query and of a passage for the dense vector; "" for nothing. */
struct model_instructions {
    const char *query, *passage;
};

/* The instructions of the family that `name` (a folder or a hub id) belongs to. task NULL: the
 * family's first. A task that the family does not know is ERROR_INVALID and names those it does. */
bool model_family_instructions(const char *name, const char *task, struct model_instructions *out,
                               struct error *err);

/* "words:en" for families of English models, else "model". */
const char *model_family_analyzer(const char *name);

#endif
