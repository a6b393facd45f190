/* settings.h - which index suits which model. */
#ifndef TERCET_INGEST_SETTINGS_H
#define TERCET_INGEST_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "index/index.h"

struct model_info;
struct row;

/* What a person asked for. NULL and 0: the model's own for a new index, and whatever it has for one
 * that is there. An instruction "" asks for none. */
struct ingest_choices {
    const char *analyzer;
    uint32_t dense_dim, multi_dim; /* without a model: what documents bring; 0: none */
    uint32_t length_max;
    const char *query_instruction, *passage_instruction;
    /* Passages of long texts (index.h), where they are given; tokens 0: texts are not cut. */
    bool chunk_given;
    uint32_t chunk_tokens, chunk_overlap;
    uint32_t pool_tokens;   /* token_pool.h; 1: each token's vector is kept */
    const char *dense_kind; /* "auto", "flat", "lists" */
};

/* For chunk_overlap: an eighth of a new index's chunk_tokens (50 of the 400 that were measured,
 * docs/passages.md), and whatever one that is there has. */
#define INGEST_OVERLAP_DEFAULT UINT32_MAX

/* Wherever a model_info is asked for, NULL stands for none: documents bring their representations,
 * and at most their words are counted. */

/* What an index of this model's vectors must be made with. ERROR_INVALID when the model cannot give
 * what is asked for, ERROR_LIMIT when a name is too long to be stored. Without a model the analyzer
 * may be words:en or the like (what is chosen for NULL), head (documents bring weights of numbered
 * tokens) or none. */
bool ingest_settings(const struct model_info *info, const struct ingest_choices *choices,
                     struct index_settings *out, struct error *err);

/* The dimensions and the analyzer that are not chosen yet, as an index without a model needs them
 * for this row and others like it. */
bool ingest_choose_by_row(const struct row *row, struct ingest_choices *choices, struct error *err);

/* There is an index, and it was made without a model. */
bool ingest_has_no_model(const char *folder);

/* Whether documents encoded with this model and these choices belong into an index of those
 * settings. */
bool ingest_settings_agree(const char *folder, const struct index_settings *there,
                           const struct model_info *info, const struct ingest_choices *choices,
                           struct error *err);

/* Opens the index for writing, or makes it. An existing one must agree. */
bool ingest_open_index(const char *folder, const struct model_info *info,
                       const struct ingest_choices *choices, struct index **out, struct error *err);

/* Writes a note (writer.h) into an index open for writing, and commits it. No text: removes it. */
bool ingest_note(struct index *index, const char *name, const char *text, size_t len,
                 struct error *err);

#endif
