#include "ingest/settings.h"

#include <stdlib.h>
#include <string.h>

#include "engine/lexical.h"
#include "engine/model.h"
#include "index/writer.h"
#include "ingest/settings_inside.h"

static bool copy_name(char *out, size_t out_size, const char *name, const char *what,
                      struct error *err) {
    if (strlen(name) >= out_size)
        return error_set(err, ERROR_LIMIT, "%s \"%.80s...\" is longer than %zu bytes", what, name,
                         out_size - 1);
    memcpy(out, name, strlen(name) + 1);
    return true;
}

/* A model in a folder is named by its whole path, so that a search from elsewhere finds it. */
static bool copy_model_name(char *out, size_t out_size, const struct model_info *info,
                            struct error *err) {
    char *whole = realpath(info->name, NULL);
    bool ok = copy_name(out, out_size, whole ? whole : info->name, "the model's name", err);
    free(whole);
    return ok;
}

uint32_t settings_overlap(const struct ingest_choices *choices) {
    enum { PART = 8 };
    return choices->chunk_overlap == INGEST_OVERLAP_DEFAULT ? choices->chunk_tokens / PART
                                                            : choices->chunk_overlap;
}

static bool check_chunks(const struct model_info *info, const struct ingest_choices *choices,
                         struct error *err) {
    uint32_t length_max = choices->length_max ? choices->length_max : info->length_max;
    uint32_t tokens = choices->chunk_tokens, overlap = settings_overlap(choices);
    if (tokens > length_max)
        return error_set(err, ERROR_INVALID, "passages of %u tokens: %s reads %u at a time", tokens,
                         info->name, length_max);
    if (overlap > tokens / 2)
        return error_set(err, ERROR_INVALID,
                         "passages of %u tokens may share half of them, %u at most, not %u", tokens,
                         tokens / 2, overlap);
    return true;
}

/* An index that no encoder can fill must not come to be. */
static bool check_choices(const struct model_info *info, const char *analyzer, uint32_t length_max,
                          struct error *err) {
    struct analyzer *probe;
    if (info->is_reranker)
        return error_set(err, ERROR_INVALID,
                         "%s is a cross-encoder: it ranks what an index finds, but fills none",
                         info->name);
    if (length_max > info->length_max)
        return error_set(err, ERROR_INVALID,
                         "at most %u tokens a document: %s reads no more than %u", length_max,
                         info->name, info->length_max);
    if (strcmp(analyzer, "head") == 0)
        return info->has_sparse_head ||
               error_set(err, ERROR_INVALID,
                         "analyzer head: %s has no sparse head; choose words:en "
                         "or model",
                         info->name);
    if (strcmp(analyzer, "model") == 0)
        return true;
    if (!analyzer_open(analyzer, NULL, &probe, err))
        return false;
    analyzer_close(probe);
    return true;
}

static const char *chosen(const char *choice, const char *own) {
    return choice ? choice : own;
}

static bool settings_of_model(const struct model_info *info, const struct ingest_choices *choices,
                              struct index_settings *out, struct error *err) {
    struct index_settings settings = {
        .length_max = choices->length_max ? choices->length_max : info->length_max,
        .dense_dim = info->dense_dim,
        .multi_dim = info->multi_dim,
        .pool_tokens = choices->pool_tokens > 1 ? choices->pool_tokens : 0,
        .bm25_k1 = SETTINGS_BM25_K1,
        .bm25_b = SETTINGS_BM25_B,
        .chunk_tokens = choices->chunk_tokens,
        .chunk_overlap = settings_overlap(choices),
    };
    const char *analyzer = chosen(choices->analyzer, info->analyzer);
    const char *query = chosen(choices->query_instruction, info->query_instruction);
    const char *passage = chosen(choices->passage_instruction, info->passage_instruction);
    if ((choices->dense_kind &&
         !index_dense_parse(choices->dense_kind, &settings.dense_kind, err)) ||
        !check_chunks(info, choices, err) ||
        !check_choices(info, analyzer, choices->length_max, err))
        return false;
    settings.lexical = strcmp(analyzer, "head") == 0 ? INDEX_LEXICAL_LEARNED : INDEX_LEXICAL_BM25;
    if (!copy_model_name(settings.model, sizeof settings.model, info, err) ||
        !copy_name(settings.fingerprint, sizeof settings.fingerprint, info->fingerprint,
                   "the fingerprint", err) ||
        !copy_name(settings.analyzer, sizeof settings.analyzer, analyzer, "the analyzer", err) ||
        !copy_name(settings.fusion, sizeof settings.fusion, info->fusion, "the fusion", err) ||
        !copy_name(settings.instruction, sizeof settings.instruction, query,
                   "the query instruction", err) ||
        !copy_name(settings.passage_instruction, sizeof settings.passage_instruction, passage,
                   "the passage instruction", err))
        return false;
    *out = settings;
    return true;
}

bool ingest_settings(const struct model_info *info, const struct ingest_choices *choices,
                     struct index_settings *out, struct error *err) {
    return info ? settings_of_model(info, choices, out, err)
                : settings_without_model(choices, out, err);
}

/* choice NULL: not asked for. */
static bool text_agrees(const char *folder, const char *what, const char *there, const char *choice,
                        struct error *err) {
    if (!choice || strcmp(choice, there) == 0)
        return true;
    return error_set(err, ERROR_INVALID,
                     "%s was made with %s \"%.60s\", not \"%.60s\": leave it out, or ingest into a "
                     "new index",
                     folder, what, there, choice);
}

static bool chunks_agree(const char *folder, const struct index_settings *there,
                         const struct ingest_choices *choices, struct error *err) {
    bool same_overlap = choices->chunk_overlap == INGEST_OVERLAP_DEFAULT ||
                        choices->chunk_overlap == there->chunk_overlap;
    if (!choices->chunk_given || (choices->chunk_tokens == there->chunk_tokens && same_overlap))
        return true;
    if (there->chunk_tokens == 0)
        return error_set(err, ERROR_INVALID,
                         "%s was made without passages, not with %u tokens each: leave it out, or "
                         "ingest into a new index",
                         folder, choices->chunk_tokens);
    return error_set(err, ERROR_INVALID,
                     "%s was made with passages of %u tokens that share %u, not of %u that share "
                     "%u: leave it out, or ingest into a new index",
                     folder, there->chunk_tokens, there->chunk_overlap, choices->chunk_tokens,
                     settings_overlap(choices));
}

static bool models_agree(const char *folder, const struct index_settings *there,
                         const struct model_info *info, struct error *err) {
    if (!index_has_model(there))
        return !info || error_set(err, ERROR_INVALID,
                                  "%s was made without a model, not with %s: leave the model out, "
                                  "or ingest into a new index",
                                  folder, info->name);
    if (!info)
        return error_set(err, ERROR_INVALID,
                         "%s was made with model %s (fingerprint %.8s), not without one: use that "
                         "model, or ingest into a new index",
                         folder, there->model, there->fingerprint);
    return strcmp(there->fingerprint, info->fingerprint) == 0 ||
           error_set(err, ERROR_INVALID,
                     "%s was made with model %s (fingerprint %.8s), this is %s (%.8s): use "
                     "that model, or ingest into a new index",
                     folder, there->model, there->fingerprint, info->name, info->fingerprint);
}

static bool dimensions_agree(const char *folder, const char *what, uint32_t there, uint32_t choice,
                             struct error *err) {
    return choice == 0 || choice == there ||
           error_set(err, ERROR_INVALID,
                     "%s was made with %s of %u, not of %u: leave it out, or ingest into a new "
                     "index",
                     folder, what, there, choice);
}

bool ingest_settings_agree(const char *folder, const struct index_settings *there,
                           const struct model_info *info, const struct ingest_choices *choices,
                           struct error *err) {
    if (!models_agree(folder, there, info, err) ||
        !dimensions_agree(folder, "dense vectors", there->dense_dim, choices->dense_dim, err) ||
        !dimensions_agree(folder, "token vectors", there->multi_dim, choices->multi_dim, err))
        return false;
    if (choices->length_max && choices->length_max != there->length_max)
        return error_set(err, ERROR_INVALID,
                         "%s was made with at most %u tokens a document, not %u: leave it out, or "
                         "ingest into a new index",
                         folder, there->length_max, choices->length_max);
    if (!chunks_agree(folder, there, choices, err))
        return false;
    uint32_t pooled = there->pool_tokens > 1 ? there->pool_tokens : 1;
    if (choices->pool_tokens && choices->pool_tokens != pooled)
        return error_set(err, ERROR_INVALID,
                         "%s keeps the vectors of %u tokens as one, not of %u: leave it out, or "
                         "ingest into a new index",
                         folder, pooled, choices->pool_tokens);
    return text_agrees(folder, "the dense index", index_dense_name(there->dense_kind),
                       choices->dense_kind, err) &&
           text_agrees(folder, "analyzer", there->analyzer, choices->analyzer, err) &&
           text_agrees(folder, "the query instruction", there->instruction,
                       choices->query_instruction, err) &&
           text_agrees(folder, "the passage instruction", there->passage_instruction,
                       choices->passage_instruction, err);
}

bool ingest_open_index(const char *folder, const struct model_info *info,
                       const struct ingest_choices *choices, struct index **out,
                       struct error *err) {
    struct index_settings settings;
    struct index *index;
    if (!index_open(folder, INDEX_WRITE, &index, err))
        return err->code == ERROR_NOT_FOUND && ingest_settings(info, choices, &settings, err) &&
               index_create(folder, &settings, out, err);
    if (!ingest_settings_agree(folder, index_settings_of(index), info, choices, err)) {
        index_close(index);
        return false;
    }
    *out = index;
    return true;
}

bool ingest_has_no_model(const char *folder) {
    struct error ignored; /* who opens it to write is told */
    struct index *index;
    if (!index_exists(folder) || !index_open(folder, INDEX_READ, &index, &ignored))
        return false;
    bool none = !index_has_model(index_settings_of(index));
    index_close(index);
    return none;
}

bool ingest_note(struct index *index, const char *name, const char *text, size_t len,
                 struct error *err) {
    struct writer *writer;
    if (!writer_open(index, &writer, err))
        return false;
    bool ok = writer_note(writer, name, text, len, err) && writer_commit(writer, err);
    writer_close(writer);
    return ok;
}
