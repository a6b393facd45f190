/* encoder.h - texts -> dense vectors, lexical weights and multi-vectors.
 *
 * A batch is packed: the tokens of all its texts stand one behind the other and no padding is
 * computed. BERT's forward pass (Devlin et al. 2018); the three representations are BGE-M3's
 * (Chen et al. 2024, arXiv 2402.03216):
 *   dense    hidden state of token 0 (CLS) or the mean of all, as the folder says; mostly
 *            L2-normalised: inner product = cosine
 *   lexical  relu(sparse_linear(h)), the maximum per token id, specials left out; without the head,
 *            counted words or ids for BM25 (lexical.h)
 *   multi    colbert_linear(h), or h itself without the head, of every token but the first,
 *            L2-normalised
 * An instruction stands in front of the text for the dense vector only: with one, a text goes
 * through the model twice, unless only dense or nothing but the others is asked for, or one_pass.
 * Threads: an encoder is a session: one thread calls it at a time. Its pool spreads the work of a
 * batch. The model is shared and must outlive it. */
#ifndef TERCET_ENCODER_H
#define TERCET_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/lexical.h"
#include "engine/tokenizer/tokenizer.h"

struct model;
struct pool;
struct encoder;

enum { ENCODE_DENSE = 1, ENCODE_LEXICAL = 2, ENCODE_MULTI = 4, ENCODE_ALL = 7 };

struct encoder_options {
    unsigned modes;          /* ENCODE_... */
    const char *instruction; /* put in front for the dense vector; NULL or "": none */
    bool one_pass;           /* read everything behind the instruction, its own tokens left out */
    bool unit_length;        /* dense vectors of length 1, also of models that do not say so */
    uint32_t length_max;     /* tokens, specials included; 0: the model's own limit */
    const char *analyzer;    /* "head", "words:en", "model"; NULL: the model's default */
};

struct encoder_text {
    const char *text;
    size_t len;
};

/* Everything lies in the arena given to encoder_encode. */
struct encoding {
    uint32_t tokens_n;  /* that went through the model, specials and instruction included, in all */
    const float *dense; /* [dense_dim], or NULL when not asked for */
    struct lexical lexical;
    const float *multi; /* [multi_n, multi_dim] row-major */
    uint32_t multi_n;
    /* For each multi-vector, its token's byte range in the text; [0, 0] for the closing special
     * token. [multi_n] */
    const struct token_range *multi_ranges;
};

/* pool may be NULL: the calling thread does all the work. Both are borrowed. */
bool encoder_open(const struct model *model, struct pool *pool,
                  const struct encoder_options *options, struct encoder **out, struct error *err);
void encoder_close(struct encoder *encoder);

/* out: [n]. The batch is split into sequences over the pool, longest first; give it texts of like
 * length and some thousands of tokens in all. */
bool encoder_encode(struct encoder *encoder, const struct encoder_text *texts, size_t n,
                    struct arena *arena, struct encoding *out, struct error *err);

/* The same for some of the modes that the encoder was opened with. */
bool encoder_encode_modes(struct encoder *encoder, unsigned modes, const struct encoder_text *texts,
                          size_t n, struct arena *arena, struct encoding *out, struct error *err);

/* The tokens of a text as an encoder reads it, bare or behind an instruction (NULL or "": none):
 * `first` is the first token that is the text's own and has a multi-vector; ranges count in the
 * text. length_max 0: no limit. */
bool encoder_read(const struct model *model, const char *instruction, uint32_t length_max,
                  const struct encoder_text *text, struct arena *arena, struct tokens *out,
                  size_t *first_out, struct error *err);

#endif
