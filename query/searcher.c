/* A searcher: an index, and the encoder session that reads its queries. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "query/run.h"

unsigned search_modes_of(const struct index_settings *settings) {
    unsigned modes = 0;
    if (settings->dense_dim)
        modes |= 1u << FUSE_DENSE;
    if (settings->lexical != INDEX_LEXICAL_NONE)
        modes |= 1u << FUSE_SPARSE;
    if (settings->multi_dim)
        modes |= 1u << FUSE_MULTI;
    return modes;
}

unsigned search_encoder_modes(unsigned modes) {
    return (modes & 1u << FUSE_DENSE ? ENCODE_DENSE : 0u) |
           (modes & 1u << FUSE_SPARSE ? ENCODE_LEXICAL : 0u) |
           (modes & 1u << FUSE_MULTI ? ENCODE_MULTI : 0u);
}

static void explain_missing_model(const struct index *index, const struct model *model,
                                  struct error *out) {
    const struct index_settings *settings = index_settings_of(index);
    if (!index_has_model(settings)) {
        error_set(out, ERROR_INVALID,
                  "%s has no model: search it with \"dense\", \"sparse\" or \"multi\", or with "
                  "\"like\"",
                  index_folder(index));
        return;
    }
    if (!model) {
        error_set(out, ERROR_INVALID,
                  "%s was indexed with model %s (fingerprint %.8s), which is not here",
                  index_folder(index), settings->model, settings->fingerprint);
        return;
    }
    const struct model_info *info = model_info(model);
    error_set(out, ERROR_INVALID,
              "%s was indexed with model %s (fingerprint %.8s), this is %s (%.8s): "
              "search with the same model, or index again",
              index_folder(index), settings->model, settings->fingerprint, info->name,
              info->fingerprint);
}

bool searcher_open(struct index *index, const struct model *model, struct searcher **out,
                   struct error *err) {
    const struct index_settings *settings = index_settings_of(index);
    struct searcher *searcher = mem_zalloc(1, sizeof *searcher);
    searcher->index = index;
    if (!model || strcmp(settings->fingerprint, model_info(model)->fingerprint) != 0) {
        explain_missing_model(index, model, &searcher->no_model);
        *out = searcher;
        return true;
    }
    const struct encoder_options options = {
        .modes = search_encoder_modes(search_modes_of(settings)),
        .instruction = settings->instruction,
        .unit_length = true,
        .length_max = settings->length_max,
        .analyzer = settings->analyzer,
    };
    searcher->model = model;
    if (!encoder_open(model, NULL, &options, &searcher->encoder, err)) {
        searcher_close(searcher);
        return false;
    }
    *out = searcher;
    return true;
}

void searcher_close(struct searcher *searcher) {
    if (!searcher)
        return;
    analyzer_close(searcher->analyzer);
    encoder_close(searcher->encoder);
    free(searcher);
}

bool searcher_analyzer(struct searcher *searcher, struct analyzer **out, struct error *err) {
    const struct index_settings *settings = index_settings_of(searcher->index);
    bool words = vectors_terms_are_words(settings);
    const struct tokenizer *tokenizer = searcher->model ? model_tokenizer(searcher->model) : NULL;
    if (!searcher->analyzer && (words || tokenizer) &&
        !analyzer_open(words ? settings->analyzer : "model", tokenizer, &searcher->analyzer, err))
        return false;
    *out = searcher->analyzer;
    return true;
}

bool searcher_encode(struct searcher *searcher, const struct search_request *const *requests,
                     size_t n, struct arena *arena, struct encoding *out, struct error *err) {
    struct encoder_text *texts = ARENA_NEW(arena, struct encoder_text, n);
    if (!searcher->encoder) {
        *err = searcher->no_model;
        return false;
    }
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct encoder_text){requests[i]->query, requests[i]->query_len};
    return encoder_encode(searcher->encoder, texts, n, arena, out, err);
}

bool search_encodes_all(const struct search_request *request) {
    return request->query && !request->modes && vectors_modes(&request->vectors) == 0;
}
