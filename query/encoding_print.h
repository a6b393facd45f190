/* encoding_print.h - what an encoder and a scorer found, as the JSON that the command line and the
 * server share (docs/http-api.md). Written without a tree: token vectors are millions of numbers.
 *
 *   encoding   "dense":[..],"sparse":{"<token id or word>":w},"multi":[[..]],"tokens":n
 *   score      "dense":x,"sparse":x,"colbert":x,"sparse+dense":x,"colbert+sparse+dense":x */
#ifndef TERCET_ENCODING_PRINT_H
#define TERCET_ENCODING_PRINT_H

#include "engine/base/buf.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "engine/score.h"

/* "[1,.5]": nine significant digits, so that every f32 comes back the same. */
void encoding_print_floats(const float *values, size_t n, struct buf *out);

/* [[..],..]: the token vectors. */
void encoding_print_multi(const struct encoding *encoding, uint32_t dim, struct buf *out);

/* A text as a JSON string, quotes included; what is no UTF-8 becomes U+FFFD. */
void encoding_print_text(const char *text, size_t len, struct buf *out);

/* The members of an object, without its braces: ENCODE_... modes, then "tokens".
 * by_text: not NULL: lexical terms by their tokens' texts instead of their ids. Two tokens may have
 * one text ("die" and "\u2581die"): a reader keeps the later one, as FlagEmbedding's
 * convert_id_to_token does. */
void encoding_print(const struct encoding *encoding, const struct model_info *info, unsigned modes,
                    const struct tokenizer *by_text, struct buf *out);

/* Likewise. What needs lexical weights is null where the model has no sparse head: counted words
 * have no score without a collection. */
void encoding_print_score(const struct score *score, const struct model_info *info,
                          struct buf *out);

#endif
