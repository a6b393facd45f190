/* The exact scores of given docids, and what a query's terms add to them: from the sparse rows. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/forward.h"
#include "index/sparse/kinds.h"
#include "index/sparse/plan.h"

enum {
    QUERY_TERMS_MAX = 65536,
    FIND_TERMS_MAX = 64, /* more are found by walking through query and row */
};

/* ---- scores ---- */

/* Robertson's idf as Lucene has it: never negative. */
static float idf_of(uint64_t documents_n, uint32_t holders_n) {
    return (float)log1p(((double)documents_n - holders_n + 0.5) / (holders_n + 0.5));
}

static bool read_idf(struct snapshot *snapshot, uint32_t term, float *out, struct error *err) {
    struct bytes value;
    uint64_t documents_n = snapshot->published->live_n;
    if (!store_get_u32(snapshot->txn, TABLE_FREQUENCIES, term, &value, err))
        return false;
    if (!value.data) {
        *out = 0; /* nobody says it */
        return true;
    }
    uint32_t holders_n = value.len == 4 ? get_u32(value.data) : 0;
    if (holders_n == 0 || holders_n > documents_n)
        return store_corrupt(snapshot->txn, TABLE_FREQUENCIES, err,
                             "term %u: %zu bytes saying %u of %llu documents", term, value.len,
                             holders_n, (unsigned long long)documents_n);
    *out = idf_of(documents_n, holders_n);
    return true;
}

static bool check_query(const struct sparse_vector *query, struct error *err) {
    if (query->n > QUERY_TERMS_MAX)
        return error_set(err, ERROR_LIMIT, "a query of %zu terms; at most %d", query->n,
                         QUERY_TERMS_MAX);
    for (size_t i = 0; i < query->n; i++) {
        if (i > 0 && query->ids[i] <= query->ids[i - 1])
            return error_set(err, ERROR_INVALID, "query ids must ascend: %u, then %u",
                             query->ids[i - 1], query->ids[i]);
        if (!(query->weights[i] > 0 && isfinite(query->weights[i])))
            return error_set(err, ERROR_INVALID, "query weight of id %u is %g; it must be above 0",
                             query->ids[i], (double)query->weights[i]);
    }
    return true;
}

bool sparse_plan_init(struct snapshot *snapshot, const struct sparse_vector *query,
                      struct arena *arena, struct sparse_plan *out, struct error *err) {
    const struct index_settings *settings = &snapshot->index->settings;
    if (!check_query(query, err))
        return false;
    struct sparse_plan plan = {
        .snapshot = snapshot,
        .query = query,
        .n = query->n,
        .weights = ARENA_NEW(arena, float, query->n),
        .finding = ARENA_NEW(arena, float, query->n),
        .row = ARENA_NEW(arena, float, query->n),
        .exact = true,
        .bm25 = settings->lexical == INDEX_LEXICAL_BM25,
        .slack = 1 + (float)(query->n + 8) * 2 * FLT_EPSILON,
    };
    for (size_t i = 0; i < query->n; i++) {
        float idf = 1;
        if (plan.bm25 && !read_idf(snapshot, query->ids[i], &idf, err))
            return false;
        plan.finding[i] = plan.weights[i] = query->weights[i] * idf;
    }
    if (plan.bm25) {
        const struct published *published = snapshot->published;
        double average = (double)published->length_sum / SEGMENT_LENGTH_UNIT /
                         (double)(published->live_n ? published->live_n : 1);
        plan.norm_base = settings->bm25_k1 * (1 - settings->bm25_b);
        plan.norm_slope =
            average > 0 ? (float)((double)settings->bm25_k1 * (double)settings->bm25_b / average)
                        : 0;
    }
    *out = plan;
    return true;
}

void sparse_plan_thin(struct sparse_plan *plan, float mass, struct arena *arena) {
    struct scored *terms = ARENA_NEW(arena, struct scored, plan->n);
    double sum = 0, found = 0;
    for (size_t i = 0; i < plan->n; i++) {
        terms[i] = (struct scored){plan->weights[i], (uint32_t)i};
        sum += (double)plan->weights[i];
    }
    scored_sort(terms, plan->n);
    for (size_t i = 0; i < plan->n; i++) {
        if (found >= (double)mass * sum)
            plan->finding[terms[i].docid] = 0;
        found += (double)terms[i].score;
    }
    plan->exact = false;
}

/* ---- scores of given docids, from the forward rows ---- */

/* Both ascend, so one walk through both finds all: for queries of very many terms. */
static void merge_row(const struct sparse_plan *plan, const struct sparse_row *row) {
    const uint32_t *ids = plan->query->ids;
    size_t i = 0, r = 0;
    while (i < plan->n && r < row->n) {
        uint32_t id = get_u32(row->ids + 4 * r), wanted = ids[i];
        if (id == wanted)
            plan->row[i] = get_f32(row->weights + 4 * r);
        i += wanted <= id;
        r += id <= wanted;
    }
}

/* Fills plan->row. */
static void match_row(const struct sparse_plan *plan, const struct sparse_row *row) {
    const struct sparse_kind *kind = sparse_kind_of(cpu_level());
    memset(plan->row, 0, plan->n * sizeof *plan->row);
    if (plan->n > FIND_TERMS_MAX) {
        merge_row(plan, row);
        return;
    }
    for (size_t i = 0; i < plan->n; i++) {
        uint32_t at = kind->find_id(row->ids, row->n, plan->query->ids[i]);
        if (at > 0)
            plan->row[i] = get_f32(row->weights + (size_t)4 * (at - 1));
    }
}

/* The one place where a reported score is made. */
bool sparse_plan_score(const struct sparse_plan *plan, uint32_t docid, float *out,
                       struct error *err) {
    struct sparse_row row;
    float score = 0;
    if (!forward_sparse_row(plan->snapshot->txn, docid, &row, err))
        return false;
    match_row(plan, &row);
    for (size_t i = 0; i < plan->n; i++)
        if (plan->row[i] > 0)
            score += sparse_plan_share(plan, plan->weights[i], plan->row[i], row.length);
    *out = score;
    return true;
}

bool sparse_score(struct snapshot *snapshot, const struct sparse_vector *query,
                  const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                  struct error *err) {
    struct sparse_plan plan;
    if (!sparse_plan_init(snapshot, query, arena, &plan, err))
        return false;
    float *scores = ARENA_NEW(arena, float, n); /* outputs stay untouched on failure */
    for (size_t i = 0; i < n; i++) {
        scores[i] = 0;
        if (snapshot->index->settings.lexical != INDEX_LEXICAL_NONE &&
            !sparse_plan_score(&plan, docids[i], &scores[i], err))
            return false;
    }
    if (n > 0)
        memcpy(scores_out, scores, n * sizeof *scores);
    return true;
}

bool sparse_explain(struct snapshot *snapshot, const struct sparse_vector *query, uint32_t docid,
                    struct arena *arena, float *shares_out, struct error *err) {
    struct sparse_plan plan;
    struct sparse_row row = {0};
    if (!sparse_plan_init(snapshot, query, arena, &plan, err))
        return false;
    if (snapshot->index->settings.lexical != INDEX_LEXICAL_NONE &&
        !forward_sparse_row(snapshot->txn, docid, &row, err))
        return false;
    match_row(&plan, &row);
    for (size_t i = 0; i < plan.n; i++)
        shares_out[i] = plan.row[i] > 0
                            ? sparse_plan_share(&plan, plan.weights[i], plan.row[i], row.length)
                            : 0;
    return true;
}
