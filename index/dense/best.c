#include "index/dense/best.h"

#include <math.h>
#include <stdlib.h>

/* What is sorted at least, however small k is. */
enum { ROOM_MIN = 64 };

void dense_best_init(struct dense_best *best, size_t k, bool several, struct arena *arena) {
    *best = (struct dense_best){.several = several, .k = k, .threshold = -INFINITY};
    if (!several) {
        topk_init(&best->topk, k, arena);
        return;
    }
    best->room = 2 * k > ROOM_MIN ? 2 * k : ROOM_MIN;
    best->held = ARENA_NEW(arena, struct scored, best->room);
}

static int by_docid(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    if (x->docid != y->docid)
        return x->docid < y->docid ? -1 : 1;
    return (x->score < y->score) - (x->score > y->score);
}

/* One row a document, k documents. */
static void thin(struct dense_best *best) {
    size_t kept = 0;
    if (best->n > 0)
        qsort(best->held, best->n, sizeof *best->held, by_docid);
    for (size_t i = 0; i < best->n; i++)
        if (i == 0 || best->held[i].docid != best->held[kept - 1].docid)
            best->held[kept++] = best->held[i];
    best->n = kept;
    if (kept < best->k || kept == 0)
        return;
    scored_sort(best->held, kept);
    best->n = best->k;
    best->threshold = best->k > 0 ? best->held[best->k - 1].score : INFINITY;
}

void dense_best_push(struct dense_best *best, float score, uint32_t docid) {
    if (!best->several) {
        topk_push(&best->topk, score, docid);
        return;
    }
    if (!(score >= best->threshold))
        return;
    best->held[best->n++] = (struct scored){score, docid};
    if (best->n == best->room)
        thin(best);
}

float dense_best_threshold(const struct dense_best *best) {
    return best->several ? best->threshold : topk_threshold(&best->topk);
}

struct scored *dense_best_get(struct dense_best *best, size_t *n_out) {
    if (best->several)
        thin(best);
    *n_out = best->several ? best->n : best->topk.n;
    return best->several ? best->held : best->topk.heap;
}
