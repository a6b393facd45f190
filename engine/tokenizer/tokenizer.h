/* tokenizer.h - text -> token ids with their byte ranges, exactly as Hugging Face's tokenizers.
 *
 * What the folder's tokenizer.json says is followed: added tokens, normalizer, pre-tokenizer,
 * model, template. Kinds known here: BERT's WordPiece, XLM-RoBERTa's Unigram.
 * Threads:  a tokenizer is immutable once open; any number of threads may use one at a time.
 * Memory:   results come from the caller's arena.
 * Input:    any bytes. Invalid UTF-8 is read as U+FFFD, one for each byte that cannot be used;
 *           byte offsets keep counting in the original text. */
#ifndef TERCET_TOKENIZER_H
#define TERCET_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

struct tokenizer;

struct token_range {
    uint32_t begin, end; /* bytes of the original text; [0, 0] for special tokens put in */
};

struct tokens {
    size_t n;
    uint32_t *ids;              /* [n] */
    struct token_range *ranges; /* [n] */
    uint8_t *type_ids;          /* [n] 0; 1 behind the first separator of a pair */
};

/* json: the bytes of tokenizer.json; `where` names it in messages. */
bool tokenizer_open(const char *json, size_t json_len, const char *where, struct tokenizer **out,
                    struct error *err);

/* The same for folders of before tokenizer.json: vocab.txt with a piece a line, and
 * tokenizer_config.json, whose settings are those of transformers' BertTokenizerFast. Rules, and
 * what of the settings is read: vocab_txt.h. */
struct tokenizer_vocab_files {
    const char *vocab; /* the bytes of vocab.txt */
    size_t vocab_len;
    const char *vocab_where; /* its name in messages */
    const char *config;      /* the bytes of tokenizer_config.json; NULL: there is none */
    size_t config_len;
    const char *config_where;
};
bool tokenizer_open_vocab(const struct tokenizer_vocab_files *files, struct tokenizer **out,
                          struct error *err);

void tokenizer_close(struct tokenizer *tokenizer);

/* The whole text with special tokens around it, at most max_length tokens: the first
 * max_length - specials and all the specials. max_length 0: no limit. Text of 4 GiB and more is
 * ERROR_LIMIT. */
bool tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                      size_t max_length, struct arena *arena, struct tokens *out,
                      struct error *err);

/* How a (query, passage) pair that is too long is cut.
 *   only_second    as FlagReranker does it: the query is cut to max_length * 3 / 4 tokens, then the
 *                  passage alone is cut so that everything fits; when not even an empty passage
 *                  would make it fit, nothing more is cut, and the pair stays longer (as there)
 *   longest_first  as transformers does it by default: the longer one is cut down to the other's
 *                  length, then both alike; an empty passage is no passage, and the query stands
 *                  alone */
enum tokenizer_cut { TOKENIZER_CUT_ONLY_SECOND, TOKENIZER_CUT_LONGEST_FIRST };

/* A pair with special tokens around it. The passage's ranges count in the passage. max_length 0: no
 * limit; with longest_first a max_length below the special tokens is ERROR_INVALID. */
bool tokenizer_encode_pair(const struct tokenizer *tokenizer, const char *query, size_t query_len,
                           const char *passage, size_t passage_len, size_t max_length,
                           enum tokenizer_cut cut, struct arena *arena, struct tokens *out,
                           struct error *err);

/* Behind the largest id. */
size_t tokenizer_vocabulary_n(const struct tokenizer *tokenizer);

/* The token's text as it stands in the vocabulary ("##ing"); NULL for an id out of range, and for
 * one that no text becomes (of vocab.txt: an empty line, or a piece that stands again later). */
const char *tokenizer_token_text(const struct tokenizer *tokenizer, uint32_t id);

/* Appends the token's text as a reader would have it: its blanks are blanks, the one in front goes
 * ("\u2581die" is "die"). Nothing for an id out of range. */
void tokenizer_decode_token(const struct tokenizer *tokenizer, uint32_t id, struct buf *out);

/* True for [CLS], [SEP], [PAD], [UNK], [MASK] and other special tokens: no lexical weight. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id);

#endif
