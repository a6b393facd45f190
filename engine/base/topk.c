#include "engine/base/topk.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/arena.h"

void topk_init(struct topk *topk, size_t k, struct arena *arena) {
    *topk = (struct topk){.heap = ARENA_NEW(arena, struct scored, k), .k = k};
}

static void sift_up(struct scored *heap, size_t i) {
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!scored_before(heap[parent], heap[i]))
            return;
        struct scored held = heap[parent];
        heap[parent] = heap[i];
        heap[i] = held;
        i = parent;
    }
}

static void sift_down(struct scored *heap, size_t n, size_t i) {
    for (;;) {
        size_t worst = i, left = 2 * i + 1, right = left + 1;
        if (left < n && scored_before(heap[worst], heap[left]))
            worst = left;
        if (right < n && scored_before(heap[worst], heap[right]))
            worst = right;
        if (worst == i)
            return;
        struct scored held = heap[worst];
        heap[worst] = heap[i];
        heap[i] = held;
        i = worst;
    }
}

bool topk_push(struct topk *topk, float score, uint32_t docid) {
    struct scored entry = {.score = score, .docid = docid};
    if (isnan(score) || topk->k == 0)
        return false;
    if (topk->n < topk->k) {
        topk->heap[topk->n++] = entry;
        sift_up(topk->heap, topk->n - 1);
        return true;
    }
    if (!scored_before(entry, topk->heap[0]))
        return false;
    topk->heap[0] = entry;
    sift_down(topk->heap, topk->n, 0);
    return true;
}

float topk_threshold(const struct topk *topk) {
    if (topk->k == 0)
        return INFINITY;
    return topk->n == topk->k ? topk->heap[0].score : -INFINITY;
}

static int compare_scored(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    return scored_before(*x, *y) ? -1 : scored_before(*y, *x) ? 1 : 0;
}

void scored_sort(struct scored *entries, size_t n) {
    if (n > 1)
        qsort(entries, n, sizeof *entries, compare_scored);
}

void topk_sort(struct topk *topk) {
    scored_sort(topk->heap, topk->n);
}
