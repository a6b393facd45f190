/* Dense search over a snapshot, exact scores, and when a generation is built (dense.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/vec.h"
#include "index/dense.h"
#include "index/index.h"
#include "index/writer.h"

enum {
    /* FAISS is asked for twice the wanted rows, and HNSW searches as broadly as it is asked
     * (dense.c): a breadth of k alone would find the last of the k badly. */
    WIDEN_FIRST = 2,
    /* Candidates scored beyond the k-th: FAISS adds up in another order, so neighbours whose
     * scores differ in the last bits may have changed places. */
    REFINE_MARGIN = 16,
    /* Too many of those found are dead: ask for so many times more. */
    WIDEN_AGAIN = 4,
    /* A new generation when more than this part of the old one is uncovered (and more than
     * dense_limits.uncovered_min): building costs more with size, so it happens more rarely. */
    UNCOVERED_PART = 5,
    /* Measured at 384 dimensions: a row that is read on to and scored costs 0.05 us, one that is
     * only passed over half of that, one that is looked up and scored 0.26 us. */
    LOOKUP_ROWS = 5,
    PASSED_A_ROW = 2,
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
};

static bool scan_row(void *context, uint32_t docid, const void *row) {
    struct scan *scan = context;
    if (!scan->allowed || docid_set_has(scan->allowed, docid))
        topk_push(scan->topk, vec_dot_f16(scan->query, row, scan->dim), docid);
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

static size_t cost_of_all(const struct scan *scan, size_t range_n) {
    size_t lookups = cost_of_lookups(scan), reading = cost_of_reading(scan, range_n);
    return lookups < reading ? lookups : reading;
}

/* Every allowed row of docids in [begin, end). */
static bool scan_rows(struct snapshot *snapshot, uint32_t begin, uint32_t end,
                      const struct scan *scan, struct error *err) {
    if (!scan->allowed || cost_of_reading(scan, end - begin) <= cost_of_lookups(scan))
        return forward_dense_each(snapshot, begin, end, scan_row, (void *)(uintptr_t)scan, err);
    for (uint32_t docid = docid_set_next(scan->allowed, begin); docid < end;
         docid = docid_set_next(scan->allowed, docid + 1)) {
        const void *row = forward_dense_row(snapshot, docid);
        if (!row)
            return no_row(snapshot, docid, err);
        topk_push(scan->topk, vec_dot_f16(scan->query, row, scan->dim), docid);
    }
    return true;
}

/* ---- over a generation ---- */

/* How many rows to ask of FAISS for k allowed ones, from what is known for certain: at most the
 * docids beyond covered_end are live and not in the generation. That the allowed ones are spread
 * like the others is a guess, and asking again mends it. */
static size_t rows_to_ask(const struct snapshot *snapshot, struct index_generation named,
                          const struct scan *scan) {
    uint64_t newer = snapshot_docid_end(snapshot) - named.covered_end;
    uint64_t live = snapshot_documents_n(snapshot);
    uint64_t covered_live = live > newer ? live - newer : 1;
    double share = (double)named.rows_n / (double)covered_live;
    double selected = scan->allowed_n > 0 ? (double)live / (double)scan->allowed_n : 1;
    return (size_t)((double)(WIDEN_FIRST * scan->topk->k + REFINE_MARGIN) *
                    (share > 1 ? share : 1) * selected);
}

/* Scores the first live ones of docids, best first, until k and the margin are there. */
static bool score_live(struct snapshot *snapshot, const struct scan *scan, const uint32_t *docids,
                       size_t n, size_t *live_n_out, struct error *err) {
    size_t enough = scan->topk->k + REFINE_MARGIN, live_n = 0;
    for (size_t i = 0; i < n && live_n < enough; i++) {
        if (scan->allowed ? !docid_set_has(scan->allowed, docids[i])
                          : !snapshot_is_live(snapshot, docids[i]))
            continue;
        const void *row = forward_dense_row(snapshot, docids[i]);
        if (!row)
            return no_row(snapshot, docids[i], err);
        topk_push(scan->topk, vec_dot_f16(scan->query, row, scan->dim), docids[i]);
        live_n++;
    }
    *live_n_out = live_n;
    return true;
}

/* The best of the generation's live rows into the topk, asking FAISS for ask_max at most.
 * *found_out false: too few of what it finds are alive, or k is so large that a scan is faster; the
 * topk is empty then. */
static bool search_generation(struct snapshot *snapshot, struct dense_generation *generation,
                              size_t ask_max, const struct scan *scan, struct arena *arena,
                              bool *found_out, struct error *err) {
    struct index_generation named = snapshot_generation(snapshot);
    struct topk *topk = scan->topk;
    *found_out = false;
    for (size_t ask = rows_to_ask(snapshot, named, scan); ask <= ask_max; ask *= WIDEN_AGAIN) {
        uint32_t *docids = ARENA_NEW(arena, uint32_t, ask);
        size_t n = 0, live_n = 0;
        if (!dense_nearest(generation, scan->query, ask, arena, docids, &n, err) ||
            !score_live(snapshot, scan, docids, n, &live_n, err))
            return false;
        *found_out = live_n >= topk->k;
        if (*found_out)
            return true;
        topk->n = 0;
    }
    return true;
}

static bool all_finite(const float *query, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(query[i]))
            return false;
    return true;
}

bool dense_search(struct snapshot *snapshot, const float *query, size_t k, bool exact,
                  const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                  struct error *err) {
    struct index *index = snapshot_index(snapshot);
    struct dense_index *dense = index_dense(index);
    struct index_generation named = snapshot_generation(snapshot);
    struct topk topk;
    uint32_t scan_begin = 0;
    bool ok = true, found;
    if (!dense)
        return no_dense(snapshot, err);
    struct scan scan = {query, index_settings_of(index)->dense_dim, &topk, allowed, 0};
    if (!all_finite(query, scan.dim))
        return error_set(err, ERROR_INVALID, "the query's dense vector holds NaN or infinity");
    uint64_t documents_n = snapshot_documents_n(snapshot);
    scan.allowed_n = allowed ? docid_set_count(allowed) : (size_t)documents_n;
    topk_init(&topk, k < scan.allowed_n ? k : scan.allowed_n, arena);
    if (!exact && named.number > 0 && topk.k > 0) {
        struct dense_generation *generation = dense_acquire(dense, named);
        if (generation) {
            size_t ask_max =
                cost_of_all(&scan, named.rows_n) / dense_index_limits(dense).rows_a_candidate;
            ok = search_generation(snapshot, generation, ask_max, &scan, arena, &found, err);
            scan_begin = ok && found ? named.covered_end : 0;
        }
        dense_release(dense, generation);
    }
    if (!ok || !scan_rows(snapshot, scan_begin, snapshot_docid_end(snapshot), &scan, err))
        return false;
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n};
    return true;
}

bool dense_score(struct snapshot *snapshot, const float *query, const uint32_t *docids, size_t n,
                 float *scores_out, struct error *err) {
    struct index *index = snapshot_index(snapshot);
    size_t dim = index_settings_of(index)->dense_dim;
    if (!index_dense(index))
        return no_dense(snapshot, err);
    float *scores = mem_alloc(n, sizeof *scores); /* scores_out stays untouched on failure */
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const void *row = forward_dense_row(snapshot, docids[i]);
        ok = row ? true : no_row(snapshot, docids[i], err);
        scores[i] = row ? vec_dot_f16(query, row, dim) : 0;
    }
    if (ok && n > 0)
        memcpy(scores_out, scores, n * sizeof *scores);
    free(scores);
    return ok;
}

/* ---- the next generation ---- */

/* When a generation is worth building: there are enough rows, and there is none yet, or it cannot
 * be used, or much is newer, or for certain more than half of it is dead. */
static bool worth_building(struct dense_index *dense, const struct snapshot *snapshot) {
    struct index_generation named = snapshot_generation(snapshot);
    struct dense_limits limits = dense_index_limits(dense);
    uint64_t documents_n = snapshot_documents_n(snapshot);
    if (documents_n == 0 || documents_n < limits.generation_rows_min)
        return false;
    uint32_t uncovered = snapshot_docid_end(snapshot) - named.covered_end;
    return named.number == 0 ||
           (uncovered > limits.uncovered_min && uncovered > named.covered_end / UNCOVERED_PART) ||
           named.rows_n / 2 > documents_n || !dense_usable(dense, named);
}

struct filling {
    struct dense_builder *builder;
    bool ok;
    struct error *err;
};

static bool fill_row(void *context, uint32_t docid, const void *row) {
    struct filling *filling = context;
    filling->ok = dense_builder_add(filling->builder, docid, row, filling->err);
    return filling->ok;
}

/* Builds and writes the snapshot's rows as the generation after the one it names. */
static bool build(struct dense_index *dense, struct snapshot *snapshot, size_t threads_n,
                  struct index_generation *out, struct error *err) {
    struct index_generation made = {
        .number = snapshot_generation(snapshot).number + 1,
        .covered_end = snapshot_docid_end(snapshot),
    };
    struct filling filling = {.ok = true, .err = err};
    if (!dense_builder_open(dense, (size_t)snapshot_documents_n(snapshot), threads_n,
                            &filling.builder, err))
        return false;
    bool ok =
        forward_dense_each(snapshot, 0, made.covered_end, fill_row, &filling, err) && filling.ok &&
        dense_builder_write(filling.builder, made.number, made.covered_end, &made.rows_n, err);
    dense_builder_close(filling.builder);
    if (ok)
        *out = made;
    return ok;
}

bool writer_build_dense(struct writer *writer, size_t threads_n, struct error *err) {
    struct index *index = writer_index(writer);
    struct dense_index *dense = index_dense(index);
    struct snapshot *snapshot;
    struct index_generation made;
    if (!dense)
        return true;
    if (!snapshot_open(index, &snapshot, err))
        return error_wrap(err, "dense generation: ");
    bool wanted = worth_building(dense, snapshot);
    bool ok = !wanted || build(dense, snapshot, threads_n, &made, err);
    snapshot_close(snapshot);
    if (!ok || (wanted && !writer_name_generation(writer, made, err)))
        return error_wrap(err, "dense generation: ");
    if (wanted)
        dense_remove_others(dense, made.number);
    return true;
}
