/* Dense search over a snapshot: candidates, exact scores, newer rows (dense.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/topk.h"
#include "engine/base/vec.h"
#include "index/dense/dense.h"
#include "index/dense/scan.h"
#include "index/index.h"

enum {
    /* Rows that are read on to and scored cost so many lookups less than one that is looked up;
     * one that is only passed over, half of a scored one (measured at 384 dimensions: 0.05, 0.026
     * and 0.26 us). */
    LOOKUP_ROWS = 5,
    PASSED_A_ROW = 2,
    /* So few allowed rows are looked up in LMDB: no query need be rotated. */
    LOOKUPS_MAX = 128,
    /* So few for each that is wanted are all scored by their bytes, instead of through lists. */
    SURE_A_K = 8,
};

static bool no_dense(struct snapshot *snapshot, struct error *err) {
    return error_set(err, ERROR_INVALID, "%s: the index holds no dense vectors",
                     index_folder(snapshot_index(snapshot)));
}

static bool no_row(struct snapshot *snapshot, uint32_t docid, struct error *err) {
    return error_set(err, ERROR_CORRUPT, "%s: no dense row for docid %u",
                     index_folder(snapshot_index(snapshot)), docid);
}

/* ---- scanning ---- */

struct scan {
    const float *query; /* [dim] */
    size_t dim;
    struct topk *topk;
    const struct docid_set *allowed; /* NULL: all */
    size_t allowed_n;                /* then: all live ones */
    bool *approximate;               /* set when lists are passed over */
};

/* The score of a document, and which of its n rows has it (the first of equals). */
static float best_row(const float *query, size_t dim, const void *rows, size_t n,
                      uint32_t *which_out) {
    const uint16_t *row = rows;
    float best = vec_dot_f16(query, row, dim);
    *which_out = 0;
    for (uint32_t i = 1; i < n; i++) {
        float score = vec_dot_f16(query, row + i * dim, dim);
        if (score > best) {
            best = score;
            *which_out = i;
        }
    }
    return best;
}

static bool scan_row(void *context, uint32_t docid, const void *rows, size_t rows_n) {
    struct scan *scan = context;
    uint32_t which;
    if (!scan->allowed || docid_set_has(scan->allowed, docid))
        topk_push(scan->topk, best_row(scan->query, scan->dim, rows, rows_n, &which), docid);
    return true;
}

static bool score_row(struct snapshot *snapshot, const struct scan *scan, uint32_t docid,
                      struct error *err) {
    size_t rows_n;
    uint32_t which;
    const void *rows = forward_dense_rows(snapshot, docid, &rows_n);
    if (!rows)
        return no_row(snapshot, docid, err);
    topk_push(scan->topk, best_row(scan->query, scan->dim, rows, rows_n, &which), docid);
    return true;
}

/* What scoring the allowed ones of range_n rows costs, in rows scored: by looking each one up, or
 * by reading on. */
static size_t cost_of_lookups(const struct scan *scan) {
    return scan->allowed_n * LOOKUP_ROWS;
}

static size_t cost_of_reading(const struct scan *scan, size_t range_n) {
    size_t scored_n = scan->allowed_n < range_n ? scan->allowed_n : range_n;
    return scored_n + (range_n - scored_n) / PASSED_A_ROW;
}

/* Every allowed row of docids in [begin, end). */
static bool scan_rows(struct snapshot *snapshot, uint32_t begin, uint32_t end,
                      const struct scan *scan, struct error *err) {
    if (!scan->allowed || cost_of_reading(scan, end - begin) <= cost_of_lookups(scan))
        return forward_dense_each(snapshot, begin, end, scan_row, (void *)(uintptr_t)scan, err);
    for (uint32_t docid = docid_set_next(scan->allowed, begin); docid < end;
         docid = docid_set_next(scan->allowed, docid + 1))
        if (!score_row(snapshot, scan, docid, err))
            return false;
    return true;
}

/* ---- over a generation ---- */

static bool is_sure(struct dense_limits limits, const struct dense_lists *lists,
                    const struct scan *scan, bool exact) {
    double rows_n = (double)scan->allowed_n * dense_rows_a_document(lists);
    return exact || lists->lists_n == 1 || rows_n <= limits.sure_rows_max ||
           scan->allowed_n <= SURE_A_K * scan->topk->k;
}

/* The best of the generation's live rows into the topk. *found_out false: the generation is
 * damaged; the topk is empty then. */
static bool search_generation(struct snapshot *snapshot, struct dense_generation *generation,
                              bool exact, struct pool *pool, const struct scan *scan,
                              struct arena *arena, bool *found_out, struct error *err) {
    struct dense_index *dense = index_dense(snapshot_index(snapshot));
    struct dense_file *file = dense_generation_file(generation);
    struct dense_scan over;
    struct dense_candidates candidates;
    struct dense_limits limits = dense_index_limits(dense);
    size_t k = scan->topk->k, rows_min = dense_scan_breadth(&file->lists, k);
    if (limits.breadth_times > 0)
        rows_min = (size_t)((float)rows_min * limits.breadth_times);
    dense_scan_init(&over, file, snapshot, scan->allowed, scan->query, arena);
    bool sure = is_sure(limits, &file->lists, scan, exact);
    *found_out = sure ? dense_scan_sure(&over, k, pool, &candidates, err)
                      : dense_scan_near(&over, k, rows_min, &candidates, err);
    if (!*found_out) {
        dense_fail(dense, generation);
        return true;
    }
    *scan->approximate = !sure;
    for (size_t i = 0; i < candidates.n; i++)
        if (!score_row(snapshot, scan, candidates.docids[i], err))
            return false;
    return true;
}

static bool all_finite(const float *query, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(query[i]))
            return false;
    return true;
}

static bool search(struct snapshot *snapshot, const struct scan *scan, bool exact,
                   struct pool *pool, struct arena *arena, struct error *err) {
    struct dense_index *dense = index_dense(snapshot_index(snapshot));
    struct index_generation named = snapshot_generation(snapshot);
    uint32_t scan_begin = 0;
    bool ok = true, found;
    if (named.number > 0 && scan->topk->k > 0 &&
        !(scan->allowed && scan->allowed_n <= LOOKUPS_MAX)) {
        struct dense_generation *generation = dense_acquire(dense, named);
        if (generation) {
            ok = search_generation(snapshot, generation, exact, pool, scan, arena, &found, err);
            scan_begin = ok && found ? named.covered_end : 0;
        }
        dense_release(dense, generation);
    }
    return ok && scan_rows(snapshot, scan_begin, snapshot_docid_end(snapshot), scan, err);
}

bool dense_search_shared(struct snapshot *snapshot, const float *query, size_t k, bool exact,
                         const struct docid_set *allowed, struct pool *pool, struct arena *arena,
                         struct scored_list *out, struct error *err) {
    struct index *index = snapshot_index(snapshot);
    struct topk topk;
    if (!index_dense(index))
        return no_dense(snapshot, err);
    bool approximate = false;
    struct scan scan = {query,       index_settings_of(index)->dense_dim, &topk, allowed, 0,
                        &approximate};
    if (!all_finite(query, scan.dim))
        return error_set(err, ERROR_INVALID, "the query's dense vector holds NaN or infinity");
    uint64_t documents_n = snapshot_documents_n(snapshot);
    scan.allowed_n = allowed ? docid_set_count(allowed) : (size_t)documents_n;
    topk_init(&topk, k < scan.allowed_n ? k : scan.allowed_n, arena);
    if (!search(snapshot, &scan, exact, pool, arena, err))
        return false;
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n, approximate};
    return true;
}

bool dense_search(struct snapshot *snapshot, const float *query, size_t k, bool exact,
                  const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                  struct error *err) {
    return dense_search_shared(snapshot, query, k, exact, allowed, NULL, arena, out, err);
}

bool dense_best_passages(struct snapshot *snapshot, const float *query, const uint32_t *docids,
                         size_t n, float *scores_out, uint32_t *passages_out, struct error *err) {
    struct index *index = snapshot_index(snapshot);
    size_t dim = index_settings_of(index)->dense_dim;
    if (!index_dense(index))
        return no_dense(snapshot, err);
    float *scores = mem_alloc(n, sizeof *scores); /* outputs stay untouched on failure */
    uint32_t *passages = mem_alloc(n, sizeof *passages);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        size_t rows_n;
        const void *rows = forward_dense_rows(snapshot, docids[i], &rows_n);
        ok = rows ? true : no_row(snapshot, docids[i], err);
        scores[i] = rows ? best_row(query, dim, rows, rows_n, &passages[i]) : 0;
    }
    if (ok && n > 0 && scores_out)
        memcpy(scores_out, scores, n * sizeof *scores);
    if (ok && n > 0 && passages_out)
        memcpy(passages_out, passages, n * sizeof *passages);
    free(scores);
    free(passages);
    return ok;
}

bool dense_score(struct snapshot *snapshot, const float *query, const uint32_t *docids, size_t n,
                 float *scores_out, struct error *err) {
    return dense_best_passages(snapshot, query, docids, n, scores_out, NULL, err);
}
