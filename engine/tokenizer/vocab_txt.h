/* vocab_txt.h - BERT's older tokenizer files, turned into the tokenizer.json they stand for.
 *
 * vocab.txt has a piece a line, its id the line's number from 0; tokenizer_config.json the
 * settings. What comes out is what transformers' BertTokenizerFast makes of the two (4.57.6:
 * load_vocab, BertConverter, the defaults of BertTokenizerFast):
 *   - lines end in LF, CR LF or CR; nothing else is cut off, a byte order mark neither;
 *   - a piece that stands on several lines has the id of the last, the other ids belong to no
 *     piece; an empty line takes up its id and is no piece;
 *   - settings: do_lower_case, strip_accents, tokenize_chinese_chars, the texts of the special
 *     tokens, additional_special_tokens, added_tokens_decoder. model_max_length is no setting of
 *     the tokenizer; do_basic_tokenize and never_split are those of the slow one.
 * Departure: a pad_token or mask_token that vocab.txt lacks is left out. transformers gives it an
 * id behind the last, for which the model has no row. */
#ifndef TERCET_TOKENIZER_VOCAB_TXT_H
#define TERCET_TOKENIZER_VOCAB_TXT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

struct json;

struct vocab_txt {
    const char *data; /* the bytes of vocab.txt */
    size_t len;
    const char *where;         /* its name in messages */
    const struct json *config; /* tokenizer_config.json; NULL: defaults */
    const char *config_where;
};

/* The tokenizer.json, for the caller to release; NULL on failure. *ids_max_out: behind the largest
 * id; the ids below it need not all belong to a piece. */
struct json *vocab_txt_to_json(const struct vocab_txt *files, size_t *ids_max_out,
                               struct error *err);

#endif
