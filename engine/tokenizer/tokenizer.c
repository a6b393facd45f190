#include "engine/tokenizer/tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/pipeline.h"
#include "engine/tokenizer/template.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocab_txt.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

static const struct pipeline_kind *const kinds[] = {&wordpiece_kind, &unigram_kind};
enum { KINDS_N = sizeof kinds / sizeof *kinds };

struct tokenizer {
    struct vocabulary vocabulary;
    struct added_tokens added;
    struct templates templates;
    bool *is_special; /* [vocabulary.n] */
    const struct pipeline_kind *kind;
    void *pipeline;
};

/* ---- opening ---- */

/* The oldest files name no type; then a WordPiece model is known by its fields. */
static const char *guess_model_type(const struct json *model) {
    bool has_prefix = json_kind_of(json_get(model, "continuing_subword_prefix")) != JSON_KIND_NULL;
    return has_prefix && !json_get(model, "merges") ? "WordPiece" : NULL;
}

static const struct pipeline_kind *choose_kind(const struct json *root, struct error *err) {
    const struct json *model = json_get(root, "model");
    const char *type = NULL;
    if (json_kind_of(model) != JSON_KIND_OBJECT) {
        error_set(err, ERROR_INVALID, "model: must be an object, found %s",
                  model ? json_kind_name(json_kind_of(model)) : "nothing");
        return NULL;
    }
    if (!json_read_string(model, "type", &type, err)) {
        error_wrap(err, "model: ");
        return NULL;
    }
    if (!type)
        type = guess_model_type(model);
    if (!type) {
        error_set(err, ERROR_INVALID, "model.type: missing");
        return NULL;
    }
    for (size_t i = 0; i < KINDS_N; i++)
        if (strcmp(kinds[i]->model_type, type) == 0)
            return kinds[i];
    error_set(err, ERROR_UNSUPPORTED,
              "model.type: tokenizer model %s is not supported, only WordPiece and Unigram", type);
    return NULL;
}

static void note_specials(struct tokenizer *tokenizer) {
    tokenizer->is_special = mem_zalloc(tokenizer->vocabulary.n, sizeof *tokenizer->is_special);
    for (size_t i = 0; i < tokenizer->added.n; i++)
        if (tokenizer->added.tokens[i].special)
            tokenizer->is_special[tokenizer->added.tokens[i].id] = true;
}

/* ids_max: as many ids may be in use, with gaps between them; 0: as many as the file lists, without
 * gaps. */
static bool read_sections(struct tokenizer *tokenizer, const struct json *root, size_t ids_max,
                          struct error *err) {
    if (json_kind_of(root) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "must be an object, found %s",
                         json_kind_name(json_kind_of(root)));
    tokenizer->kind = choose_kind(root, err);
    if (!tokenizer->kind)
        return false;
    size_t listed_n = json_count(json_get(json_get(root, "model"), "vocab")) +
                      json_count(json_get(root, "added_tokens"));
    if (!vocabulary_init(&tokenizer->vocabulary, ids_max ? ids_max : listed_n, err) ||
        !tokenizer->kind->open(root, &tokenizer->vocabulary, &tokenizer->pipeline, err) ||
        !added_tokens_init(&tokenizer->added, json_get(root, "added_tokens"),
                           &tokenizer->vocabulary, err) ||
        (!ids_max && !vocabulary_check(&tokenizer->vocabulary, err)) ||
        !templates_init(&tokenizer->templates, json_get(root, "post_processor"),
                        &tokenizer->vocabulary, err))
        return false;
    note_specials(tokenizer);
    return true;
}

/* The JSON library says that text is not UTF-8, but not where. */
static void add_bad_byte(const char *json, size_t json_len, struct error *err) {
    for (size_t at = 0; at < json_len;) {
        uint32_t codepoint;
        size_t bytes = utf8_read(json + at, json_len - at, &codepoint);
        if (bytes == 1 && codepoint == UTF8_REPLACEMENT) {
            error_wrap(err, "byte %zu is not UTF-8: ", at);
            return;
        }
        at += bytes;
    }
}

static bool open_parsed(struct json *root, size_t ids_max, struct tokenizer **out,
                        struct error *err) {
    struct tokenizer *tokenizer = mem_zalloc(1, sizeof *tokenizer);
    bool ok = read_sections(tokenizer, root, ids_max, err);
    json_release(root);
    if (ok)
        *out = tokenizer;
    else
        tokenizer_close(tokenizer);
    return ok;
}

/* Overwrites numbers beyond a double's range with null. Returns whether there are any. */
static bool null_infinite(char *json, size_t len) {
    static const char digits[] = "+-.0123456789eE";
    bool found = false, in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (json[i] == '"')
            in_string = !in_string;
        if (in_string || !strchr("-0123456789", json[i]) || !json[i]) {
            i += in_string && json[i] == '\\'; /* the next character is no quote */
            continue;
        }
        size_t digits_n = strspn(json + i, digits);
        if (digits_n >= 4 && isinf(strtod(json + i, NULL))) {
            memset(json + i, ' ', digits_n);
            memcpy(json + i, "null", 4);
            found = true;
        }
        i += digits_n - 1;
    }
    return found;
}

/* The JSON library refuses -1e999 before anybody knows which field it belongs to. With null in its
 * place the reader of the field objects, and says which one it is. */
static void add_infinite_field(const char *json, size_t json_len, struct error *err) {
    struct error field;
    struct tokenizer *tokenizer = NULL;
    char *copy = mem_zalloc(json_len + 1, 1);
    memcpy(copy, json, json_len);
    struct json *root = null_infinite(copy, json_len) ? json_parse(copy, json_len, &field) : NULL;
    if (root && !open_parsed(root, 0, &tokenizer, &field))
        error_set(err, ERROR_INVALID, "a number that is not finite (here read as null): %s",
                  field.message);
    tokenizer_close(tokenizer);
    free(copy);
}

bool tokenizer_open(const char *json, size_t json_len, const char *where, struct tokenizer **out,
                    struct error *err) {
    struct json *root = json_parse(json, json_len, err);
    if (!root) {
        add_bad_byte(json, json_len, err);
        if (err->code == ERROR_INVALID)
            add_infinite_field(json, json_len, err);
    }
    return (root && open_parsed(root, 0, out, err)) || error_wrap(err, "%s: ", where);
}

bool tokenizer_open_vocab(const struct tokenizer_vocab_files *files, struct tokenizer **out,
                          struct error *err) {
    struct json *config = NULL;
    if (files->config) {
        config = json_parse(files->config, files->config_len, err);
        if (config && json_kind_of(config) != JSON_KIND_OBJECT) {
            error_set(err, ERROR_INVALID, "must be an object, found %s",
                      json_kind_name(json_kind_of(config)));
            json_release(config);
            config = NULL;
        }
        if (!config)
            return error_wrap(err, "%s: ", files->config_where);
    }
    size_t ids_max = 0;
    const struct vocab_txt texts = {files->vocab, files->vocab_len, files->vocab_where, config,
                                    files->config ? files->config_where : "the settings"};
    struct json *root = vocab_txt_to_json(&texts, &ids_max, err);
    json_release(config);
    return root &&
           (open_parsed(root, ids_max, out, err) || error_wrap(err, "%s: ", files->vocab_where));
}

void tokenizer_close(struct tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    if (tokenizer->kind)
        tokenizer->kind->close(tokenizer->pipeline);
    added_tokens_done(&tokenizer->added);
    vocabulary_done(&tokenizer->vocabulary);
    free(tokenizer->is_special);
    free(tokenizer);
}

/* ---- encoding ---- */

/* The old arrays stay in the arena until it is reset: as much again at most, and no call of malloc
 * once the arena has grown to a text's size. */
void token_sink_grow(struct token_sink *sink) {
    enum { CAP_MIN = 64 };
    struct token_sink old = *sink;
    sink->cap = sink->cap ? sink->cap * 2 : CAP_MIN;
    sink->ids = ARENA_NEW(sink->arena, uint32_t, sink->cap);
    sink->ranges = ARENA_NEW(sink->arena, struct token_range, sink->cap);
    if (old.n > 0) {
        memcpy(sink->ids, old.ids, old.n * sizeof *old.ids);
        memcpy(sink->ranges, old.ranges, old.n * sizeof *old.ranges);
    }
}

/* The text's own tokens, without a template: added tokens cut out, the rest through the kind. */
static bool encode_text(const struct tokenizer *tokenizer, const char *text, size_t len,
                        struct token_sink *sink, struct error *err) {
    if (len > UINT32_MAX)
        return error_set(err, ERROR_LIMIT, "text of %zu bytes: must be shorter than 4 GiB", len);
    for (size_t at = 0; at < len && !token_sink_full(sink);) {
        struct added_match match = {.begin = len, .end = len};
        added_tokens_next(&tokenizer->added, text, len, at, &match);
        if (at < match.begin)
            tokenizer->kind->encode(tokenizer->pipeline, text, at, match.begin, sink);
        if (match.token)
            token_sink_add(sink, match.token->id, (uint32_t)match.begin, (uint32_t)match.end);
        at = match.end;
    }
    return true;
}

/* Writes the template out, the texts' tokens in their places. b may be NULL. */
static void fill_template(const struct template *template, const struct token_sink *a,
                          const struct token_sink *b, struct arena *arena, struct tokens *out) {
    size_t n = template->specials_n + a->n + (b ? b->n : 0), at = 0;
    *out = (struct tokens){n, ARENA_NEW(arena, uint32_t, n),
                           ARENA_NEW(arena, struct token_range, n), ARENA_NEW(arena, uint8_t, n)};
    for (size_t i = 0; i < template->n; i++) {
        const struct template_item *item = &template->items[i];
        if (item->what == TEMPLATE_SPECIAL) {
            out->ids[at] = item->id;
            out->ranges[at] = (struct token_range){0, 0};
            out->type_ids[at++] = item->type_id;
            continue;
        }
        const struct token_sink *text = item->what == TEMPLATE_A ? a : b;
        if (text->n) {
            memcpy(out->ids + at, text->ids, text->n * sizeof *text->ids);
            memcpy(out->ranges + at, text->ranges, text->n * sizeof *text->ranges);
            memset(out->type_ids + at, item->type_id, text->n);
        }
        at += text->n;
    }
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                      size_t max_length, struct arena *arena, struct tokens *out,
                      struct error *err) {
    const struct template *template = &tokenizer->templates.single;
    if (max_length && max_length < template->specials_n)
        return error_set(err, ERROR_INVALID,
                         "max_length %zu leaves no room for the %zu special tokens", max_length,
                         template->specials_n);
    struct token_sink sink = {.limit = max_length ? max_length - template->specials_n : SIZE_MAX,
                              .arena = arena};
    if (!encode_text(tokenizer, text, len, &sink, err))
        return false;
    fill_template(template, &sink, NULL, arena, out);
    return true;
}

/* FlagReranker cuts the query to max_length * 3 // 4 and the passage to max_length; then
 * transformers' "only_second" takes what is still too much from the passage, unless that is all of
 * it or more: then it (says so and) takes nothing. */
static void cut_only_second(const struct token_sink *a, struct token_sink *b, size_t specials_n,
                            size_t max_length) {
    size_t total = a->n + b->n + specials_n;
    size_t too_many = total > max_length ? total - max_length : 0;
    if (too_many < b->n)
        b->n -= too_many;
}

/* tokenizers' "longest_first": the shorter one stays whole while it takes no more than half. */
static void cut_longest_first(struct token_sink *a, struct token_sink *b, size_t room) {
    struct token_sink *shorter = a->n <= b->n ? a : b, *longer = shorter == a ? b : a;
    if (a->n + b->n <= room)
        return;
    if (shorter->n <= room / 2) {
        longer->n = room - shorter->n;
    } else {
        shorter->n = room / 2;
        longer->n = room - room / 2;
    }
}

bool tokenizer_encode_pair(const struct tokenizer *tokenizer, const char *query, size_t query_len,
                           const char *passage, size_t passage_len, size_t max_length,
                           enum tokenizer_cut cut, struct arena *arena, struct tokens *out,
                           struct error *err) {
    const struct template *template = &tokenizer->templates.pair;
    if (cut == TOKENIZER_CUT_LONGEST_FIRST && passage_len == 0)
        return tokenizer_encode(tokenizer, query, query_len, max_length, arena, out, err);
    bool only_second = cut == TOKENIZER_CUT_ONLY_SECOND;
    size_t most = max_length ? max_length : SIZE_MAX;
    size_t query_max =
        only_second && max_length ? max_length / 4 * 3 + max_length % 4 * 3 / 4 : most;
    struct token_sink a = {.limit = query_max, .arena = arena}, b = {.limit = most, .arena = arena};
    if (!only_second && most < template->specials_n)
        return error_set(err, ERROR_INVALID,
                         "max_length %zu leaves no room for the %zu special tokens", max_length,
                         template->specials_n);
    if (!encode_text(tokenizer, query, query_len, &a, err))
        return error_wrap(err, "query: ");
    if (!encode_text(tokenizer, passage, passage_len, &b, err))
        return error_wrap(err, "passage: ");
    if (only_second)
        cut_only_second(&a, &b, template->specials_n, most);
    else
        cut_longest_first(&a, &b, most - template->specials_n);
    fill_template(template, &a, &b, arena, out);
    return true;
}

/* ---- the vocabulary ---- */

size_t tokenizer_vocabulary_n(const struct tokenizer *tokenizer) {
    return tokenizer->vocabulary.n;
}

const char *tokenizer_token_text(const struct tokenizer *tokenizer, uint32_t id) {
    return id < tokenizer->vocabulary.n ? tokenizer->vocabulary.texts[id] : NULL;
}

void tokenizer_decode_token(const struct tokenizer *tokenizer, uint32_t id, struct buf *out) {
    const char *text = tokenizer_token_text(tokenizer, id), *blank = tokenizer->kind->blank;
    if (!text || !blank) {
        buf_text(out, text ? text : "");
        return;
    }
    size_t blank_len = strlen(blank);
    if (strncmp(text, blank, blank_len) == 0)
        text += blank_len;
    buf_text(out, "");
    for (const char *at; (at = strstr(text, blank)); text = at + blank_len) {
        buf_append(out, text, (size_t)(at - text));
        buf_text(out, " ");
    }
    buf_text(out, text);
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id) {
    return id < tokenizer->vocabulary.n && tokenizer->is_special[id];
}
