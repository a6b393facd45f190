#include "engine/tokenizer/unigram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/lattice.h"
#include "engine/tokenizer/metaspace.h"
#include "engine/tokenizer/trie.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/xlmr_normalizer.h"

/* A piece may begin anywhere, so this bounds the work per byte; XLM-R's longest has 48. */
enum { PIECE_BYTES_MAX = 1024 };

struct unigram {
    struct xlmr_normalizer normalizer;
    struct metaspace metaspace;
    struct lattice_pieces pieces;
};

/* ---- reading tokenizer.json ---- */

/* ["piece", score] */
static bool read_piece(const struct json *entry, double id, struct vocabulary *vocabulary,
                       double *score_out, struct error *err) {
    const struct json *piece = json_at(entry, 0), *score = json_at(entry, 1);
    size_t len = 0;
    if (json_count(entry) != 2 || json_kind_of(piece) != JSON_KIND_STRING)
        return error_set(err, ERROR_INVALID, "model.vocab[%.0f]: must be [\"piece\", score]", id);
    if (json_kind_of(score) != JSON_KIND_NUMBER)
        return error_set(err, ERROR_INVALID,
                         "model.vocab[%.0f]: the score must be a finite number, found %s", id,
                         json_kind_name(json_kind_of(score)));
    const char *text = json_string_of(piece, &len);
    if (len > PIECE_BYTES_MAX)
        return error_set(err, ERROR_LIMIT,
                         "model.vocab[%.0f]: a piece of %zu bytes, at most %d are supported", id,
                         len, PIECE_BYTES_MAX);
    *score_out = json_number_of(score);
    return vocabulary_add(vocabulary, text, len, id, "model.vocab", err);
}

static bool read_vocabulary(struct lattice_pieces *pieces, const struct json *vocab,
                            struct vocabulary *vocabulary, struct error *err) {
    size_t n = json_count(vocab);
    if (json_kind_of(vocab) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "model.vocab: must be an array, found %s",
                         json_kind_name(json_kind_of(vocab)));
    if (n == 0)
        return error_set(err, ERROR_INVALID, "model.vocab: has no pieces");
    pieces->scores = mem_alloc(n, sizeof *pieces->scores);
    for (size_t i = 0; i < n; i++)
        if (!read_piece(json_at(vocab, i), (double)i, vocabulary, &pieces->scores[i], err))
            return false;
    return true;
}

static void build_trie(struct lattice_pieces *pieces, const struct json *vocab) {
    size_t n = json_count(vocab), keys_n = 0;
    struct trie_key *keys = mem_alloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *text = json_string_of(json_at(json_at(vocab, i), 0), &len);
        if (len > 0) /* an empty piece can never be used */
            keys[keys_n++] = (struct trie_key){text, (uint32_t)len, (uint32_t)i};
        if (pieces->piece_bytes_max < len)
            pieces->piece_bytes_max = len;
    }
    struct trie trie;
    trie_build(&trie, keys, keys_n);
    double_array_build(&pieces->trie, &trie);
    trie_done(&trie);
    free(keys);
}

static bool read_unknown(struct lattice_pieces *pieces, const struct json *model, size_t n,
                         struct error *err) {
    enum { UNKNOWN_PENALTY = 10 };
    if (json_kind_of(json_get(model, "unk_id")) == JSON_KIND_NULL)
        return error_set(err, ERROR_UNSUPPORTED,
                         "model.unk_id: missing; without it some texts have no tokens");
    if (!json_read_u32(model, "unk_id", 0, (uint32_t)(n - 1), &pieces->unknown_id, err))
        return error_wrap(err, "model.unk_id: ");
    double lowest = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (pieces->scores[i] < lowest)
            lowest = pieces->scores[i];
    pieces->unknown_score = lowest - UNKNOWN_PENALTY;
    return true;
}

static bool read_model(struct lattice_pieces *pieces, const struct json *model,
                       struct vocabulary *vocabulary, struct error *err) {
    const struct json *vocab = json_get(model, "vocab");
    bool byte_fallback = false;
    if (!json_read_bool(model, "byte_fallback", &byte_fallback, err))
        return error_wrap(err, "model: ");
    if (byte_fallback)
        return error_set(err, ERROR_UNSUPPORTED, "model.byte_fallback: true is not supported");
    if (!read_vocabulary(pieces, vocab, vocabulary, err) ||
        !read_unknown(pieces, model, json_count(vocab), err))
        return false;
    build_trie(pieces, vocab);
    return true;
}

static void unigram_close(void *pipeline) {
    struct unigram *unigram = pipeline;
    if (!unigram)
        return;
    xlmr_normalizer_done(&unigram->normalizer);
    double_array_done(&unigram->pieces.trie);
    free(unigram->pieces.scores);
    free(unigram);
}

static bool unigram_open(const struct json *root, struct vocabulary *vocabulary,
                         void **pipeline_out, struct error *err) {
    struct unigram *unigram = mem_zalloc(1, sizeof *unigram);
    if (!xlmr_normalizer_init(&unigram->normalizer, json_get(root, "normalizer"), err) ||
        !metaspace_init(&unigram->metaspace, json_get(root, "pre_tokenizer"),
                        unigram->normalizer.blanks, err) ||
        !read_model(&unigram->pieces, json_get(root, "model"), vocabulary, err)) {
        unigram_close(unigram);
        return false;
    }
    *pipeline_out = unigram;
    return true;
}

/* ---- text to tokens ---- */

static void unigram_encode(const void *pipeline, const char *text, size_t begin, size_t end,
                           struct token_sink *sink) {
    const struct unigram *unigram = pipeline;
    struct xlmr_stream stream;
    struct lattice lattice;
    xlmr_stream_init(&stream, &unigram->normalizer, text, begin, end);
    lattice_init(&lattice, &unigram->pieces, sink);
    metaspace_cut(&unigram->metaspace, &stream, &lattice);
    lattice_done(&lattice);
}

const struct pipeline_kind unigram_kind = {
    .model_type = "Unigram",
    .blank = "\xe2\x96\x81", /* U+2581 */
    .open = unigram_open,
    .close = unigram_close,
    .encode = unigram_encode,
};
