/* wordpiece.h - BERT's tokenizer: BertNormalizer, BertPreTokenizer, WordPiece.
 *
 * A word is what stands between white space, and every punctuation mark is a word. It is cut into
 * the longest pieces from its start that the vocabulary has, those behind the first with "##" in
 * front (Wu et al. 2016). A word with a part that no piece covers, or of more characters than the
 * model's limit, is one unknown token. */
#ifndef TERCET_TOKENIZER_WORDPIECE_H
#define TERCET_TOKENIZER_WORDPIECE_H

#include "engine/tokenizer/pipeline.h"

extern const struct pipeline_kind wordpiece_kind;

#endif
