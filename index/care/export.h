/* export.h - every document of an index, with its representations, as lines of JSON.
 *
 * {"id", "title", "text", "fields"?, "dense"?, "sparse"?, "multi"?, "passages"?}, in order of
 * docids:
 *   dense   [dense_dim] numbers
 *   sparse  {"terms": {term: weight, ...}, "length"?}: terms are words where the index knows words,
 *           else the numbers of tokens; length in words where BM25 counts them
 *   multi   the codes of the token vectors as they are on disk, in base64; or, if asked for,
 *           [[multi_dim numbers], ...]: a vector a token as its codes have it, for other programs
 *           to read (ingested again it gets codes of its own, which may differ a little)
 *   passages  [{"begin", "end", "dense"?, "multi"?}, ...] instead of "dense" and "multi" of a
 *           document that has several: the bytes of its text and what was made of them
 * What is a "?" is left out when the index or the document has none. Every number reads back as the
 * same f32. */
#ifndef TERCET_INDEX_CARE_EXPORT_H
#define TERCET_INDEX_CARE_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "index/index.h"

/* Each line without its end, borrowed for the call; false stops with the error it set. */
typedef bool export_line(void *context, const char *line, size_t len, struct error *err);

/* One moment of the index, while others read and write. ERROR_CORRUPT when a row is damaged.
 * vectors: token vectors as numbers. */
bool index_export(struct index *index, bool vectors, export_line *line, void *context,
                  struct error *err);

#endif
