/* bm25.h - BM25 of every text for a query, in memory: what finds hard negatives and helps to teach.
 *
 * Lucene's form (Robertson & Zaragoza 2009), k1 1.2, b .75, over the terms of an analyzer.
 * Threads: once made it is only read. */
#ifndef TERCET_HEADS_BM25_H
#define TERCET_HEADS_BM25_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct bm25;
struct encoder_text;
struct tokenizer;

/* analyzer: as in lexical.h. queries: analysed here, too, and named by their number later. */
bool bm25_open(const char *analyzer, const struct tokenizer *tokenizer,
               const struct encoder_text *texts, size_t texts_n, const struct encoder_text *queries,
               size_t queries_n, struct bm25 **out, struct error *err);
void bm25_close(struct bm25 *bm25);

/* out: [texts_n] */
void bm25_scores(const struct bm25 *bm25, size_t query, float *out);

#endif
