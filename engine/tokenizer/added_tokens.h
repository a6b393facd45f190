/* added_tokens.h - tokens that are cut out of the raw text before anything else happens to it.
 *
 * "[SEP]" written in a text is the token [SEP] with its real bytes; "[sep]" is five pieces. At each
 * place the longest content wins, and the search goes on behind it. lstrip and rstrip let a token
 * swallow the white space beside it; single_word wants no word character beside it.
 * Threads: immutable once open. */
#ifndef TERCET_TOKENIZER_ADDED_TOKENS_H
#define TERCET_TOKENIZER_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/tokenizer/trie.h"

struct json;
struct vocabulary;

struct added_token {
    uint32_t id;
    bool special, single_word, lstrip, rstrip;
};

struct added_tokens {
    struct added_token *tokens; /* [n] */
    size_t n;
    struct trie trie; /* content -> index into tokens */
    bool begins[256]; /* bytes that some content begins with */
    int only_first;   /* the one such byte, or -1 when there are several */
};

/* json: the section "added_tokens". Contents that the vocabulary lacks are added to it. On failure
 * *added is still to be released. */
bool added_tokens_init(struct added_tokens *added, const struct json *json,
                       struct vocabulary *vocabulary, struct error *err);
void added_tokens_done(struct added_tokens *added);

struct added_match {
    const struct added_token *token;
    size_t begin, end; /* bytes, with the white space that it swallows */
};

/* The next added token in text[at..len); false when there is none. lstrip reaches back to at. */
bool added_tokens_next(const struct added_tokens *added, const char *text, size_t len, size_t at,
                       struct added_match *match_out);

#endif
