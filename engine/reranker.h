/* reranker.h - (query, passage) pairs -> relevance, by a cross-encoder.
 *
 * XLM-RoBERTa with the two-layer head of BAAI/bge-reranker-base, -large and -v2-m3, BERT with
 * pooler and one layer as cross-encoder/ms-marco-MiniLM. The score is the raw logit or its sigmoid.
 * Pairs are cut as the model's own library does it: XLM-R as FlagReranker (only the passage, see
 * tokenizer.h), BERT as transformers (the longer first).
 * Pairs of one batch are packed like an encoder's texts. What pairs of one query have in common is
 * computed for each: in both architectures every token looks at every other, the passage's too, so
 * the query's states differ from pair to pair.
 * Threads: as an encoder: one thread calls a reranker at a time, its pool spreads a batch. */
#ifndef TERCET_RERANKER_H
#define TERCET_RERANKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct model;
struct pool;
struct reranker;

/* FlagReranker's default, and the length most cross-encoders were trained with. */
enum { RERANKER_LENGTH_DEFAULT = 512 };

enum reranker_cut { RERANKER_CUT_MODEL, RERANKER_CUT_ONLY_SECOND, RERANKER_CUT_LONGEST_FIRST };

struct reranker_options {
    uint32_t length_max; /* tokens of a pair; 0: 512, or the model's limit where that is less */
    bool normalize;      /* sigmoid */
    enum reranker_cut cut;
};

struct reranker_pair {
    const char *query, *passage; /* any bytes */
    size_t query_len, passage_len;
};

/* ERROR_UNSUPPORTED when the model is no cross-encoder. pool may be NULL; both are borrowed. */
bool reranker_open(const struct model *model, struct pool *pool,
                   const struct reranker_options *options, struct reranker **out,
                   struct error *err);
void reranker_close(struct reranker *reranker);

/* scores_out: [n]. ERROR_LIMIT when a pair that could not be cut is longer than the model reads. */
bool reranker_score(struct reranker *reranker, const struct reranker_pair *pairs, size_t n,
                    float *scores_out, struct error *err);

#endif
