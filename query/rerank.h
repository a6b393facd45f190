/* rerank.h - a cross-encoder over the best candidates, for as long as there is time.
 *
 * Passages are scored in the order they are given, batch by batch, so that what is scored when the
 * time is over is a beginning of them. With a deadline each batch tells what a pair costs, and none
 * is begun that would end too late at that pace; the first of a search goes by the last search's.
 * So a deadline is missed by what pairs differ in length, and by the first batch ever.
 * Threads: as the scorer. */
#ifndef TERCET_RERANK_H
#define TERCET_RERANK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/passage.h"
#include "engine/reranker.h"

enum {
    /* Without a deadline: enough for every core, and done soon enough that a cancelled search
     * ends. */
    RERANK_BATCH_MAX = 16,
    /* With one, while a pair's cost is unknown. */
    RERANK_BATCH_FIRST = 2,
    /* Far more than the 512 tokens that are read of a pair; bounds the tokenizer. */
    RERANK_PASSAGE_BYTES_MAX = 64 * 1024,
};

/* What scores pairs. */
struct rerank_scorer {
    const char *name; /* as clients are told */
    bool (*score)(void *context, const struct reranker_pair *pairs, size_t n, float *scores_out,
                  struct error *err); /* raw logits */
    void *context;
};

struct rerank_task {
    const struct rerank_scorer *scorer;
    const char *query;
    size_t query_len;
    double until_ms;              /* by clock_now_ms; INFINITY: no deadline */
    const atomic_bool *cancelled; /* NULL: never */
    double *pair_ms; /* what a pair cost last time, 0: unknown; kept up to date. NULL: unknown */
    /* The i-th passage, for the length of a batch in that arena. */
    bool (*passage)(void *context, size_t i, struct arena *arena, struct passage *out,
                    struct error *err);
    void *context;
};

/* scores_out: [n], of which *scored_out are filled. ERROR_STOPPED once cancelled. */
bool rerank(const struct rerank_task *task, size_t n, float *scores_out, size_t *scored_out,
            struct error *err);

#endif
