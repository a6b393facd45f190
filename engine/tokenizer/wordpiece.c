#include "engine/tokenizer/wordpiece.h"

#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/bert_normalizer.h"
#include "engine/tokenizer/bert_unicode.h"
#include "engine/tokenizer/double_array.h"
#include "engine/tokenizer/trie.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"

/* A word lies on the stack while it is read; every published model says 100. */
enum { WORD_CHARS_MAX = 1000 };

struct wordpiece {
    struct bert_normalizer normalizer;
    struct double_array pieces; /* every token of the model, by its text */
    uint32_t continuing;        /* base of the node behind the prefix, where a word's other pieces
                                 * begin; 0, below which nothing is, when no token has the prefix */
    uint32_t unknown_id;
    uint32_t word_chars_max;
};

/* A word on its way: its UTF-8, and for each byte the range of its code point in the text. */
struct word {
    size_t bytes_n, chars_n; /* chars_n counts on beyond word_chars_max; bytes are dropped then */
    uint32_t begin, end;
    char bytes[WORD_CHARS_MAX * UTF8_BYTES_MAX];
    struct token_range ranges[WORD_CHARS_MAX * UTF8_BYTES_MAX];
};

/* ---- reading tokenizer.json ---- */

/* A section that must be of the one type we know. */
static bool check_type(const struct json *root, const char *section, const char *known,
                       struct error *err) {
    const struct json *json = json_get(root, section);
    const char *type = NULL;
    if (json_kind_of(json) == JSON_KIND_NULL)
        return error_set(err, ERROR_UNSUPPORTED, "%s: missing; a WordPiece tokenizer needs %s",
                         section, known);
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "%s: must be an object, found %s", section,
                         json_kind_name(json_kind_of(json)));
    if (!json_read_string(json, "type", &type, err))
        return error_wrap(err, "%s: ", section);
    if (!type)
        return error_set(err, ERROR_INVALID, "%s.type: missing; %s is supported", section, known);
    if (strcmp(type, known) != 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s.type: \"%s\" is not supported with WordPiece, only %s", section, type,
                         known);
    return true;
}

static bool read_vocabulary(const struct json *model, struct vocabulary *vocabulary,
                            struct error *err) {
    const struct json *vocab = json_get(model, "vocab");
    if (json_kind_of(vocab) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "model.vocab: must be an object, found %s",
                         json_kind_name(json_kind_of(vocab)));
    for (void *at = json_first(vocab); at; at = json_next(vocab, at)) {
        const char *text = json_member_key(at);
        const struct json *id = json_member_value(at);
        if (json_kind_of(id) != JSON_KIND_NUMBER)
            return error_set(err, ERROR_INVALID,
                             "model.vocab: the id of \"%s\" must be a number, found %s", text,
                             json_kind_name(json_kind_of(id)));
        if (!vocabulary_add(vocabulary, text, strlen(text), json_number_of(id), "model.vocab", err))
            return false;
    }
    return true;
}

static void place_pieces(struct wordpiece *wordpiece, const struct vocabulary *vocabulary,
                         const char *prefix) {
    struct trie_key *keys = mem_alloc(vocabulary->n, sizeof *keys);
    size_t keys_n = 0;
    struct trie trie;
    for (size_t id = 0; id < vocabulary->n; id++)
        if (vocabulary->texts[id] && *vocabulary->texts[id])
            keys[keys_n++] = (struct trie_key){
                vocabulary->texts[id], (uint32_t)strlen(vocabulary->texts[id]), (uint32_t)id};
    trie_build(&trie, keys, keys_n);
    double_array_build(&wordpiece->pieces, &trie);
    wordpiece->continuing = wordpiece->pieces.root;
    for (; *prefix && wordpiece->continuing; prefix++) {
        struct double_array_unit unit;
        bool found = double_array_step(&wordpiece->pieces, wordpiece->continuing, *prefix, &unit);
        wordpiece->continuing = found ? unit.base : 0;
    }
    trie_done(&trie);
    free(keys);
}

static bool read_model(struct wordpiece *wordpiece, const struct json *model,
                       struct vocabulary *vocabulary, struct error *err) {
    const char *unknown = "[UNK]", *prefix = "##";
    wordpiece->word_chars_max = 100;
    if (!json_read_string(model, "unk_token", &unknown, err) ||
        !json_read_string(model, "continuing_subword_prefix", &prefix, err) ||
        !json_read_u32(model, "max_input_chars_per_word", 1, WORD_CHARS_MAX,
                       &wordpiece->word_chars_max, err))
        return error_wrap(err, "model: ");
    if (!read_vocabulary(model, vocabulary, err))
        return false;
    const uint32_t *unknown_id = vocabulary_find(vocabulary, unknown, strlen(unknown));
    if (!unknown_id)
        return error_set(err, ERROR_INVALID, "model.unk_token: \"%s\" is not in model.vocab",
                         unknown);
    wordpiece->unknown_id = *unknown_id;
    place_pieces(wordpiece, vocabulary, prefix);
    return true;
}

static void wordpiece_close(void *pipeline) {
    struct wordpiece *wordpiece = pipeline;
    if (!wordpiece)
        return;
    double_array_done(&wordpiece->pieces);
    free(wordpiece);
}

static bool wordpiece_open(const struct json *root, struct vocabulary *vocabulary,
                           void **pipeline_out, struct error *err) {
    struct wordpiece *wordpiece = mem_zalloc(1, sizeof *wordpiece);
    if (!check_type(root, "normalizer", "BertNormalizer", err) ||
        !check_type(root, "pre_tokenizer", "BertPreTokenizer", err) ||
        !bert_normalizer_init(&wordpiece->normalizer, json_get(root, "normalizer"), err) ||
        !read_model(wordpiece, json_get(root, "model"), vocabulary, err)) {
        wordpiece_close(wordpiece);
        return false;
    }
    *pipeline_out = wordpiece;
    return true;
}

/* ---- text to tokens ---- */

static void word_add(struct word *word, const struct normal_char *c, uint32_t chars_max) {
    if (word->chars_n == 0)
        word->begin = c->begin;
    word->end = c->end;
    if (++word->chars_n > chars_max)
        return;
    size_t bytes_n = utf8_write(c->codepoint, word->bytes + word->bytes_n);
    for (size_t i = 0; i < bytes_n; i++)
        word->ranges[word->bytes_n + i] = (struct token_range){c->begin, c->end};
    word->bytes_n += bytes_n;
}

/* Cuts the word into pieces, each the longest that fits: one walk down the pieces per piece, so the
 * time is at most the word's length times the longest token's. */
static void word_end(const struct wordpiece *wordpiece, struct word *word,
                     struct token_sink *sink) {
    size_t sink_n = sink->n, at = 0;
    bool known = word->chars_n <= wordpiece->word_chars_max;
    struct double_array_unit unit = {.base = wordpiece->pieces.root};
    while (known && at < word->bytes_n) {
        uint32_t id = DOUBLE_ARRAY_NO_VALUE;
        size_t piece_end = at;
        for (size_t i = at; i < word->bytes_n; i++) {
            if (!double_array_step(&wordpiece->pieces, unit.base, word->bytes[i], &unit))
                break;
            if (double_array_value(unit) != DOUBLE_ARRAY_NO_VALUE) {
                id = double_array_value(unit);
                piece_end = i + 1;
            }
        }
        known = id != DOUBLE_ARRAY_NO_VALUE;
        if (known)
            token_sink_add(sink, id, word->ranges[at].begin, word->ranges[piece_end - 1].end);
        at = piece_end;
        unit.base = wordpiece->continuing;
    }
    if (!known) {
        sink->n = sink_n;
        token_sink_add(sink, wordpiece->unknown_id, word->begin, word->end);
    }
    word->bytes_n = word->chars_n = 0;
}

/* BertPreTokenizer on the stream of normalized code points: white space ends a word, punctuation
 * is one. */
static void wordpiece_encode(const void *pipeline, const char *text, size_t begin, size_t end,
                             struct token_sink *sink) {
    const struct wordpiece *wordpiece = pipeline;
    struct normal_char chars[BERT_STRETCH_MIN];
    struct bert_stream stream;
    struct word word;
    word.bytes_n = word.chars_n = 0;
    bert_stream_init(&stream, &wordpiece->normalizer, text, begin, end);
    for (size_t n; (n = bert_stream_next(&stream, chars, BERT_STRETCH_MIN)) > 0;) {
        for (size_t i = 0; i < n; i++) {
            uint8_t flags = bert_normalizer_flags(&wordpiece->normalizer, chars[i].codepoint);
            bool is_alone = flags & (BERT_SPACE | BERT_PUNCTUATION);
            if (is_alone && word.chars_n)
                word_end(wordpiece, &word, sink);
            if (flags & BERT_SPACE)
                continue;
            word_add(&word, &chars[i], wordpiece->word_chars_max);
            if (is_alone)
                word_end(wordpiece, &word, sink);
        }
        if (token_sink_full(sink))
            return;
    }
    if (word.chars_n)
        word_end(wordpiece, &word, sink);
}

const struct pipeline_kind wordpiece_kind = {
    .model_type = "WordPiece",
    .open = wordpiece_open,
    .close = wordpiece_close,
    .encode = wordpiece_encode,
};
