/* How much of the lists a search must look at (dense/train.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/topk.h"
#include "engine/base/vec_s8.h"
#include "index/dense/train.h"

enum {
    QUERIES = 100,
    /* Rows that are compared with each: 10 ms a query at 1,024 dimensions. With more rows every
     * so manieth is taken, whose neighbours lie farther apart than all rows' do: a little more than
     * needed is looked at then. */
    COMPARED_MAX = 100 * 1000,
    BATCH = 256,
};

/* Rows find their neighbours more easily than questions do, which lie beside the rows. Twice what
 * 98 % of neighbours need gave .99 to .995 of them on the sets of docs/search-dense.md. */
static const double enough = 0.98, more = 1.25;

struct measuring {
    const struct dense_lists *lists;
    const atomic_bool *stop;
    float *parts;   /* [QUERIES, DENSE_BREADTH_K_LAST] of the rows, seen before the neighbour is */
    size_t found_n; /* neighbours of each query */
};

static uint32_t list_of(const struct dense_lists *lists, uint32_t row) {
    uint32_t low = 0, high = lists->lists_n; /* begins[low] <= row < begins[high] */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (lists->begins[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void decode(const struct dense_lists *lists, uint32_t row, float *out) {
    const uint8_t *bytes = lists->bytes + (size_t)row * lists->dim;
    for (size_t i = 0; i < lists->dim; i++)
        out[i] = lists->scales[row].scale * (float)(bytes[i] - VEC_S8_BIAS);
}

/* The rows nearest to one, those of its own document left out; their places as docids. */
static void neighbours(const struct measuring *measuring, const struct vec_s8_query *query,
                       uint32_t self, struct topk *topk) {
    const struct dense_lists *lists = measuring->lists;
    uint32_t step = lists->rows_n / COMPARED_MAX + 1, rows[BATCH];
    float sums[BATCH];
    for (uint32_t row = 0; row < lists->rows_n && !atomic_load(measuring->stop);) {
        size_t n = 0;
        for (; n < BATCH && row < lists->rows_n; row += step)
            rows[n++] = row;
        vec_s8_dots(query, lists->bytes, rows, n, sums);
        for (size_t i = 0; i < n; i++)
            if (lists->docids[rows[i]] != lists->docids[self])
                topk_push(topk, sums[i] * lists->scales[rows[i]].scale, rows[i]);
    }
    topk_sort(topk);
}

/* For each list, the part of all rows that has been looked at when it is done. */
static void reached(const struct dense_lists *lists, const struct vec_s8_query *query,
                    struct arena *arena, float *parts_out) {
    struct scored *order = ARENA_NEW(arena, struct scored, lists->lists_n);
    float *products = ARENA_NEW(arena, float, lists->lists_n);
    uint32_t *which = ARENA_NEW(arena, uint32_t, lists->lists_n);
    size_t seen_n = 0;
    for (uint32_t l = 0; l < lists->lists_n; l++)
        which[l] = l;
    dense_centre_products(lists, query, which, products);
    for (uint32_t l = 0; l < lists->lists_n; l++)
        order[l] = (struct scored){products[l] - lists->centre_scales[l].square / 2, l};
    scored_sort(order, lists->lists_n);
    for (uint32_t i = 0; i < lists->lists_n; i++) {
        uint32_t l = order[i].docid;
        seen_n += lists->begins[l + 1] - lists->begins[l];
        parts_out[l] = (float)seen_n / (float)lists->rows_n;
    }
}

static void measure_one(void *context, size_t item, size_t worker) {
    struct measuring *measuring = context;
    const struct dense_lists *lists = measuring->lists;
    uint32_t self = (uint32_t)(item * lists->rows_n / QUERIES);
    float *parts_out = measuring->parts + item * measuring->found_n;
    struct arena arena = {0};
    struct topk topk;
    (void)worker;
    float *row = ARENA_NEW(&arena, float, lists->dim);
    float *parts = ARENA_NEW(&arena, float, lists->lists_n);
    struct vec_s8_query query = vec_s8_query_new(lists->dim);
    decode(lists, self, row);
    vec_s8_query_set(&query, row);
    topk_init(&topk, measuring->found_n, &arena);
    neighbours(measuring, &query, self, &topk);
    reached(lists, &query, &arena, parts);
    for (size_t i = 0; i < measuring->found_n; i++)
        parts_out[i] = i < topk.n ? parts[list_of(lists, topk.heap[i].docid)] : 0;
    vec_s8_query_done(&query);
    arena_done(&arena);
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of the first k neighbours of all queries. */
static float breadth_for(const struct measuring *measuring, size_t k, float *scratch) {
    size_t n = 0;
    k = k < measuring->found_n ? k : measuring->found_n;
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < k; i++)
            scratch[n++] = measuring->parts[q * measuring->found_n + i];
    if (n == 0)
        return 1;
    qsort(scratch, n, sizeof *scratch, by_size);
    double part = more * (double)scratch[(size_t)(enough * (double)(n - 1))];
    return part < 1 ? (float)part : 1;
}

bool dense_measure_breadths(const struct dense_lists *lists, struct pool *pool,
                            const atomic_bool *stop, float *breadths_out) {
    size_t others_n = lists->rows_n > 0 ? lists->rows_n - 1 : 0;
    struct measuring measuring = {
        .lists = lists,
        .stop = stop,
        .found_n = others_n < DENSE_BREADTH_K_LAST ? others_n : DENSE_BREADTH_K_LAST,
    };
    size_t parts_n = QUERIES * measuring.found_n;
    measuring.parts = mem_zalloc(parts_n, sizeof *measuring.parts);
    if (lists->rows_n > 0)
        pool_run(pool, QUERIES, measure_one, &measuring);
    float *scratch = mem_alloc(parts_n, sizeof *scratch);
    breadths_out[0] = breadth_for(&measuring, DENSE_BREADTH_K_FIRST, scratch);
    breadths_out[1] = breadth_for(&measuring, DENSE_BREADTH_K_LAST, scratch);
    free(scratch);
    free(measuring.parts);
    return !atomic_load(stop);
}
