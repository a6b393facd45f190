#include "engine/tokenizer/added_tokens.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/tokenizer/bert_unicode.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"

/* At each place of a text as much of a content is compared as agrees. The longest in use have some
 * 30 bytes ("<|startoftranscript|>" and its like). */
enum { CONTENT_BYTES_MAX = 1024 };

/* ---- reading tokenizer.json ---- */

static bool read_token(const struct json *json, struct added_token *token, const char **content,
                       struct vocabulary *vocabulary, struct error *err) {
    bool normalized = false;
    uint32_t id = UINT32_MAX;
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "must be an object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (!json_read_string(json, "content", content, err) ||
        !json_read_u32(json, "id", 0, VOCABULARY_MAX - 1, &id, err) ||
        !json_read_bool(json, "special", &token->special, err) ||
        !json_read_bool(json, "single_word", &token->single_word, err) ||
        !json_read_bool(json, "lstrip", &token->lstrip, err) ||
        !json_read_bool(json, "rstrip", &token->rstrip, err) ||
        !json_read_bool(json, "normalized", &normalized, err))
        return false;
    if (!*content || !**content)
        return error_set(err, ERROR_INVALID, "\"content\" is missing or empty");
    if (strlen(*content) > CONTENT_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "\"content\" has %zu bytes, at most %d are supported",
                         strlen(*content), CONTENT_BYTES_MAX);
    if (id == UINT32_MAX)
        return error_set(err, ERROR_INVALID, "\"id\" of \"%s\" is missing", *content);
    if (normalized)
        return error_set(err, ERROR_UNSUPPORTED,
                         "\"normalized\": true of \"%s\" is not supported, only added tokens that "
                         "are matched in the raw text",
                         *content);
    token->id = id;
    return vocabulary_add(vocabulary, *content, strlen(*content), id, "content", err);
}

static void note_first_bytes(struct added_tokens *added, const struct trie_key *keys) {
    added->only_first = -1;
    for (size_t i = 0; i < added->n; i++)
        added->begins[(uint8_t)keys[i].text[0]] = true;
    int firsts_n = 0;
    for (int byte = 0; byte < 256; byte++)
        if (added->begins[byte] && ++firsts_n == 1)
            added->only_first = byte;
    if (firsts_n != 1)
        added->only_first = -1;
}

bool added_tokens_init(struct added_tokens *added, const struct json *json,
                       struct vocabulary *vocabulary, struct error *err) {
    *added = (struct added_tokens){.only_first = -1};
    enum json_kind kind = json_kind_of(json);
    if (kind != JSON_KIND_NULL && kind != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "added_tokens: must be an array, found %s",
                         json_kind_name(kind));
    size_t n = kind == JSON_KIND_ARRAY ? json_count(json) : 0;
    struct trie_key *keys = mem_zalloc(n ? n : 1, sizeof *keys);
    struct map seen = {0};
    bool ok = true;
    added->tokens = mem_zalloc(n ? n : 1, sizeof *added->tokens);
    for (; ok && added->n < n; added->n++) {
        const char *content = NULL;
        bool is_new = true;
        ok = read_token(json_at(json, added->n), &added->tokens[added->n], &content, vocabulary,
                        err);
        if (ok) {
            keys[added->n] =
                (struct trie_key){content, (uint32_t)strlen(content), (uint32_t)added->n};
            map_put(&seen, content, strlen(content), 0, &is_new);
        }
        if (ok && !is_new)
            ok = error_set(err, ERROR_INVALID, "\"%s\" stands twice", content);
        if (!ok)
            error_wrap(err, "added_tokens[%zu]: ", added->n);
    }
    if (ok) {
        note_first_bytes(added, keys);
        trie_build(&added->trie, keys, added->n);
    }
    map_done(&seen);
    free(keys);
    return ok;
}

void added_tokens_done(struct added_tokens *added) {
    trie_done(&added->trie);
    free(added->tokens);
    *added = (struct added_tokens){0};
}

/* ---- finding them ---- */

/* The code point that ends before `end`; text[begin..end) is not empty. */
static size_t read_before(const char *text, size_t begin, size_t end, uint32_t *codepoint_out) {
    size_t bytes = 1;
    while (bytes < UTF8_BYTES_MAX && end - bytes > begin &&
           ((uint8_t)text[end - bytes] & 0xc0) == 0x80)
        bytes++;
    if (utf8_read(text + end - bytes, bytes, codepoint_out) == bytes)
        return bytes;
    *codepoint_out = UTF8_REPLACEMENT;
    return 1;
}

static bool is_space(uint32_t codepoint) {
    return codepoint < 0x80 ? codepoint == ' ' || (codepoint >= 0x9 && codepoint <= 0xd)
                            : bert_unicode_flags(codepoint) & BERT_SPACE;
}

/* \w of Rust's regex crate, to within a few symbols: letters, marks, digits, connectors. */
static bool is_word(uint32_t codepoint) {
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return codepoint == 0x200c || codepoint == 0x200d;
    }
}

static bool stands_alone(const char *text, size_t len, size_t begin, size_t end) {
    uint32_t before = ' ', behind = ' ';
    if (begin > 0)
        read_before(text, 0, begin, &before);
    if (end < len)
        utf8_read(text + end, len - end, &behind);
    return !is_word(before) && !is_word(behind);
}

static void swallow_spaces(const char *text, size_t len, size_t at, struct added_match *match) {
    uint32_t codepoint;
    while (match->token->lstrip && match->begin > at) {
        size_t bytes = read_before(text, at, match->begin, &codepoint);
        if (!is_space(codepoint))
            break;
        match->begin -= bytes;
    }
    while (match->token->rstrip && match->end < len) {
        size_t bytes = utf8_read(text + match->end, len - match->end, &codepoint);
        if (!is_space(codepoint))
            break;
        match->end += bytes;
    }
}

/* The first place from i on where a content may begin; len when there is none. */
static size_t next_candidate(const struct added_tokens *added, const char *text, size_t len,
                             size_t i) {
    if (added->only_first >= 0) {
        const char *found = i < len ? memchr(text + i, added->only_first, len - i) : NULL;
        return found ? (size_t)(found - text) : len;
    }
    while (i < len && !added->begins[(uint8_t)text[i]])
        i++;
    return i;
}

bool added_tokens_next(const struct added_tokens *added, const char *text, size_t len, size_t at,
                       struct added_match *match_out) {
    if (added->n == 0)
        return false;
    for (size_t i = next_candidate(added, text, len, at); i < len;) {
        struct added_match match = {.begin = i};
        uint32_t node = 0;
        for (size_t j = i; j < len && node != TRIE_NONE; j++) {
            node = trie_child(&added->trie, node, text[j]);
            if (node != TRIE_NONE && added->trie.nodes[node].value != TRIE_NONE) {
                match.token = &added->tokens[added->trie.nodes[node].value];
                match.end = j + 1;
            }
        }
        if (match.token &&
            (!match.token->single_word || stands_alone(text, len, match.begin, match.end))) {
            swallow_spaces(text, len, at, &match);
            *match_out = match;
            return true;
        }
        i = next_candidate(added, text, len, match.token ? match.end : i + 1);
    }
    return false;
}
