/* query.h - a question in the three representations, ready to be compared with an index. */
#ifndef TERCET_QUERY_H
#define TERCET_QUERY_H

#include "engine/base/sparse_vector.h"
#include "engine/encoder.h"
#include "engine/tokenizer/tokenizer.h"
#include "index/index.h"

struct query {
    const char *text;
    size_t text_len;
    const float *dense; /* [dense_dim] */
    struct sparse_vector sparse;
    const struct lexical_term **terms; /* [sparse.n]: the term behind each sparse id */
    const float *multi;                /* [multi_n, multi_dim] */
    uint32_t multi_n;
    const struct token_range *multi_ranges; /* [multi_n], bytes of text */
    const char *passage_instruction;        /* what stood in front of passages; "" for nothing */
    uint32_t passage_length_max; /* tokens that passages were cut to; 0: the model's limit */
};

/* ready: NULL, or what the encoder made of this text before; it is borrowed then.
 * Words are looked up in the snapshot's dictionary; those that no document says are left out.
 * modes: the ENCODE_... that will be compared; the others stay empty. */
bool query_encode(struct encoder *encoder, unsigned modes, const struct index_settings *settings,
                  struct snapshot *snapshot, const char *text, size_t len, struct arena *arena,
                  const struct encoding *ready, struct query *out, struct error *err);

#endif
