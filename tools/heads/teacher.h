/* teacher.h - each query's group: its answers, hard negatives, and what a teacher thinks of them.
 *
 * Hard negatives are the row's own and the best of the dense ranking and of BM25's that are no
 * answers. The teacher is what the model can do without heads: .3 z(dense) + .4 z(BM25) + 1.2
 * z(MaxSim of the raw states), each score less its mean over the group, by its deviation there. */
#ifndef TERCET_HEADS_TEACHER_H
#define TERCET_HEADS_TEACHER_H

#include "tools/heads/corpus.h"
#include "tools/heads/states.h"

enum {
    HEADS_MINED = 12,   /* of each ranking */
    HEADS_NAMED = 24,   /* of a row's own */
    HEADS_ANSWERS = 16, /* of a row */
    HEADS_GROUP = HEADS_ANSWERS + HEADS_NAMED + 2 * HEADS_MINED,
};

struct heads_group {
    uint32_t texts[HEADS_GROUP]; /* answers_n answers, then the negatives */
    float logits[HEADS_GROUP];
    size_t answers_n, n;
};

struct bm25;

/* groups_out: [queries_n]. Each query by itself, spread over the pool. */
void heads_teach(const struct heads_corpus *corpus, const struct heads_states *texts,
                 const struct heads_states *queries, const struct bm25 *bm25, struct pool *pool,
                 struct heads_group *groups_out);

#endif
