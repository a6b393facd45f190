/* metaspace.h - from a normalized text to words: tokenizer.json's pre_tokenizer of XLM-R.
 *
 * Metaspace alone, or a Sequence of WhitespaceSplit and Metaspace. Metaspace makes a blank U+2581,
 * puts one in front, and cuts before each; WhitespaceSplit cuts at white space before that and
 * drops it, so that blanks at the end leave nothing. The mark in front has the bytes of the code
 * point behind it.
 * Threads: immutable once read. */
#ifndef TERCET_TOKENIZER_METASPACE_H
#define TERCET_TOKENIZER_METASPACE_H

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/tokenizer/lattice.h"
#include "engine/tokenizer/xlmr_normalizer.h"

struct json;

enum metaspace_prepend { METASPACE_ALWAYS, METASPACE_FIRST, METASPACE_NEVER };

struct metaspace {
    bool splits_at_white;
    bool cuts;                      /* before each mark */
    enum metaspace_prepend prepend; /* FIRST: before what stands for byte 0 of the text */
    enum xlmr_blanks blanks;        /* the normalizer's Replace, done here */
};

/* json: the section "pre_tokenizer". */
bool metaspace_init(struct metaspace *metaspace, const struct json *json, enum xlmr_blanks blanks,
                    struct error *err);

/* Feeds the words of the stream's text to the lattice, until its sink is full. */
void metaspace_cut(const struct metaspace *metaspace, struct xlmr_stream *stream,
                   struct lattice *lattice);

#endif
