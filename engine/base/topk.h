/* topk.h - the k best (score, docid) pairs of a stream.
 *
 * Order everywhere in Tercet: higher score first, equal scores by smaller docid, so that every
 * search is deterministic. A heap with the worst kept entry on top; topk_threshold is what a
 * candidate must beat, which is what lets block-max search skip. NaN scores are never kept. */
#ifndef TERCET_BASE_TOPK_H
#define TERCET_BASE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct scored {
    float score;
    uint32_t docid;
};

struct topk {
    struct scored *heap; /* [k], worst first */
    size_t n, k;
};

/* Storage for k entries comes from the arena. k may be 0. */
void topk_init(struct topk *topk, size_t k, struct arena *arena);

/* True when the entry was kept (for now). */
bool topk_push(struct topk *topk, float score, uint32_t docid);

/* The worst kept score once k are kept, else -INFINITY. A candidate with a score below it can
 * never enter; one with an equal score may (by its docid). */
float topk_threshold(const struct topk *topk);

/* Sorts heap[0..n) best first. The topk takes no more pushes afterwards. */
void topk_sort(struct topk *topk);

/* True when a comes before b in a result list. */
static inline bool scored_before(struct scored a, struct scored b) {
    return a.score > b.score || (a.score == b.score && a.docid < b.docid);
}

/* Sorts any array best first. */
void scored_sort(struct scored *entries, size_t n);

#endif
