#include "tools/eval/measures.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/map.h"

enum { NDCG_DEPTH = 10, MRR_DEPTH = 10, RECALL_DEPTH = 100 };

static int compare_hits(const void *a, const void *b) {
    const struct run_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(y->doc_key, x->doc_key);
}

static int compare_gains(const void *a, const void *b) {
    return *(const int *)b - *(const int *)a;
}

static double discounted(int gain, size_t rank) {
    return gain / log2((double)rank + 1);
}

static double ideal_dcg(const struct judged_query *query, struct arena *arena) {
    int *gains = ARENA_NEW(arena, int, query->judgments_n);
    size_t n = 0;
    double dcg = 0;
    for (size_t i = 0; i < query->judgments_n; i++)
        if (query->judgments[i].relevance > 0)
            gains[n++] = query->judgments[i].relevance;
    if (n)
        qsort(gains, n, sizeof *gains, compare_gains);
    for (size_t i = 0; i < n && i < NDCG_DEPTH; i++)
        dcg += discounted(gains[i], i + 1);
    return dcg;
}

struct measures measures_of(const struct judged_query *query, struct run_hit *hits, size_t hits_n,
                            struct arena *arena) {
    struct measures measures = {0};
    struct map relevance = {0};
    size_t relevant_n = 0, found = 0;
    double dcg = 0;
    for (size_t i = 0; i < query->judgments_n; i++) {
        const struct judgment *judgment = &query->judgments[i];
        if (judgment->relevance <= 0)
            continue;
        map_put(&relevance, judgment->doc_key, strlen(judgment->doc_key),
                (uint32_t)judgment->relevance, NULL);
        relevant_n++;
    }
    if (hits_n)
        qsort(hits, hits_n, sizeof *hits, compare_hits);
    for (size_t rank = 1; rank <= hits_n; rank++) {
        const char *key = hits[rank - 1].doc_key;
        uint32_t *gain = map_find(&relevance, key, strlen(key));
        if (!gain)
            continue;
        found++;
        measures.map += (double)found / (double)rank;
        if (rank <= NDCG_DEPTH)
            dcg += discounted((int)*gain, rank);
        if (rank <= MRR_DEPTH && measures.mrr_10 == 0)
            measures.mrr_10 = 1.0 / (double)rank;
        if (rank <= RECALL_DEPTH)
            measures.recall_100 += 1;
    }
    map_done(&relevance);
    if (relevant_n == 0)
        return (struct measures){0};
    measures.ndcg_10 = dcg / ideal_dcg(query, arena);
    measures.recall_100 /= (double)relevant_n;
    measures.map /= (double)relevant_n;
    return measures;
}
