/* unigram.h - XLM-RoBERTa's tokenizer: Precompiled charsmap, Metaspace, Unigram.
 *
 * Three layouts of one tokenizer are in use (bge-m3's file, bge-reranker-v2-m3's, and what
 * transformers 5 writes); they differ in what blanks at the end and in a row become, and the file
 * is followed: xlmr_normalizer.h and metaspace.h read their sections, lattice.h has the model. */
#ifndef TERCET_TOKENIZER_UNIGRAM_H
#define TERCET_TOKENIZER_UNIGRAM_H

#include "engine/tokenizer/pipeline.h"

extern const struct pipeline_kind unigram_kind;

#endif
