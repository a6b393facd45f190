#include "index/dense/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/pool.h"
#include "engine/base/topk.h"
#include "index/dense/best.h"
#include "index/dense/rotate.h"

enum {
    /* Rows that are looked at between two glances at the filter or the heap: their numbers stay in
     * the first cache. */
    BATCH = 256,
    SCORED = 16, /* rows that are scored by their bytes between two glances at the worst kept */
    /* Of scores by bytes, whose order may differ from the exact one: kept beyond the k-th. */
    MARGIN = 6,
    MARGIN_PART = 8, /* and an eighth of k */
};

/* A row is scored by its bytes when its guess and so many deviations reach the worst kept (1.9 in
 * the paper). 1.2 saves a quarter of the scoring and loses three neighbours in ten thousand. */
static const float doubts = 1.9f;

/* f32 sums in the rotation and the exact score, of either length: measured below 1e-6. */
static const float rounding = 4e-6f;

void dense_scan_init(struct dense_scan *scan, struct dense_file *file,
                     const struct snapshot *snapshot, const struct docid_set *allowed,
                     const float *query, struct arena *arena) {
    size_t rotated = file->lists.dim;
    float *vector = ARENA_ZERO(arena, float, rotated);
    memcpy(vector, query, file->dim * sizeof *query);
    dense_rotate(vector, rotated);
    *scan = (struct dense_scan){
        .file = file,
        .snapshot = snapshot,
        .allowed = allowed,
        .arena = arena,
        .query = {.high = ARENA_NEW(arena, int8_t, rotated),
                  .low = ARENA_NEW(arena, int8_t, rotated),
                  .byte = ARENA_NEW(arena, int8_t, rotated),
                  .whole = ARENA_NEW(arena, int16_t, rotated),
                  .dim = rotated},
    };
    double square = 0;
    for (size_t i = 0; i < rotated; i++)
        square += (double)vector[i] * (double)vector[i];
    scan->length = (float)sqrt(square);
    vec_s8_query_set(&scan->query, vector);
}

static bool damaged(struct error *err) {
    return error_set(err, ERROR_CORRUPT, "a dense generation's checksum does not match");
}

static bool touch(const struct dense_scan *scan, const void *at, size_t n, size_t entry_bytes) {
    return checked_map_touch(&scan->file->checked, at, n * entry_bytes);
}

/* May the search find it? */
static bool passes(const struct dense_scan *scan, uint32_t docid) {
    if (scan->allowed)
        return docid_set_has(scan->allowed, docid);
    return snapshot_is_live(scan->snapshot, docid);
}

/* ---- the lists nearest to the query ---- */

size_t dense_scan_breadth(const struct dense_lists *lists, size_t k) {
    double first = (double)lists->breadths[0], last = (double)lists->breadths[1];
    double steps = log((double)DENSE_BREADTH_K_LAST / DENSE_BREADTH_K_FIRST);
    double rows_k = (double)(k > 1 ? k : 1) * dense_rows_a_document(lists);
    double along = log(rows_k / DENSE_BREADTH_K_FIRST) / steps;
    double part = first + (last - first) * (along > 0 ? along : 0);
    double rows = part * (double)lists->rows_n;
    return rows < (double)lists->rows_n ? (size_t)rows : lists->rows_n;
}

/* Lists by distance: the query is taken to be as long as the rows are, so that for products the
 * nearest are the best. A heap, since few of them are wanted. */
struct nearest {
    struct scored *lists; /* [n] a heap, best first; docid: the list */
    size_t n;
    float *products; /* [lists_n] with the centres */
};

static void sift_down(struct scored *heap, size_t n, size_t i) {
    for (;;) {
        size_t best = i, left = 2 * i + 1, right = left + 1;
        if (left < n && scored_before(heap[left], heap[best]))
            best = left;
        if (right < n && scored_before(heap[right], heap[best]))
            best = right;
        if (best == i)
            return;
        struct scored held = heap[best];
        heap[best] = heap[i];
        heap[i] = held;
        i = best;
    }
}

static void nearest_init(struct nearest *nearest, const struct dense_scan *scan) {
    const struct dense_lists *lists = &scan->file->lists;
    size_t n = lists->lists_n;
    uint32_t *which = ARENA_NEW(scan->arena, uint32_t, n);
    float scale = scan->length > 0 ? lists->row_length / scan->length : 0;
    nearest->lists = ARENA_NEW(scan->arena, struct scored, n);
    nearest->products = ARENA_NEW(scan->arena, float, n);
    nearest->n = n;
    for (uint32_t i = 0; i < n; i++)
        which[i] = i;
    dense_centre_products(lists, &scan->query, which, nearest->products);
    for (uint32_t i = 0; i < n; i++)
        nearest->lists[i] =
            (struct scored){nearest->products[i] * scale - lists->centre_scales[i].square / 2, i};
    for (size_t i = n / 2; i-- > 0;)
        sift_down(nearest->lists, n, i);
}

static uint32_t nearest_pop(struct nearest *nearest) {
    uint32_t list = nearest->lists[0].docid;
    nearest->lists[0] = nearest->lists[--nearest->n];
    sift_down(nearest->lists, nearest->n, 0);
    return list;
}

/* One list's state while it is searched. */
struct list_scan {
    const struct dense_scan *scan;
    struct dense_best *best;
    float product, distance; /* of the query with, and from, the centre */
    uint32_t rows[BATCH];
    float sums[BATCH];
};

/* Scores n rows by their bytes. */
static bool score_rows(struct list_scan *list, const uint32_t *rows, size_t n, struct error *err) {
    const struct dense_scan *scan = list->scan;
    const struct dense_lists *lists = &scan->file->lists;
    float sums[SCORED];
    for (size_t i = 0; i < n; i++)
        if (!touch(scan, lists->bytes + (size_t)rows[i] * lists->dim, 1, lists->dim) ||
            !touch(scan, lists->scales + rows[i], 1, sizeof *lists->scales))
            return damaged(err);
    vec_s8_dots(&scan->query, lists->bytes, rows, n, sums);
    for (size_t i = 0; i < n; i++)
        dense_best_push(list->best, sums[i] * scan->query.scale * lists->scales[rows[i]].scale,
                        lists->docids[rows[i]]);
    return true;
}

/* The n rows in list->rows: guess, and score those that may be among the best. */
static bool look_at(struct list_scan *list, size_t n, struct error *err) {
    const struct dense_scan *scan = list->scan;
    const struct dense_lists *lists = &scan->file->lists;
    float slope = scan->query.byte_scale, doubt = doubts * list->distance;
    uint32_t passing[SCORED];
    size_t passing_n = 0;
    vec_s8_signs(&scan->query, lists->signs, list->rows, n, list->sums);
    for (size_t i = 0; i < n; i++) {
        struct dense_guess guess = lists->guesses[list->rows[i]];
        list->sums[i] = list->product + guess.constant + guess.slope * slope * list->sums[i] +
                        doubt * guess.doubt;
    }
    float threshold = dense_best_threshold(list->best);
    for (size_t i = 0; i < n; i++) {
        uint32_t row = list->rows[i];
        if (list->sums[i] < threshold || (!scan->allowed && !passes(scan, lists->docids[row])))
            continue;
        __builtin_prefetch(lists->bytes + (size_t)row * lists->dim);
        passing[passing_n++] = row;
        if (passing_n == SCORED) {
            if (!score_rows(list, passing, passing_n, err))
                return false;
            passing_n = 0;
            threshold = dense_best_threshold(list->best);
        }
    }
    return score_rows(list, passing, passing_n, err);
}

static bool scan_list(struct list_scan *list, uint32_t number, size_t *seen_n, struct error *err) {
    const struct dense_scan *scan = list->scan;
    const struct dense_lists *lists = &scan->file->lists;
    uint32_t begin = lists->begins[number], end = lists->begins[number + 1];
    if (!touch(scan, lists->docids + begin, end - begin, sizeof *lists->docids) ||
        !touch(scan, lists->guesses + begin, end - begin, sizeof *lists->guesses) ||
        !touch(scan, lists->signs + (size_t)begin * (lists->dim / 8), end - begin, lists->dim / 8))
        return damaged(err);
    for (uint32_t at = begin; at < end;) {
        size_t n = 0;
        if (scan->allowed)
            for (; at < end && n < BATCH; at++) { /* no branch: filters are hard to foretell */
                list->rows[n] = at;
                n += docid_set_has(scan->allowed, lists->docids[at]);
            }
        else
            for (; at < end && n < BATCH; at++)
                list->rows[n++] = at;
        if (n > 0 && !look_at(list, n, err))
            return false;
    }
    *seen_n += end - begin;
    return true;
}

/* A document may have several rows. */
static bool are_several(const struct dense_scan *scan) {
    return scan->file->lists.rows_n > scan->file->lists.documents_n;
}

static bool has_found(struct dense_best *best, size_t k) {
    size_t n;
    dense_best_get(best, &n);
    return n >= k;
}

static void take_docids(const struct dense_scan *scan, struct dense_best *best,
                        struct dense_candidates *out) {
    const struct scored *found = dense_best_get(best, &out->n);
    out->docids = ARENA_NEW(scan->arena, uint32_t, out->n);
    for (size_t i = 0; i < out->n; i++)
        out->docids[i] = found[i].docid;
}

bool dense_scan_near(struct dense_scan *scan, size_t k, size_t rows_min,
                     struct dense_candidates *out, struct error *err) {
    const struct dense_lists *lists = &scan->file->lists;
    struct nearest nearest;
    struct dense_best best;
    size_t seen_n = 0;
    dense_best_init(&best, k + MARGIN + k / MARGIN_PART, are_several(scan), scan->arena);
    nearest_init(&nearest, scan);
    struct list_scan *list = ARENA_NEW(scan->arena, struct list_scan, 1);
    list->scan = scan;
    list->best = &best;
    while (nearest.n > 0 && (seen_n < rows_min || !has_found(&best, k))) {
        uint32_t number = nearest_pop(&nearest);
        float square = scan->length * scan->length - 2 * nearest.products[number] +
                       lists->centre_scales[number].square;
        list->product = nearest.products[number];
        list->distance = square > 0 ? sqrtf(square) : 0;
        if (!scan_list(list, number, &seen_n, err))
            return false;
    }
    take_docids(scan, &best, out);
    return true;
}

/* ---- all rows, for certain ---- */

/* |<q,x> - score| is at most this. Lengths of x: below 127 scales a dimension. */
static float bound_of(const struct dense_scan *scan, struct dense_bytes scale) {
    float longest = scale.scale * 127 * sqrtf((float)scan->query.dim) + scale.error;
    return scan->length * scale.error + longest * (scan->query.error + rounding * scan->length);
}

/* Rows are split among workers; each has the best k lower bounds of its part, of documents: what a
 * document's best row reaches at least, the document does. */
struct sure {
    struct dense_scan *scan;
    const uint32_t *rows; /* [rows_n]; NULL: 0, 1, .. */
    size_t rows_n, parts_n;
    float *scores;            /* [rows_n] by their bytes */
    struct dense_best *bests; /* [parts_n] of lower bounds */
    bool *sound;              /* [parts_n] */
};

static size_t part_begin(const struct sure *sure, size_t part) {
    return sure->rows_n * part / sure->parts_n;
}

static uint32_t row_at(const struct sure *sure, size_t i) {
    return sure->rows ? sure->rows[i] : (uint32_t)i;
}

static bool rows_sound(const struct dense_scan *scan, const uint32_t *rows, size_t n) {
    const struct dense_lists *lists = &scan->file->lists;
    for (size_t i = 0; i < n;) {
        size_t run = 1;
        while (i + run < n && rows[i + run] == rows[i] + run)
            run++;
        if (!touch(scan, lists->bytes + (size_t)rows[i] * lists->dim, run, lists->dim) ||
            !touch(scan, lists->docids + rows[i], run, sizeof *lists->docids) ||
            !touch(scan, lists->scales + rows[i], run, sizeof *lists->scales))
            return false;
        i += run;
    }
    return true;
}

static void score_part(void *context, size_t part, size_t worker) {
    struct sure *sure = context;
    const struct dense_scan *scan = sure->scan;
    const struct dense_lists *lists = &scan->file->lists;
    struct dense_best *best = &sure->bests[part];
    uint32_t rows[BATCH];
    size_t end = part_begin(sure, part + 1);
    (void)worker;
    sure->sound[part] = false;
    for (size_t at = part_begin(sure, part); at < end;) {
        size_t n = end - at < BATCH ? end - at : BATCH;
        for (size_t i = 0; i < n; i++)
            rows[i] = row_at(sure, at + i);
        if (!rows_sound(scan, rows, n))
            return;
        vec_s8_dots(&scan->query, lists->bytes, rows, n, sure->scores + at);
        for (size_t i = 0; i < n; i++) {
            struct dense_bytes scale = lists->scales[rows[i]];
            float score = sure->scores[at + i] *= scan->query.scale * scale.scale;
            if (score > dense_best_threshold(best)) { /* its lower bound may be, too */
                uint32_t docid = lists->docids[rows[i]];
                if (sure->rows || passes(scan, docid))
                    dense_best_push(best, score - bound_of(scan, scale), docid);
            }
        }
        at += n;
    }
    sure->sound[part] = true;
}

/* The rows that a filter lets through. False: damaged. */
static bool allowed_rows(const struct dense_scan *scan, uint32_t **rows_out, size_t *n_out) {
    const struct dense_lists *lists = &scan->file->lists;
    uint32_t *rows = ARENA_NEW(scan->arena, uint32_t, lists->rows_n);
    size_t n = 0;
    for (uint32_t docid = docid_set_next(scan->allowed, 0); docid < lists->covered_end;
         docid = docid_set_next(scan->allowed, docid + 1)) {
        if (!touch(scan, lists->firsts + docid, 2, sizeof *lists->firsts))
            return false;
        uint32_t begin = lists->firsts[docid], end = lists->firsts[docid + 1];
        if (begin == end)
            continue;
        if (begin > end || end > lists->rows_n ||
            !touch(scan, lists->places + begin, end - begin, sizeof *lists->places))
            return false;
        for (uint32_t i = begin; i < end; i++)
            rows[n++] = lists->places[i];
    }
    *rows_out = rows;
    *n_out = n;
    return true;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Each docid once. */
static size_t distinct(uint32_t *docids, size_t n) {
    size_t kept = 0;
    if (n > 0)
        qsort(docids, n, sizeof *docids, compare_u32);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || docids[i] != docids[kept - 1])
            docids[kept++] = docids[i];
    return kept;
}

/* Every row whose upper bound reaches the k-th best lower bound of all. */
static void collect(const struct sure *sure, size_t k, struct dense_candidates *out) {
    const struct dense_scan *scan = sure->scan;
    const struct dense_lists *lists = &scan->file->lists;
    struct dense_best all;
    size_t n;
    dense_best_init(&all, k, are_several(scan), scan->arena);
    for (size_t part = 0; part < sure->parts_n; part++) {
        const struct scored *found = dense_best_get(&sure->bests[part], &n);
        for (size_t i = 0; i < n; i++)
            dense_best_push(&all, found[i].score, found[i].docid);
    }
    dense_best_get(&all, &n);
    float threshold = dense_best_threshold(&all);
    out->docids = ARENA_NEW(scan->arena, uint32_t, sure->rows_n);
    out->n = 0;
    for (size_t i = 0; i < sure->rows_n; i++) {
        uint32_t row = row_at(sure, i), docid = lists->docids[row];
        if (sure->scores[i] + bound_of(scan, lists->scales[row]) >= threshold &&
            (sure->rows || passes(scan, docid)))
            out->docids[out->n++] = docid;
    }
    if (are_several(scan))
        out->n = distinct(out->docids, out->n);
}

bool dense_scan_sure(struct dense_scan *scan, size_t k, struct pool *pool,
                     struct dense_candidates *out, struct error *err) {
    uint32_t *rows = NULL;
    size_t rows_n = scan->file->lists.rows_n, parts_n = pool ? pool_workers_n(pool) : 1;
    bool sound = true;
    if (scan->allowed && !allowed_rows(scan, &rows, &rows_n))
        return damaged(err);
    struct sure sure = {
        .scan = scan,
        .rows = rows,
        .rows_n = rows_n,
        .parts_n = parts_n,
        .scores = ARENA_NEW(scan->arena, float, rows_n),
        .bests = ARENA_NEW(scan->arena, struct dense_best, parts_n),
        .sound = ARENA_NEW(scan->arena, bool, parts_n),
    };
    for (size_t part = 0; part < parts_n; part++)
        dense_best_init(&sure.bests[part], k, are_several(scan), scan->arena);
    if (pool)
        pool_run(pool, parts_n, score_part, &sure);
    else
        score_part(&sure, 0, 0);
    for (size_t part = 0; part < parts_n; part++)
        sound = sound && sure.sound[part];
    if (!sound)
        return damaged(err);
    collect(&sure, k, out);
    return true;
}
