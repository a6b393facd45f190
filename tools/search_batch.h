/* search_batch.h - `tercet search INDEX --batch`: a request a line in, an answer a line out. */
#ifndef TERCET_SEARCH_BATCH_H
#define TERCET_SEARCH_BATCH_H

#include "query/batch.h"

/* Reads standard input to its end and prints to standard output, as many at a time as a batch has.
 * *failed_out: lines that were answered with {"error"}. */
bool search_batch_stream(struct searcher *searcher, const struct rerank_scorer *reranker,
                         size_t *failed_out, struct error *err);

#endif
