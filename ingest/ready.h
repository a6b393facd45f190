/* ready.h - representations that come with a row, as `tercet export` writes them.
 *
 *   "dense"   [dense_dim numbers], of length 1 where scores shall be cosines
 *   "sparse"  {"terms": {term: weight, ...}, "length": words}: terms are words where the index
 *             analyses words, else the numbers of the model's tokens
 *   "multi"   [[multi_dim numbers], ...], each of length 1; or a string, the codes that an index
 *             made of them (base64; docs/disk-format.md, "multi"); none is fine
 *   "passages"  [{"begin": byte, "end": byte, "dense": .., "multi": ..}, ...] instead of "dense"
 *             and "multi", into a chunked index: parts of the text, in order; they may overlap
 * A row that brings one brings all that the index keeps; but where it counts words, "sparse" may be
 * left out, and they are counted in title and text. */
#ifndef TERCET_INGEST_READY_H
#define TERCET_INGEST_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/encoder.h"
#include "index/index.h"
#include "index/writer.h"

/* As the row has them, before the index is asked whether they fit. */
struct ready_vectors {
    uint32_t begin, end; /* of a passage: bytes of the text */
    const float *dense;  /* [dense_n]; NULL: none */
    size_t dense_n;
    const float *multi; /* [multi_n, multi_dim] */
    size_t multi_n, multi_dim;
    const void *multi_codes; /* instead, as an index keeps them; [multi_codes_len]. NULL: none */
    size_t multi_codes_len;
};
struct ready {
    struct ready_vectors whole;
    const struct ready_vectors *passages; /* [passages_n] instead of it, or 0 */
    size_t passages_n;
    bool has_sparse;
    struct lexical lexical; /* its terms are words here */
};

/* *out NULL: the row brings none. ERROR_INVALID names the member that is wrong. text: the row's. */
bool ready_from_json(const struct json *row, const char *text, size_t text_len, struct arena *arena,
                     const struct ready **out, struct error *err);

/* What an encoder would have given to an index of these settings; it borrows from `ready`. Words
 * are still to be counted where !has_sparse and the index counts them.
 * ERROR_INVALID when it does not fit the index; whether multi_codes are codes, writer_put sees. */
bool ready_encoding(const struct ready *ready, const struct index_settings *settings,
                    struct arena *arena, struct encoding *out, struct error *err);

/* Its passages as a record has them, [passages_n]; whether they fit was seen by ready_encoding. */
const struct record_passage *ready_passages(const struct ready *ready, struct arena *arena);

/* Bytes held in memory. */
size_t ready_bytes(const struct ready *ready);

/* For row_hash: other representations are another document. */
uint64_t ready_hash(const struct ready *ready, uint64_t seed);

#endif
