/* sparse_texts.h - BM25 from texts to ranked texts, for `tercet bench sparse --bm25`. */
#ifndef TERCET_BENCH_SPARSE_TEXTS_H
#define TERCET_BENCH_SPARSE_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* folder: BEIR's layout (corpus.jsonl, queries.jsonl, qrels). Makes an index in `made` of title and
 * text of each document, analysed as English, and prints rows as a race's other runners do: build,
 * bytes, and queries a second, one at a time with their analysis, nDCG@10 beside them. The best of
 * rounds_n passes. */
bool sparse_texts_bench(const char *folder, const char *made, size_t rounds_n, struct error *err);

#endif
