/* cases.h - what `tercet bench encode` and `rerank` measure: texts as token ids, by case.
 *
 * Made up here, of lengths that matter, or read from a folder's inputs.json, which a race gives to
 * all who run in it. Ids only: neither JSON nor the tokenizer is ever timed. */
#ifndef TERCET_BENCH_CASES_H
#define TERCET_BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/forward.h"

enum case_kind {
    CASE_CORPUS,  /* all texts, batch by batch, as often as there is time: tokens/s */
    CASE_FIXED,   /* the same, three times at least */
    CASE_LATENCY, /* each text by itself: ms */
    CASE_SECONDS, /* a reranker's request: all texts, one answer, `repeats` times: s */
};

struct bench_case {
    const char *name;
    enum case_kind kind;
    struct forward_sequence *texts; /* [texts_n] */
    size_t texts_n, batch;
    uint32_t repeats;
};

/* Zeros are a valid empty one; done accepts NULL and half-built ones. */
struct cases {
    struct bench_case *list; /* [n] */
    size_t n;
    struct arena arena; /* holds everything */
};

/* The default cases: a query, 128 and 512 tokens, mixed lengths, and the longest document where the
 * model reads thousands of tokens; for a cross-encoder 20 pairs of 256 tokens. Ids are random. */
bool cases_make(const struct model *model, bool quick, struct cases *out, struct error *err);

/* FOLDER/inputs.json: {"cases": {NAME: {"kind": "corpus" | "fixed" | "latency" | "seconds",
 * "texts": [[id, ...], ...], "batch": n, "repeats": n}}}. ERROR_INVALID where the model cannot
 * read a text. */
bool cases_read(const struct model *model, const char *folder, struct cases *out,
                struct error *err);
void cases_done(struct cases *cases);

#endif
