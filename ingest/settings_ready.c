/* An index without a model: documents bring dense, sparse and token vectors that others made, and
 * what the index can do itself is count their words. */
#include <stdlib.h>
#include <string.h>

#include "engine/lexical.h"
#include "index/writer.h"
#include "ingest/row.h"
#include "ingest/settings_inside.h"

/* What needs a model to be done. */
static bool nothing_is_read(const struct ingest_choices *choices, struct error *err) {
    const char *what = choices->length_max ? "a length"
                       : choices->query_instruction || choices->passage_instruction
                           ? "an instruction"
                       : choices->pool_tokens > 1 ? "pooled token vectors"
                                                  : NULL;
    return !what || error_set(err, ERROR_INVALID, "%s: without a model no text is encoded", what);
}

static bool check_analyzer(const char *name, struct error *err) {
    struct analyzer *probe;
    if (strcmp(name, "model") == 0)
        return error_set(err, ERROR_INVALID,
                         "analyzer model: there is none whose tokens could be counted; choose "
                         "words:en, head (documents bring the weights of tokens) or none");
    if (!analyzer_open(name, NULL, &probe, err))
        return false;
    analyzer_close(probe);
    return true;
}

static bool choose_lexical(const char *analyzer, struct index_settings *out, struct error *err) {
    out->lexical = strcmp(analyzer, "head") == 0   ? INDEX_LEXICAL_LEARNED
                   : strcmp(analyzer, "none") == 0 ? INDEX_LEXICAL_NONE
                                                   : INDEX_LEXICAL_BM25;
    if (out->lexical == INDEX_LEXICAL_BM25 && !check_analyzer(analyzer, err))
        return false;
    if (strlen(analyzer) >= sizeof out->analyzer)
        return error_set(err, ERROR_LIMIT, "the analyzer's name is longer than %zu bytes",
                         sizeof out->analyzer - 1);
    strcpy(out->analyzer, analyzer);
    return true;
}

bool settings_without_model(const struct ingest_choices *choices, struct index_settings *out,
                            struct error *err) {
    struct index_settings settings = {
        .dense_dim = choices->dense_dim,
        .multi_dim = choices->multi_dim,
        .bm25_k1 = SETTINGS_BM25_K1,
        .bm25_b = SETTINGS_BM25_B,
        .chunk_tokens = choices->chunk_tokens,
        .chunk_overlap = settings_overlap(choices),
    };
    if (!nothing_is_read(choices, err) ||
        !choose_lexical(choices->analyzer ? choices->analyzer : "words:en", &settings, err) ||
        (choices->dense_kind && !index_dense_parse(choices->dense_kind, &settings.dense_kind, err)))
        return false;
    if (settings.dense_dim == 0 && settings.multi_dim == 0 &&
        settings.lexical == INDEX_LEXICAL_NONE)
        return error_set(err, ERROR_INVALID,
                         "no model, no vectors and no terms: there is nothing to search by");
    if (settings.chunk_overlap > settings.chunk_tokens / 2)
        return error_set(err, ERROR_INVALID,
                         "passages of %u tokens may share half of them, %u at most, not %u",
                         settings.chunk_tokens, settings.chunk_tokens / 2, settings.chunk_overlap);
    *out = settings;
    return true;
}

/* ---- as a first row has it ---- */

/* Weights of tokens have their numbers for names. */
static bool terms_are_numbers(const struct lexical *lexical) {
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        if (strspn(term->word, "0123456789") != term->word_len)
            return false;
    }
    return lexical->n > 0;
}

static const char *analyzer_for(const struct row *row) {
    const struct ready *ready = row->ready;
    if (ready && ready->has_sparse)
        return terms_are_numbers(&ready->lexical) ? "head" : "words:en";
    return row->title_len + row->text_len > 0 ? "words:en" : "none";
}

bool ingest_choose_by_row(const struct row *row, struct ingest_choices *choices,
                          struct error *err) {
    const struct ready *ready = row->ready;
    if (!choices->analyzer)
        choices->analyzer = analyzer_for(row);
    if (!ready)
        return true;
    if (ready->passages_n > 0 && !choices->chunk_given)
        return error_set(err, ERROR_INVALID,
                         "the first document has passages: say how many tokens they may have, as "
                         "--chunk-tokens 400");
    const struct ready_vectors *vectors =
        ready->passages_n > 0 ? &ready->passages[0] : &ready->whole;
    if (choices->dense_dim == 0)
        choices->dense_dim = (uint32_t)vectors->dense_n;
    if (choices->multi_dim == 0)
        choices->multi_dim = vectors->multi_codes
                                 ? record_multi_dim(vectors->multi_codes, vectors->multi_codes_len)
                                 : (uint32_t)vectors->multi_dim;
    return true;
}
