#include "engine/tokenizer/vocab_txt.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"

/* ---- vocab.txt ---- */

/* The line at `at` without its end, and where the next one begins. */
static size_t line_len(const char *data, size_t len, size_t at, size_t *next_out) {
    size_t end = at;
    while (end < len && data[end] != '\n' && data[end] != '\r')
        end++;
    *next_out = end;
    if (end < len)
        *next_out += data[end] == '\r' && end + 1 < len && data[end + 1] == '\n' ? 2 : 1;
    return end - at;
}

static bool check_text(const char *text, size_t len, struct error *err) {
    for (size_t at = 0; at < len;) {
        uint32_t codepoint;
        size_t bytes = utf8_read(text + at, len - at, &codepoint);
        if (bytes == 1 && codepoint == UTF8_REPLACEMENT)
            return error_set(err, ERROR_INVALID, "not UTF-8 at its byte %zu", at);
        if (codepoint == 0)
            return error_set(err, ERROR_INVALID, "holds a NUL at its byte %zu", at);
        at += bytes;
    }
    return true;
}

/* pieces: an object, piece -> id. */
static bool read_pieces(const struct vocab_txt *files, struct json *pieces, size_t *lines_n_out,
                        struct error *err) {
    struct arena arena = {0};
    size_t line = 0;
    bool ok = true;
    for (size_t at = 0, next = 0; ok && at < files->len; at = next, line++) {
        size_t len = line_len(files->data, files->len, at, &next);
        ok = check_text(files->data + at, len, err);
        if (!ok) {
            error_wrap(err, "%s: line %zu: ", files->where, line + 1);
        } else if (line == VOCABULARY_MAX) {
            ok =
                error_set(err, ERROR_LIMIT, "%s: more than %d lines", files->where, VOCABULARY_MAX);
        } else if (len > 0) {
            json_add(pieces, arena_text(&arena, files->data + at, len),
                     json_new_number((double)line));
            arena_reset(&arena);
        }
    }
    arena_done(&arena);
    *lines_n_out = line;
    return ok;
}

/* ---- tokenizer_config.json ---- */

/* Classes whose tokens are BertTokenizerFast's; others have a vocab.txt of the same form and mean
 * something else by it (BertJapaneseTokenizer cuts words with MeCab). */
static bool check_class(const struct json *config, struct error *err) {
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "RetriBertTokenizer"};
    const char *name = known[0];
    if (!json_read_string(config, "tokenizer_class", &name, err))
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i]);
        if (strncmp(name, known[i], len) == 0 &&
            (name[len] == '\0' || strcmp(name + len, "Fast") == 0))
            return true;
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     "\"tokenizer_class\" is \"%s\"; with a vocab.txt and no tokenizer.json "
                     "BertTokenizer is supported",
                     name);
}

/* An added token as it goes into tokenizer.json, unless its text is there already. token: its text
 * or an object with "content" and how it is matched. */
static bool add_token(struct json *added, struct json *seen, const struct json *token,
                      const char *text, double id, bool special, struct error *err) {
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    bool normalized = false;
    struct json *out = json_new_object();
    bool ok = json_read_bool(token, "normalized", &normalized, err);
    for (size_t i = 0; ok && i < sizeof flags / sizeof *flags; i++) {
        bool flag = false;
        ok = json_read_bool(token, flags[i], &flag, err);
        json_add_bool(out, flags[i], flag);
    }
    if (ok && normalized)
        ok = error_set(err, ERROR_UNSUPPORTED, "\"normalized\": true of \"%s\" is not supported",
                       text);
    if (!ok || json_get(seen, text)) {
        json_release(out);
        return ok;
    }
    json_add_string(out, "content", text);
    json_add_number(out, "id", id);
    json_add_bool(out, "special", special);
    json_push(added, out);
    json_add_bool(seen, text, true);
    return true;
}

/* The text of a token: a string, or an object with "content". */
static bool read_text(const struct json *token, const char **out, struct error *err) {
    enum json_kind kind = json_kind_of(token);
    const char *text = NULL;
    if (kind == JSON_KIND_STRING) {
        size_t len;
        text = json_string_of(token, &len);
        if (strlen(text) != len)
            text = NULL;
    } else if (kind != JSON_KIND_OBJECT || !json_read_string(token, "content", &text, err)) {
        text = NULL;
    }
    if (!text || !*text)
        return error_set(err, ERROR_INVALID,
                         "must be a text or an object with \"content\", found %s",
                         text ? "an empty text" : json_kind_name(kind));
    *out = text;
    return true;
}

/* What the tree is made of while it is filled. */
struct builder {
    const struct vocab_txt *files;
    struct json *pieces, *added;
    struct json *seen; /* texts of added, as keys */
    size_t ids_max;
};

/* "added_tokens_decoder": {"30522": {"content": ...}}: tokens with ids, in and behind vocab.txt. */
static bool read_decoder(struct builder *builder, struct error *err) {
    const struct json *decoder = json_get(builder->files->config, "added_tokens_decoder");
    enum json_kind kind = json_kind_of(decoder);
    if (kind != JSON_KIND_OBJECT && kind != JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "\"added_tokens_decoder\" must be an object, found %s",
                         json_kind_name(kind));
    size_t ids_max = builder->ids_max + json_count(decoder); /* they follow each other */
    for (void *at = json_first(decoder); at; at = json_next(decoder, at)) {
        const char *key = json_member_key(at), *text = NULL;
        const struct json *token = json_member_value(at);
        char *end;
        unsigned long id = strtoul(key, &end, 10);
        bool special = false;
        if (*key < '0' || *key > '9' || *end || id >= ids_max)
            return error_set(err, ERROR_INVALID,
                             "\"added_tokens_decoder\": \"%s\" is no id from 0 to %zu", key,
                             ids_max - 1);
        if (!read_text(token, &text, err) || !json_read_bool(token, "special", &special, err))
            return error_wrap(err, "\"added_tokens_decoder\": \"%s\": ", key);
        const struct json *piece = json_get(builder->pieces, text);
        if (piece && json_number_of(piece) != (double)id)
            return error_set(err, ERROR_INVALID,
                             "\"added_tokens_decoder\": the token \"%s\" has the id %s, and "
                             "another in vocab.txt",
                             text, key);
        if (!add_token(builder->added, builder->seen, token, text, (double)id, special, err))
            return error_wrap(err, "\"added_tokens_decoder\": ");
        builder->ids_max = id < builder->ids_max ? builder->ids_max : id + 1;
    }
    return true;
}

/* One special token of the settings; *text_out its text. Where neither vocab.txt nor
 * added_tokens_decoder has it, it is an error if it is needed, and else left out. */
static bool add_special(struct builder *builder, const struct json *token, const char *key,
                        const char *text, bool needed, struct error *err) {
    const struct json *piece = json_get(builder->pieces, text);
    if (piece)
        return add_token(builder->added, builder->seen, token, text, json_number_of(piece), true,
                         err) ||
               error_wrap(err, "\"%s\": ", key);
    if (json_get(builder->seen, text) || !needed)
        return true;
    return error_set(err, ERROR_INVALID, "no line is \"%s\", the %s", text, key);
}

static bool read_specials(struct builder *builder, const char **unknown_out, const char **cls_out,
                          const char **sep_out, struct error *err) {
    static const struct {
        const char *key, *text;
        bool needed;
    } specials[] = {{"unk_token", "[UNK]", true},
                    {"cls_token", "[CLS]", true},
                    {"sep_token", "[SEP]", true},
                    {"pad_token", "[PAD]", false},
                    {"mask_token", "[MASK]", false}};
    const char **const outs[] = {unknown_out, cls_out, sep_out};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        const struct json *token = json_get(builder->files->config, specials[i].key);
        const char *text = specials[i].text;
        if (json_kind_of(token) != JSON_KIND_NULL && !read_text(token, &text, err))
            return error_wrap(err, "%s: \"%s\": ", builder->files->config_where, specials[i].key);
        if (!add_special(builder, token, specials[i].key, text, specials[i].needed, err))
            return error_wrap(err, "%s: ", builder->files->where);
        if (specials[i].needed)
            *outs[i] = text;
    }
    return true;
}

/* "additional_special_tokens": texts or objects that vocab.txt must have. */
static bool read_additional(struct builder *builder, struct error *err) {
    static const char key[] = "additional_special_tokens";
    const struct json *list = json_get(builder->files->config, key);
    enum json_kind kind = json_kind_of(list);
    if (kind != JSON_KIND_ARRAY && kind != JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "%s: \"%s\" must be an array, found %s",
                         builder->files->config_where, key, json_kind_name(kind));
    for (size_t i = 0; i < json_count(list); i++) {
        const char *text = NULL;
        if (!read_text(json_at(list, i), &text, err))
            return error_wrap(err, "%s: \"%s\"[%zu]: ", builder->files->config_where, key, i);
        if (!add_special(builder, json_at(list, i), key, text, true, err))
            return error_wrap(err, "%s: ", builder->files->where);
    }
    return true;
}

/* ---- the tree ---- */

static bool add_normalizer(struct json *root, const struct json *config, struct error *err) {
    bool lowercase = true, set_cjk_apart = true, strip_accents = false;
    if (!json_read_bool(config, "do_lower_case", &lowercase, err) ||
        !json_read_bool(config, "tokenize_chinese_chars", &set_cjk_apart, err) ||
        !json_read_bool(config, "strip_accents", &strip_accents, err))
        return false;
    struct json *normalizer = json_new_object(), *pre_tokenizer = json_new_object();
    json_add_string(normalizer, "type", "BertNormalizer");
    json_add_bool(normalizer, "clean_text", true);
    json_add_bool(normalizer, "handle_chinese_chars", set_cjk_apart);
    json_add_bool(normalizer, "lowercase", lowercase);
    if (json_kind_of(json_get(config, "strip_accents")) != JSON_KIND_NULL)
        json_add_bool(normalizer, "strip_accents", strip_accents);
    json_add(root, "normalizer", normalizer);
    json_add_string(pre_tokenizer, "type", "BertPreTokenizer");
    json_add(root, "pre_tokenizer", pre_tokenizer);
    return true;
}

static void add_template_token(struct json *post, const char *key, const char *text) {
    struct json *token = json_new_array();
    json_push(token, json_new_string(text, strlen(text)));
    json_add(post, key, token);
}

static bool fill(struct json *root, struct builder *builder, struct error *err) {
    const char *unknown = NULL, *cls = NULL, *sep = NULL;
    struct json *model = json_new_object(), *post = json_new_object();
    json_add(root, "model", model);
    json_add(root, "post_processor", post);
    json_add(root, "added_tokens", builder->added = json_new_array());
    json_add(model, "vocab", builder->pieces = json_new_object());
    if (!read_pieces(builder->files, builder->pieces, &builder->ids_max, err))
        return false;
    if (!check_class(builder->files->config, err) || !read_decoder(builder, err) ||
        !add_normalizer(root, builder->files->config, err))
        return error_wrap(err, "%s: ", builder->files->config_where);
    if (!read_specials(builder, &unknown, &cls, &sep, err) || !read_additional(builder, err))
        return false;
    json_add_string(model, "type", "WordPiece");
    json_add_string(model, "unk_token", unknown);
    json_add_string(post, "type", "BertProcessing");
    add_template_token(post, "cls", cls);
    add_template_token(post, "sep", sep);
    return true;
}

struct json *vocab_txt_to_json(const struct vocab_txt *files, size_t *ids_max_out,
                               struct error *err) {
    struct json *root = json_new_object();
    struct builder builder = {.files = files, .seen = json_new_object()};
    bool ok = fill(root, &builder, err);
    json_release(builder.seen);
    if (!ok) {
        json_release(root);
        return NULL;
    }
    *ids_max_out = builder.ids_max;
    return root;
}
