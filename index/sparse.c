/* Lexical search: exact top k over posting lists, and the exact score of given docids.
 *
 * A segment's docids are cut into windows of WINDOW_N. For each window and term the largest share
 * of a score is known beforehand (from block maxima, or for short lists from the postings), and
 * windows are visited best bound first, so that the threshold rises early and the search ends at
 * the first window that cannot reach it (as BMP does; Mallia, Suel & Tonellotto, SIGIR 2024; ours
 * are exact and take their bounds from blocks of postings instead of a table of their own).
 * Inside a window it is MaxScore (Turtle & Flood 1995): the strongest terms, without which nothing
 * reaches the threshold, are added up list by list into an array; what survives is looked up in
 * the remaining lists, strongest first, and given up as soon as the rest cannot save it.
 *
 * Sums made on the way are only ever compared with slack. A score that is reported comes from
 * score_of, which adds the shares in the order of the query's terms: so search and sparse_score
 * agree to the bit, whatever the segments and whatever was pruned. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "index/forward.h"
#include "index/inside.h"
#include "index/postings.h"

enum {
    /* 8 KiB of sums: stays in the first-level cache beside the postings streamed through it. */
    WINDOW_N = 2048,
    /* Lists with fewer postings than this for each window get exact window maxima. */
    EXACT_POSTINGS_PER_WINDOW = 4,
    QUERY_TERMS_MAX = 65536,
};

/* ---- scores ---- */

struct plan {
    const struct sparse_vector *query;
    size_t n;
    float *weights; /* [n] query weight, times idf for BM25 */
    bool bm25;
    float norm_base, norm_slope; /* BM25: k1 (1 - b), and k1 b / average length */
    float slack;                 /* what a sum of n floats may be off, and then some */
};

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

static bool plan_init(struct snapshot *snapshot, const struct sparse_vector *query,
                      struct arena *arena, struct plan *out, struct error *err) {
    const struct index_settings *settings = &snapshot->index->settings;
    if (!check_query(query, err))
        return false;
    struct plan plan = {
        .query = query,
        .n = query->n,
        .weights = ARENA_NEW(arena, float, query->n),
        .bm25 = settings->lexical == INDEX_LEXICAL_BM25,
        .slack = 1 + (float)(query->n + 8) * 2 * FLT_EPSILON,
    };
    for (size_t i = 0; i < query->n; i++) {
        float idf = 1;
        if (plan.bm25 && !read_idf(snapshot, query->ids[i], &idf, err))
            return false;
        plan.weights[i] = query->weights[i] * idf;
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

/* What one term adds. query_weight includes idf; weight: the document's, > 0. */
static inline float share_of(const struct plan *plan, float query_weight, float weight,
                             float length) {
    if (!plan->bm25)
        return query_weight * weight;
    return query_weight * (weight / (weight + (plan->norm_base + plan->norm_slope * length)));
}

/* The one place where a reported score is made. weights: [n], 0 where the document lacks the term.
 * Never inlined: every caller must get the same roundings. */
__attribute__((noinline)) static float score_of(const struct plan *plan, const float *weights,
                                                float length) {
    float score = 0;
    for (size_t i = 0; i < plan->n; i++)
        if (weights[i] > 0)
            score += share_of(plan, plan->weights[i], weights[i], length);
    return score;
}

/* ---- scores of given docids, from the forward rows ---- */

static void match_row(const struct plan *plan, const struct sparse_row *row, float *weights) {
    const uint32_t *ids = plan->query->ids;
    size_t i = 0, r = 0;
    memset(weights, 0, plan->n * sizeof *weights);
    while (i < plan->n && r < row->n) {
        uint32_t id = get_u32(row->ids + 4 * r), wanted = ids[i];
        if (id == wanted)
            weights[i] = get_f32(row->weights + 4 * r);
        i += wanted <= id;
        r += id <= wanted;
    }
}

bool sparse_score(struct snapshot *snapshot, const struct sparse_vector *query,
                  const uint32_t *docids, size_t n, struct arena *arena, float *scores_out,
                  struct error *err) {
    struct plan plan;
    struct sparse_row row;
    if (!plan_init(snapshot, query, arena, &plan, err))
        return false;
    float *weights = ARENA_NEW(arena, float, plan.n);
    float *scores = ARENA_NEW(arena, float, n); /* outputs stay untouched on failure */
    for (size_t i = 0; i < n; i++) {
        scores[i] = 0;
        if (snapshot->index->settings.lexical == INDEX_LEXICAL_NONE)
            continue;
        if (!forward_sparse_row(snapshot->txn, docids[i], &row, err))
            return false;
        match_row(&plan, &row, weights);
        scores[i] = score_of(&plan, weights, row.length);
    }
    if (n > 0)
        memcpy(scores_out, scores, n * sizeof *scores);
    return true;
}

bool sparse_explain(struct snapshot *snapshot, const struct sparse_vector *query, uint32_t docid,
                    struct arena *arena, float *shares_out, struct error *err) {
    struct plan plan;
    struct sparse_row row = {0};
    if (!plan_init(snapshot, query, arena, &plan, err))
        return false;
    if (snapshot->index->settings.lexical != INDEX_LEXICAL_NONE &&
        !forward_sparse_row(snapshot->txn, docid, &row, err))
        return false;
    float *weights = ARENA_NEW(arena, float, plan.n);
    match_row(&plan, &row, weights);
    for (size_t i = 0; i < plan.n; i++)
        shares_out[i] =
            weights[i] > 0 ? share_of(&plan, plan.weights[i], weights[i], row.length) : 0;
    return true;
}

/* ---- search: one term in one segment ---- */

struct term {
    size_t at; /* which of the query's terms */
    uint32_t id;
    float weight; /* the query's, idf included */
    struct posting_list list;
    float *window_max;      /* [windows_n] no share in the window is larger */
    uint32_t *window_block; /* [windows_n] first block reaching into the window, or blocks_n */
    uint32_t open_b;        /* the block opened last, or blocks_n */
    struct posting_block open;
};

struct search {
    struct snapshot *snapshot;
    const struct segment *segment;
    const struct plan *plan;
    const struct docid_set *allowed; /* NULL: all */
    struct topk *topk;
    struct term *terms; /* [terms_n] those that the segment holds */
    size_t terms_n, windows_n;
    struct scored *ranked; /* [terms_n] a window's terms: score = window_max, docid = term */
    float *rest;           /* [terms_n + 1] sums of ranked maxima from here to the end */
    float *weights;        /* [plan->n] zero between candidates */
    float sums[WINDOW_N];
};

static bool damaged(const struct search *search, const struct term *term, struct error *err) {
    return store_corrupt(search->snapshot->txn, TABLE_POSTINGS, err,
                         "segment %u, term %u: not a posting list", search->segment->id, term->id);
}

static bool open_block(const struct search *search, struct term *term, uint32_t b,
                       struct error *err) {
    if (term->open_b == b)
        return true;
    if (!posting_list_block(&term->list, b, &term->open))
        return damaged(search, term, err);
    term->open_b = b;
    return true;
}

static float bound_share(const struct plan *plan, float query_weight, struct posting_bound bound) {
    float share = plan->bm25 ? query_weight / (1 + plan->norm_base / bound.weight_max +
                                               plan->norm_slope * bound.ratio_min)
                             : query_weight * bound.weight_max;
    return share >= 0 ? share : INFINITY; /* NaN: damaged bytes must not prune */
}

/* Spreads each block's bound over the windows it touches. */
static bool bound_by_blocks(const struct search *search, struct term *term, struct error *err) {
    uint32_t begin = search->segment->docid_begin, first = begin;
    for (uint32_t b = 0; b < term->list.blocks_n; b++) {
        uint32_t last = posting_list_last(&term->list, b);
        if (last < first || last >= search->segment->docid_end)
            return damaged(search, term, err);
        float bound = bound_share(search->plan, term->weight, posting_list_bound(&term->list, b));
        for (uint32_t w = (first - begin) / WINDOW_N; w <= (last - begin) / WINDOW_N; w++) {
            if (term->window_block[w] == term->list.blocks_n)
                term->window_block[w] = b;
            if (bound > term->window_max[w])
                term->window_max[w] = bound;
        }
        first = last + 1;
    }
    return true;
}

/* A block of a rare term spans many windows and is in few of them: look. */
static bool bound_by_postings(const struct search *search, struct term *term, struct error *err) {
    memset(term->window_max, 0, search->windows_n * sizeof *term->window_max);
    for (uint32_t b = 0; b < term->list.blocks_n; b++) {
        if (!open_block(search, term, b, err))
            return false;
        for (uint32_t i = 0; i < term->open.n; i++) {
            uint32_t at = posting_block_docid(&term->open, i) - search->segment->docid_begin;
            float share = share_of(search->plan, term->weight, posting_block_weight(&term->open, i),
                                   posting_block_length(&term->open, i));
            if (at / WINDOW_N >= search->windows_n)
                return damaged(search, term, err);
            if (!(share <= term->window_max[at / WINDOW_N]))
                term->window_max[at / WINDOW_N] = share >= 0 ? share : INFINITY;
        }
    }
    return true;
}

static bool open_term(struct search *search, size_t at, struct arena *arena, struct error *err) {
    struct term *term = &search->terms[search->terms_n];
    uint8_t key[8];
    struct bytes value;
    *term = (struct term){
        .at = at, .id = search->plan->query->ids[at], .weight = search->plan->weights[at]};
    put_be32(key, search->segment->id);
    put_be32(key + 4, term->id);
    if (!(term->weight > 0))
        return true;
    if (!store_get(search->snapshot->txn, TABLE_POSTINGS, key, sizeof key, &value, err))
        return false;
    if (!value.data)
        return true;
    if (!posting_list_open(value, &term->list))
        return damaged(search, term, err);
    term->open_b = term->list.blocks_n;
    term->window_max = ARENA_ZERO(arena, float, search->windows_n);
    term->window_block = ARENA_NEW(arena, uint32_t, search->windows_n);
    for (size_t w = 0; w < search->windows_n; w++)
        term->window_block[w] = term->list.blocks_n;
    search->terms_n++;
    return bound_by_blocks(search, term, err) &&
           (term->list.n > EXACT_POSTINGS_PER_WINDOW * search->windows_n ||
            bound_by_postings(search, term, err));
}

/* ---- search: one window ---- */

/* Ranks the window's terms, strongest first; how many of them are essential: every document that
 * can still enter the top k holds at least one of those. */
static size_t rank_terms(struct search *search, size_t window, size_t *ranked_n_out) {
    size_t n = 0;
    for (size_t t = 0; t < search->terms_n; t++)
        if (search->terms[t].window_max[window] > 0)
            search->ranked[n++] = (struct scored){search->terms[t].window_max[window], (uint32_t)t};
    scored_sort(search->ranked, n);
    search->rest[n] = 0;
    for (size_t i = n; i-- > 0;)
        search->rest[i] = search->rest[i + 1] + search->ranked[i].score;
    size_t essential_n = n;
    float threshold = topk_threshold(search->topk);
    while (essential_n > 0 && search->rest[essential_n - 1] * search->plan->slack < threshold)
        essential_n--;
    *ranked_n_out = n;
    return essential_n;
}

/* Adds the block's postings from position i on to the sums, as far as they lie in the window. */
static void add_block(struct search *search, const struct term *term, uint32_t i,
                      uint32_t window_begin) {
    const struct posting_block *block = &term->open;
    float *sums = search->sums, weight = term->weight;
    if (!search->plan->bm25 && block->offset_bytes == 2 && block->weight_bytes == 4) {
        uint32_t shift = block->docid_first - window_begin;
        for (; i < block->n; i++) {
            uint32_t at = shift + get_u16(block->offsets + (size_t)2 * i);
            if (at >= WINDOW_N)
                return;
            sums[at] += weight * get_f32(block->weights + (size_t)4 * i);
        }
        return;
    }
    for (; i < block->n; i++) {
        uint32_t at = posting_block_docid(block, i) - window_begin;
        if (at >= WINDOW_N)
            return;
        sums[at] += share_of(search->plan, weight, posting_block_weight(block, i),
                             posting_block_length(block, i));
    }
}

static bool add_term(struct search *search, struct term *term, size_t window, uint32_t window_begin,
                     struct error *err) {
    for (uint32_t b = term->window_block[window]; b < term->list.blocks_n; b++) {
        if (!open_block(search, term, b, err))
            return false;
        if (term->open.docid_first >= window_begin &&
            term->open.docid_first - window_begin >= WINDOW_N)
            break;
        uint32_t from = term->open.docid_first >= window_begin
                            ? 0
                            : posting_block_find(&term->open, window_begin);
        add_block(search, term, from, window_begin);
    }
    return true;
}

/* The term's weight in one document, 0 when it lacks the term; *length_out is set when not. */
static bool probe(const struct search *search, struct term *term, size_t window, uint32_t docid,
                  float *weight_out, float *length_out, struct error *err) {
    uint32_t b = posting_list_find(&term->list, term->window_block[window], docid);
    *weight_out = 0;
    if (b == term->list.blocks_n)
        return true;
    if (!open_block(search, term, b, err))
        return false;
    uint32_t i = posting_block_find(&term->open, docid);
    if (i < term->open.n && posting_block_docid(&term->open, i) == docid) {
        *weight_out = posting_block_weight(&term->open, i);
        *length_out = posting_block_length(&term->open, i);
    }
    return true;
}

/* A document whose essential terms add up to `sum`: scores it, unless the bounds say it is lost. */
static bool try_candidate(struct search *search, size_t window, uint32_t docid, float sum,
                          size_t essential_n, size_t ranked_n, struct error *err) {
    float threshold = topk_threshold(search->topk), length = 0, weight;
    bool promising = search->allowed
                         ? docid_set_has(search->allowed, docid)
                         : search->segment->dead_n == 0 ||
                               !roaring_bitmap_contains(search->segment->tombstones, docid);
    size_t i = essential_n;
    for (; promising && i < ranked_n; i++) {
        struct term *term = &search->terms[search->ranked[i].docid];
        promising = !((sum + search->rest[i]) * search->plan->slack < threshold);
        if (!promising)
            break;
        if (!probe(search, term, window, docid, &weight, &length, err))
            return false;
        search->weights[term->at] = weight;
        if (weight > 0)
            sum += share_of(search->plan, term->weight, weight, length);
    }
    promising = promising && !(sum * search->plan->slack < threshold);
    for (i = 0; promising && i < essential_n; i++) {
        struct term *term = &search->terms[search->ranked[i].docid];
        if (!probe(search, term, window, docid, &search->weights[term->at], &length, err))
            return false;
    }
    if (promising) {
        float score = score_of(search->plan, search->weights, length);
        if (score > 0) /* products too small for a float are no match */
            topk_push(search->topk, score, docid);
    }
    for (i = 0; i < ranked_n; i++)
        search->weights[search->terms[search->ranked[i].docid].at] = 0;
    return true;
}

/* The smallest sum of essential terms with which a document can still enter. */
static float floor_of(const struct search *search, size_t essential_n) {
    float floor = topk_threshold(search->topk) / search->plan->slack - search->rest[essential_n];
    floor -= fabsf(floor) * 4 * FLT_EPSILON + search->rest[essential_n] * 4 * FLT_EPSILON;
    return floor > FLT_TRUE_MIN ? floor : FLT_TRUE_MIN;
}

static bool search_window(struct search *search, size_t window, struct error *err) {
    enum { STRIDE = 32 }; /* sums looked at together: a few vector registers */
    uint32_t begin = search->segment->docid_begin + (uint32_t)(window * WINDOW_N);
    size_t ranked_n, essential_n = rank_terms(search, window, &ranked_n);
    if (essential_n == 0)
        return true;
    memset(search->sums, 0, sizeof search->sums);
    for (size_t i = 0; i < essential_n; i++)
        if (!add_term(search, &search->terms[search->ranked[i].docid], window, begin, err))
            return false;
    float floor = floor_of(search, essential_n);
    for (uint32_t at = 0; at < WINDOW_N; at += STRIDE) {
        int any = 0;
        for (uint32_t i = at; i < at + STRIDE; i++)
            any |= !(search->sums[i] < floor);
        for (uint32_t i = at; any && i < at + STRIDE; i++) {
            if (search->sums[i] < floor)
                continue;
            if (!try_candidate(search, window, begin + i, search->sums[i], essential_n, ranked_n,
                               err))
                return false;
            floor = floor_of(search, essential_n);
        }
    }
    return true;
}

/* ---- search: one segment, all segments ---- */

static bool window_is_allowed(const struct search *search, size_t window) {
    uint32_t begin = search->segment->docid_begin + (uint32_t)(window * WINDOW_N);
    if (!search->allowed)
        return true;
    uint32_t next = docid_set_next(search->allowed, begin);
    return next != UINT32_MAX && next - begin < WINDOW_N;
}

static bool search_segment(struct search *search, struct arena *arena, struct error *err) {
    const struct segment *segment = search->segment;
    search->windows_n = (segment->docid_end - segment->docid_begin - 1) / WINDOW_N + 1;
    search->terms_n = 0;
    for (size_t i = 0; i < search->plan->n; i++)
        if (!open_term(search, i, arena, err))
            return false;
    struct scored *windows = ARENA_NEW(arena, struct scored, search->windows_n);
    size_t n = 0;
    for (size_t w = 0; w < search->windows_n; w++) {
        float bound = 0;
        if (!window_is_allowed(search, w))
            continue;
        for (size_t t = 0; t < search->terms_n; t++)
            bound += search->terms[t].window_max[w];
        if (bound > 0)
            windows[n++] = (struct scored){bound, (uint32_t)w};
    }
    scored_sort(windows, n);
    for (size_t i = 0; i < n; i++) {
        if (windows[i].score * search->plan->slack < topk_threshold(search->topk))
            break; /* and so do all behind it */
        if (!search_window(search, windows[i].docid, err))
            return false;
    }
    return true;
}

bool sparse_search(struct snapshot *snapshot, const struct sparse_vector *query, size_t k,
                   const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                   struct error *err) {
    const struct segments *segments = &snapshot->published->segments;
    struct plan plan;
    struct topk topk;
    if (!plan_init(snapshot, query, arena, &plan, err))
        return false;
    uint64_t live_n = snapshot->published->live_n;
    topk_init(&topk, k < live_n ? k : (size_t)live_n, arena);
    struct search *search = ARENA_NEW(arena, struct search, 1);
    search->snapshot = snapshot;
    search->plan = &plan;
    search->allowed = allowed;
    search->topk = &topk;
    search->terms = ARENA_NEW(arena, struct term, plan.n);
    search->ranked = ARENA_NEW(arena, struct scored, plan.n);
    search->rest = ARENA_NEW(arena, float, plan.n + 1);
    search->weights = ARENA_ZERO(arena, float, plan.n);
    bool searchable = snapshot->index->settings.lexical != INDEX_LEXICAL_NONE && topk.k > 0;
    for (size_t i = 0; searchable && i < segments->n; i++) {
        search->segment = &segments->items[i];
        if (!search_segment(search, arena, err))
            return false;
    }
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n};
    return true;
}
