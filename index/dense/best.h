/* dense/best.h - inside dense search: the k best documents of a stream of rows, of which a document
 * may have several.
 *
 * Where every document has one row this is topk.h. Else rows are gathered, and now and then sorted:
 * of each document its best row is kept, and of the documents the k best. So the threshold is a
 * little behind, and nothing must be looked up when a row comes. */
#ifndef TERCET_INDEX_DENSE_BEST_H
#define TERCET_INDEX_DENSE_BEST_H

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/base/topk.h"

struct dense_best {
    struct topk topk; /* !several */
    bool several;
    struct scored *held; /* [room] */
    size_t n, room, k;
    float threshold;
};

/* several: a docid may come more than once. */
void dense_best_init(struct dense_best *best, size_t k, bool several, struct arena *arena);
void dense_best_push(struct dense_best *best, float score, uint32_t docid);

/* A row with a score below it cannot be among the best. */
float dense_best_threshold(const struct dense_best *best);

/* The best so far, k of them at most, in no order; until the next push. */
struct scored *dense_best_get(struct dense_best *best, size_t *n_out);

#endif
