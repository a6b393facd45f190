/* Sparse search: the exact top k, found by bounds of small groups of documents.
 *
 * As BMP does (Mallia, Suel & Tonellotto, SIGIR 2024): for every group of 32 docids the bounds of
 * the query's terms are added up beforehand (sparse/bounds.c), groups are visited roughly best
 * bound first, and a group below the threshold is never looked into. Ours differ: all segments'
 * groups are in one order, short lists are read instead of having a table, and lists hold weights
 * rounded up to a byte. So what a group gives are bounds of scores, not more than 1/32 off: the k
 * best of them, less that, make the threshold; documents whose bound reaches it at the end are
 * candidates, some more than k; their exact scores come from the sparse rows. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "index/sparse/bounds.h"

enum {
    BUCKETS_N = 256,  /* of bounds, for ordering */
    FIRST_GROUPS = 8, /* looked at before all others, beyond k */
    FIRST_K = 64,
    FIRST_K_PART = 8,
    SORTED_TERMS_MAX = 64, /* more in a group are taken as they come: sorting is quadratic */
    CANDIDATES_MIN = 4096,
    SPARE_PART = 2, /* when not exact: half as many as asked for are scored besides */
};

/* Of a number in a list of groups (fewer than 2^28): it stands for its span from there on. */
static const uint32_t WHOLE = UINT32_C(1) << 31;

/* A weight rounded up to 5 bits behind the leading one is at most this much of itself too large. */
static const float weight_certain = 1 - 1.0f / 32;
/* Below it, products of floats may have lost bits to underflow. */
static const float smallest_certain = 1e-30f;

struct table_bound {
    float bound;
    struct sparse_term *term;
};

struct search {
    const struct sparse_plan *plan;
    const struct docid_set *allowed; /* NULL: all */
    struct arena *arena;
    struct topk certain;       /* the k best of what documents score at least */
    float threshold;           /* the last of them, or -infinity */
    struct scored *candidates; /* [candidates_n] what they score at most */
    size_t candidates_n, candidates_cap;
    struct table_bound *ranked; /* [plan->n] */
    float *rest;                /* [plan->n + 1] sums of ranked bounds from here to the end */
    float *shares;              /* [plan->n, POSTINGS_GROUP_N] of a group, by term */
    bool *present;              /* [plan->n] rows of shares that are there */
    float *sums, *best;         /* [SPARSE_SPAN_DOCS] and, of groups of them, the best */
    struct sparse_part *parts;  /* [parts_n] of the segments */
    size_t parts_n, groups_n;   /* of all of them together */
};

/* Groups and windows are numbered through all parts. */
static struct sparse_part *part_of(const struct search *search, size_t group) {
    size_t low = 0, high = search->parts_n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (search->parts[middle].first_group <= group)
            low = middle;
        else
            high = middle;
    }
    return &search->parts[low];
}

static bool is_lost(const struct search *search, float bound) {
    return bound * search->plan->slack < search->threshold;
}

/* ---- candidates ---- */

static bool is_wanted(const struct search *search, const struct segment *segment, uint32_t docid) {
    return search->allowed
               ? docid_set_has(search->allowed, docid)
               : segment->dead_n == 0 || !roaring_bitmap_contains(segment->tombstones, docid);
}

/* Leaves out what the threshold has overtaken. */
static void keep_candidates(struct search *search) {
    size_t kept = 0;
    for (size_t i = 0; i < search->candidates_n; i++)
        if (!is_lost(search, search->candidates[i].score))
            search->candidates[kept++] = search->candidates[i];
    search->candidates_n = kept;
}

static void make_room(struct search *search) {
    keep_candidates(search);
    if (search->candidates_n <= search->candidates_cap / 2)
        return;
    search->candidates_cap *= 2;
    struct scored *larger = ARENA_NEW(search->arena, struct scored, search->candidates_cap);
    memcpy(larger, search->candidates, search->candidates_n * sizeof *larger);
    search->candidates = larger;
}

/* What a document scores at least whose bound this is. */
static float certain_of(const struct sparse_plan *plan, const struct sparse_part *part,
                        float bound) {
    if (!(bound > smallest_certain && bound <= FLT_MAX))
        return 0;
    float certain = bound * (part->rounded ? weight_certain : 1) / plan->slack - part->floor_sum;
    return certain > 0 ? certain : 0;
}

/* Sums are scores: added up in the query's order, of weights as they are. */
static bool is_exact(const struct search *search, const struct sparse_part *part) {
    return search->plan->exact && !part->rounded;
}

static void add_candidate(struct search *search, const struct sparse_part *part, uint32_t docid,
                          float bound) {
    if (bound <= 0 || is_lost(search, bound) || !is_wanted(search, part->segment, docid))
        return;
    bool is_score = is_exact(search, part) && bound > smallest_certain && bound <= FLT_MAX;
    float certain =
        is_score || !search->plan->exact ? bound : certain_of(search->plan, part, bound);
    topk_push(&search->certain, certain, docid);
    search->threshold = topk_threshold(&search->certain);
    if (is_score)
        return;
    if (search->candidates_n == search->candidates_cap)
        make_room(search);
    search->candidates[search->candidates_n++] = (struct scored){bound, docid};
}

/* ---- one group ---- */

/* The terms with a table that are in the group, those that can add most first. */
static size_t rank_tables(struct search *search, const struct sparse_part *part, size_t group) {
    size_t n = 0;
    for (size_t t = 0; t < part->tables_n; t++) {
        float bound = sparse_part_table_bound(part, &part->tables[t], group);
        size_t at = n;
        if (!(bound > 0))
            continue;
        for (; at > 0 && n < SORTED_TERMS_MAX && search->ranked[at - 1].bound < bound; at--)
            search->ranked[at] = search->ranked[at - 1];
        search->ranked[at] = (struct table_bound){bound, &part->tables[t]};
        n++;
    }
    search->rest[n] = 0;
    for (size_t i = n; i-- > 0;)
        search->rest[i] = search->rest[i + 1] + search->ranked[i].bound;
    return n;
}

/* Adds the term's shares to sums; where they make scores, keeps them by themselves, too. */
static bool add_term(struct search *search, const struct sparse_part *part,
                     struct sparse_term *term, size_t group, float *sums, struct error *err) {
    float *row = search->shares + term->at * POSTINGS_GROUP_N;
    if (!is_exact(search, part))
        return sparse_part_add(part, term, group, sums, err);
    memset(row, 0, POSTINGS_GROUP_N * sizeof *row);
    search->present[term->at] = true;
    if (!sparse_part_add(part, term, group, row, err))
        return false;
    for (size_t i = 0; i < POSTINGS_GROUP_N; i++)
        sums[i] += row[i];
    return true;
}

/* The sums again, in the query's order. */
static void add_in_order(const struct search *search, float *sums) {
    memset(sums, 0, POSTINGS_GROUP_N * sizeof *sums);
    for (size_t t = 0; t < search->plan->n; t++) {
        const float *row = search->shares + t * POSTINGS_GROUP_N;
        for (size_t i = 0; search->present[t] && i < POSTINGS_GROUP_N; i++)
            sums[i] += row[i];
    }
}

static bool add_lists(struct search *search, const struct sparse_part *part, size_t group,
                      float *sums, struct error *err) {
    for (uint32_t mask = part->masks[group]; mask; mask &= mask - 1) {
        size_t at = (size_t)__builtin_ctz(mask);
        size_t end = at + 1 < SPARSE_MASK_TERMS ? at + 1 : part->lists_n;
        for (; at < end; at++)
            if (!add_term(search, part, &part->lists[at], group, sums, err))
                return false;
    }
    return true;
}

static float largest(const float *sums) {
    float max;
    sparse_kinds[cpu_level()].group_max(sums, 1, &max);
    return max;
}

/* sums: of the group's documents. */
static void add_candidates(struct search *search, const struct sparse_part *part, size_t group,
                           const float *sums) {
    uint32_t begin = (part->group_begin + (uint32_t)group) * POSTINGS_GROUP_N;
    for (uint32_t i = 0; i < POSTINGS_GROUP_N; i++)
        add_candidate(search, part, begin + i, sums[i]);
}

static bool search_group(struct search *search, struct sparse_part *part, size_t group,
                         struct error *err) {
    float sums[POSTINGS_GROUP_N] = {0};
    size_t ranked_n = rank_tables(search, part, group);
    part->bounds[group] = 0; /* never again */
    memset(search->present, 0, search->plan->n * sizeof *search->present);
    if (!add_lists(search, part, group, sums, err))
        return false;
    for (size_t i = 0; i < ranked_n; i++) {
        if (is_lost(search, largest(sums) + search->rest[i]))
            return true;
        if (!add_term(search, part, search->ranked[i].term, group, sums, err))
            return false;
    }
    if (is_lost(search, largest(sums)))
        return true;
    if (is_exact(search, part))
        add_in_order(search, sums);
    add_candidates(search, part, group, sums);
    return true;
}

/* ---- some windows ---- */

static bool is_left(const struct search *search, const struct sparse_part *part, size_t group) {
    return part->bounds[group] > 0 && !is_lost(search, part->bounds[group]);
}

/* All terms of the windows at once. */
static bool read_windows(struct search *search, struct sparse_part *part, size_t window,
                         size_t windows_n, struct error *err) {
    float *sums = search->sums;
    memset(sums, 0, windows_n * SPARSE_WINDOW_DOCS * sizeof *sums);
    if (!sparse_part_add_windows(part, window, windows_n, sums, err))
        return false;
    sparse_kinds[cpu_level()].group_max(sums, windows_n * SPARSE_WINDOW_GROUPS, search->best);
    for (size_t g = 0; g < windows_n * SPARSE_WINDOW_GROUPS; g++) {
        size_t group = window * SPARSE_WINDOW_GROUPS + g;
        if (part->bounds[group] > 0 && !is_lost(search, search->best[g]))
            add_candidates(search, part, group, sums + g * POSTINGS_GROUP_N);
        part->bounds[group] = 0;
    }
    return true;
}

/* One past the last window of the span that the window is in. */
static size_t span_end(const struct sparse_part *part, size_t window) {
    size_t end = (window / SPARSE_SPAN_WINDOWS + 1) * SPARSE_SPAN_WINDOWS;
    return end < part->windows_n ? end : part->windows_n;
}

/* What is left from the window to the end of its span. */
static bool search_span(struct search *search, struct sparse_part *part, size_t window,
                        struct error *err) {
    size_t begin = window * SPARSE_WINDOW_GROUPS, left_n = 0, last = window;
    size_t end = span_end(part, window) * SPARSE_WINDOW_GROUPS;
    for (size_t g = begin; g < end; g++) {
        bool left = is_left(search, part, g);
        left_n += left;
        last = left ? g / SPARSE_WINDOW_GROUPS : last;
    }
    if (left_n >= sparse_part_whole_from(part, last + 1 - window))
        return read_windows(search, part, window, last + 1 - window, err);
    for (size_t g = begin; g < end; g++)
        if (is_left(search, part, g) && !search_group(search, part, g, err))
            return false;
    return true;
}

/* ---- which groups, in which order ---- */

/* Best bound first, but for what falls into one bucket. */
static void order(const struct scored *from, size_t n, struct scored *to) {
    size_t ends[BUCKETS_N] = {0}, sum = 0;
    float max = 0;
    for (size_t i = 0; i < n; i++)
        max = from[i].score > max ? from[i].score : max;
    float scale = max <= FLT_MAX && (BUCKETS_N - 1) / max <= FLT_MAX ? (BUCKETS_N - 1) / max : 0;
    for (size_t i = 0; i < n; i++)
        ends[scale > 0 ? (size_t)(from[i].score * scale) : 0]++;
    for (size_t b = BUCKETS_N; b-- > 0;)
        sum = ends[b] += sum;
    for (size_t i = n; i-- > 0;)
        to[--ends[scale > 0 ? (size_t)(from[i].score * scale) : 0]] = from[i];
}

/* The best group of each window. */
static size_t list_best(const struct search *search, struct scored *out) {
    size_t n = 0;
    for (size_t p = 0; p < search->parts_n; p++) {
        const struct sparse_part *part = &search->parts[p];
        for (size_t w = 0; w < part->windows_n; w++) {
            size_t g = w * SPARSE_WINDOW_GROUPS;
            if (!(part->window_max[w] > 0))
                continue;
            while (part->bounds[g] < part->window_max[w])
                g++;
            out[n++] = (struct scored){part->window_max[w], (uint32_t)(part->first_group + g)};
        }
    }
    return n;
}

/* The window's groups that can matter still. */
static size_t list_window(const struct search *search, const struct sparse_part *part,
                          size_t window, struct scored *out) {
    size_t n = 0, group = window * SPARSE_WINDOW_GROUPS;
    if (!(part->window_max[window] > 0) || is_lost(search, part->window_max[window]))
        return 0;
    for (size_t g = group; g < group + SPARSE_WINDOW_GROUPS; g++) {
        out[n] = (struct scored){part->bounds[g], (uint32_t)(part->first_group + g)};
        n += is_left(search, part, g);
    }
    return n;
}

/* All groups that can matter still; of a span with many of them, one for all: WHOLE. */
static size_t list_groups(const struct search *search, struct scored *out) {
    size_t n = 0;
    for (size_t p = 0; p < search->parts_n; p++) {
        const struct sparse_part *part = &search->parts[p];
        for (size_t w = 0; w < part->windows_n;) {
            size_t before_n = n, first = part->windows_n, last = 0;
            float max = 0;
            for (size_t end = span_end(part, w); w < end; w++) {
                size_t more_n = list_window(search, part, w, out + n);
                first = more_n > 0 && first > w ? w : first;
                last = more_n > 0 ? w : last;
                max = more_n > 0 && part->window_max[w] > max ? part->window_max[w] : max;
                n += more_n;
            }
            if (n > before_n && n - before_n >= sparse_part_whole_from(part, last + 1 - first)) {
                size_t number = part->first_group + first * SPARSE_WINDOW_GROUPS;
                out[before_n] = (struct scored){max, (uint32_t)number | WHOLE};
                n = before_n + 1;
            }
        }
    }
    return n;
}

static bool search_listed(struct search *search, const struct scored *listed, size_t n,
                          struct scored *ordered, size_t at_most, struct error *err) {
    order(listed, n, ordered);
    for (size_t i = 0; i < n && i < at_most; i++) {
        uint32_t number = ordered[i].docid & ~WHOLE;
        struct sparse_part *part = part_of(search, number);
        size_t group = number - part->first_group;
        if (is_lost(search, ordered[i].score))
            continue;
        if (!(ordered[i].docid & WHOLE
                  ? search_span(search, part, group / SPARSE_WINDOW_GROUPS, err)
                  : search_group(search, part, group, err)))
            return false;
    }
    return true;
}

/* Some more than there are results to find; of many results a part, since whole spans come next. */
static size_t first_groups(size_t k) {
    return FIRST_GROUPS + (k < FIRST_K ? k : FIRST_K + (k - FIRST_K) / FIRST_K_PART);
}

/* First the best groups of the best windows, one each: they raise the threshold, and most others
 * need not even be listed. */
static bool search_groups(struct search *search, struct error *err) {
    struct scored *listed = ARENA_NEW(search->arena, struct scored, search->groups_n + 1);
    struct scored *ordered = ARENA_NEW(search->arena, struct scored, search->groups_n);
    return search_listed(search, listed, list_best(search, listed), ordered,
                         first_groups(search->certain.k), err) &&
           search_listed(search, listed, list_groups(search, listed), ordered, search->groups_n,
                         err);
}

static bool open_parts(struct search *search, const struct segments *segments, struct error *err) {
    search->parts = ARENA_NEW(search->arena, struct sparse_part, segments->n);
    for (size_t i = 0; i < segments->n; i++) {
        struct sparse_part *part = &search->parts[search->parts_n];
        if (!sparse_part_open(search->plan, &segments->items[i], search->allowed, search->arena,
                              part, err))
            return false;
        part->first_group = search->groups_n;
        search->groups_n += part->windows_n * SPARSE_WINDOW_GROUPS;
        search->parts_n += part->windows_n > 0;
    }
    return true;
}

/* ---- the search ---- */

static int by_docid(const void *a, const void *b) {
    uint32_t x = ((const struct scored *)a)->docid, y = ((const struct scored *)b)->docid;
    return x < y ? -1 : x > y;
}

static bool score_row(struct search *search, uint32_t docid, struct topk *out, struct error *err) {
    float score;
    if (!sparse_plan_score(search->plan, docid, &score, err))
        return false;
    if (score > 0) /* products too small for a float are no match */
        topk_push(out, score, docid);
    return true;
}

static const struct sparse_part *part_with(const struct search *search, uint32_t docid) {
    size_t p = 0;
    while (docid >= search->parts[p].segment->docid_end)
        p++;
    return &search->parts[p];
}

/* Scores that are known: add_candidate pushed them as they are, and bounds of scores as 0. */
static void take_scores(const struct search *search, struct topk *out) {
    for (size_t i = 0; i < search->certain.n; i++) {
        struct scored entry = search->certain.heap[i];
        if (entry.score > 0 && is_exact(search, part_with(search, entry.docid)))
            topk_push(out, entry.score, entry.docid);
    }
}

/* The others' from their rows: of the best bounds in the rows' order on disk, of the rest best
 * bound first, until none can be among the best. */
static bool score_candidates(struct search *search, struct topk *out, struct error *err) {
    take_scores(search, out);
    keep_candidates(search);
    struct scored *candidates = search->candidates;
    size_t n = search->candidates_n, first_n = n < out->k ? n : out->k;
    scored_sort(candidates, n);
    qsort(candidates, first_n, sizeof *candidates, by_docid);
    for (size_t i = 0; i < n; i++) {
        if (i >= first_n && search->plan->exact &&
            candidates[i].score * search->plan->slack < topk_threshold(out))
            break;
        if (!score_row(search, candidates[i].docid, out, err))
            return false;
    }
    return true;
}

static bool search_plan(const struct sparse_plan *plan, size_t k, const struct docid_set *allowed,
                        struct arena *arena, struct scored_list *out, struct error *err) {
    const struct published *published = plan->snapshot->published;
    size_t live_n = (size_t)published->live_n, found_n = plan->exact ? k : k + k / SPARE_PART;
    struct topk topk;
    topk_init(&topk, k < live_n ? k : live_n, arena);
    struct search search = {
        .plan = plan,
        .allowed = allowed,
        .arena = arena,
        .candidates = ARENA_NEW(arena, struct scored, CANDIDATES_MIN),
        .candidates_cap = CANDIDATES_MIN,
        .ranked = ARENA_NEW(arena, struct table_bound, plan->n),
        .rest = ARENA_NEW(arena, float, plan->n + 1),
        .shares = ARENA_NEW(arena, float, plan->n *POSTINGS_GROUP_N),
        .present = ARENA_NEW(arena, bool, plan->n),
        .sums = ARENA_NEW(arena, float, SPARSE_SPAN_DOCS),
        .best = ARENA_NEW(arena, float, SPARSE_SPAN_WINDOWS *SPARSE_WINDOW_GROUPS),
    };
    topk_init(&search.certain, found_n < live_n ? found_n : live_n, arena);
    search.threshold = topk_threshold(&search.certain);
    bool searchable = plan->snapshot->index->settings.lexical != INDEX_LEXICAL_NONE && topk.k > 0;
    if (searchable && (!open_parts(&search, &published->segments, err) ||
                       !search_groups(&search, err) || !score_candidates(&search, &topk, err)))
        return false;
    topk_sort(&topk);
    *out = (struct scored_list){topk.heap, topk.n, !plan->exact};
    return true;
}

bool sparse_search(struct snapshot *snapshot, const struct sparse_vector *query, size_t k,
                   const struct docid_set *allowed, struct arena *arena, struct scored_list *out,
                   struct error *err) {
    struct sparse_plan plan;
    return sparse_plan_init(snapshot, query, arena, &plan, err) &&
           search_plan(&plan, k, allowed, arena, out, err);
}

bool sparse_search_approximate(struct snapshot *snapshot, const struct sparse_vector *query,
                               size_t k, const struct docid_set *allowed, float mass,
                               struct arena *arena, struct scored_list *out, struct error *err) {
    struct sparse_plan plan;
    if (!(mass > 0 && mass <= 1))
        return error_set(err, ERROR_INVALID, "mass is %g; it must be above 0 and at most 1",
                         (double)mass);
    if (!sparse_plan_init(snapshot, query, arena, &plan, err))
        return false;
    if (mass < 1)
        sparse_plan_thin(&plan, mass, arena);
    return search_plan(&plan, k, allowed, arena, out, err);
}
