#include "index/sparse/bounds.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    /* Work, in nanoseconds as measured, but only compared: for a term in windows that are read, for
     * each of its postings there, for a term in a group. */
    BEGIN_TERM_WORK = 100,
    POSTING_WORK = 2,
    GROUP_TERM_WORK = 25,
};

/* ---- one term's list ---- */

static bool damaged(const struct sparse_part *part, const struct sparse_term *term,
                    struct error *err) {
    return store_corrupt(part->plan->snapshot->txn, TABLE_POSTINGS, err,
                         "segment %u, term %u: not a posting list", part->segment->id, term->id);
}

static bool open_block(const struct sparse_part *part, struct sparse_term *term, uint32_t b,
                       struct error *err) {
    if (term->open_b == b)
        return true;
    if (!posting_list_block(&term->list, b, &term->open))
        return damaged(part, term, err);
    term->open_b = b;
    return true;
}

bool sparse_part_add(const struct sparse_part *part, struct sparse_term *term, size_t group,
                     float *sums, struct error *err) {
    uint32_t begin = (part->group_begin + (uint32_t)group) * POSTINGS_GROUP_N;
    for (uint32_t b = posting_list_find(&term->list, begin); b < term->list.blocks_n; b++) {
        if (!open_block(part, term, b, err))
            return false;
        const struct posting_block *block = &term->open;
        for (uint32_t i = posting_block_find(block, begin); i < block->n; i++) {
            uint32_t at = posting_block_docid(block, i) - begin;
            if (at >= POSTINGS_GROUP_N)
                return true;
            sums[at] += sparse_plan_share(part->plan, term->weight, posting_block_weight(block, i),
                                          posting_block_length(block, i));
        }
    }
    return true;
}

/* Shares of the block's postings [begin, end). */
static void read_shares(const struct sparse_plan *plan, const struct posting_block *block,
                        float weight, uint32_t begin, uint32_t end, float *shares) {
    const struct sparse_share share = {plan->bm25, weight, plan->norm_base, plan->norm_slope,
                                       block->code_base};
    sparse_kinds[cpu_level()].shares(&share, block->codes + begin,
                                     block->lengths + (size_t)begin * block->length_bytes,
                                     block->length_bytes, end - begin, shares);
}

/* docids of the block's postings [begin, end), less `less`. */
static void read_docids(const struct posting_block *block, uint32_t begin, uint32_t end,
                        uint32_t less, uint32_t *docids) {
    if (block->offset_bytes == 2)
        for (uint32_t i = begin; i < end; i++)
            docids[i - begin] = block->docid_first - less + get_u16(block->offsets + (size_t)2 * i);
    else
        for (uint32_t i = begin; i < end; i++)
            docids[i - begin] = posting_block_docid(block, i) - less;
}

/* sums: [docs_n] of the docids from `begin` on. */
static bool add_term(const struct sparse_part *part, struct sparse_term *term, uint32_t begin,
                     uint32_t docs_n, float *sums, struct error *err) {
    uint32_t docids[POSTINGS_BLOCK_N];
    float shares[POSTINGS_BLOCK_N];
    for (uint32_t b = posting_list_find(&term->list, begin); b < term->list.blocks_n; b++) {
        if (!open_block(part, term, b, err))
            return false;
        const struct posting_block *block = &term->open;
        bool is_last = posting_list_last(&term->list, b) - begin >= docs_n;
        uint32_t i = block->docid_first < begin ? posting_block_find(block, begin) : 0;
        uint32_t end = is_last ? posting_block_find(block, begin + docs_n) : block->n;
        read_docids(block, i, end, begin, docids);
        read_shares(part->plan, block, term->weight, i, end, shares);
        for (uint32_t j = 0; j < end - i; j++) {
            if (docids[j] >= docs_n)
                return damaged(part, term, err);
            sums[docids[j]] += shares[j];
        }
        if (is_last)
            break;
    }
    return true;
}

bool sparse_part_add_windows(const struct sparse_part *part, size_t window, size_t windows_n,
                             float *sums, struct error *err) {
    uint32_t begin =
        (part->group_begin + (uint32_t)(window * SPARSE_WINDOW_GROUPS)) * POSTINGS_GROUP_N;
    uint32_t docs_n = (uint32_t)windows_n * SPARSE_WINDOW_DOCS;
    for (size_t t = 0; t < part->tables_n + part->lists_n; t++)
        if (!add_term(part, part->terms[t], begin, docs_n, sums, err))
            return false;
    return true;
}

/* ---- opening ---- */

/* What a code of the term's table is multiplied with to bound a share of the score. For BM25 the
 * table was made by a norm of then, and with base', slope' instead of base, slope
 * tf / (tf + base + slope L) is at most max(1, base'/base, slope'/slope) times as large. */
static float table_scale(const struct sparse_plan *plan, const struct sparse_term *term) {
    struct posting_norm norm = term->list.table_norm;
    float factor = 1;
    if (plan->bm25) {
        factor = fmaxf(factor, norm.base / plan->norm_base);
        factor = norm.slope > 0 ? fmaxf(factor, norm.slope / plan->norm_slope) : factor;
    }
    return fminf(term->weight * factor, FLT_MAX); /* infinity times nothing would be no number */
}

static bool has_table(const struct sparse_plan *plan, const struct posting_list *list) {
    /* A table of weights is of no use to BM25 (a list whose documents all have the length 0). */
    return list->table && plan->bm25 == (list->table_norm.base > 0);
}

static bool within(const struct sparse_part *part, const struct posting_list *list) {
    size_t groups_n = part->windows_n * SPARSE_WINDOW_GROUPS;
    return posting_list_last(list, list->blocks_n - 1) < part->segment->docid_end &&
           (!list->table || (list->group_first >= part->group_begin &&
                             list->group_first - part->group_begin < groups_n &&
                             list->groups_n <= groups_n - (list->group_first - part->group_begin)));
}

static bool open_term(struct sparse_part *part, size_t at, struct arena *arena, struct error *err) {
    const struct sparse_plan *plan = part->plan;
    struct sparse_term term = {.id = plan->query->ids[at], .at = at, .weight = plan->finding[at]};
    uint8_t key[8];
    struct bytes value;
    put_be32(key, part->segment->id);
    put_be32(key + 4, term.id);
    if (!(term.weight > 0))
        return true;
    if (!store_get(plan->snapshot->txn, TABLE_POSTINGS, key, sizeof key, &value, err))
        return false;
    if (!value.data)
        return true;
    if (!posting_list_open(value, &term.list) || !within(part, &term.list))
        return damaged(part, &term, err);
    term.list.checked = ARENA_ZERO(arena, uint64_t, term.list.blocks_n / 64 + 1);
    term.open_b = term.list.blocks_n;
    float lowest = posting_decode(posting_code_base(term.list.scale), 1);
    part->floor_sum += term.list.low ? sparse_plan_share(plan, term.weight, lowest, 0) : 0;
    part->rounded = part->rounded || term.list.rounded;
    bool tabled = has_table(plan, &term.list);
    struct sparse_term *to = tabled ? &part->tables[part->tables_n] : &part->lists[part->lists_n];
    *to = term;
    to->scale = tabled ? table_scale(plan, &term) : 0;
    part->terms[part->tables_n + part->lists_n] = to;
    part->tables_n += tabled;
    part->lists_n += !tabled;
    return true;
}

/* ---- the bounds ---- */

/* Adds the largest share of each group that the list is in, and marks it there. */
static bool add_list(struct sparse_part *part, size_t at, struct error *err) {
    struct sparse_term *term = &part->lists[at];
    uint32_t mask = UINT32_C(1) << (at < SPARSE_MASK_TERMS ? at : SPARSE_MASK_TERMS - 1);
    uint32_t docids[POSTINGS_BLOCK_N];
    float shares[POSTINGS_BLOCK_N], share_max = 0;
    size_t groups_n = part->windows_n * SPARSE_WINDOW_GROUPS, group = 0; /* the one under way */
    for (uint32_t b = 0; b < term->list.blocks_n; b++) {
        if (!open_block(part, term, b, err))
            return false;
        read_docids(&term->open, 0, term->open.n, 0, docids);
        read_shares(part->plan, &term->open, term->weight, 0, term->open.n, shares);
        for (uint32_t i = 0; i < term->open.n; i++) {
            size_t next = docids[i] / POSTINGS_GROUP_N - part->group_begin;
            if (next >= groups_n)
                return damaged(part, term, err);
            if (next != group) {
                part->bounds[group] += share_max;
                group = next;
                share_max = 0;
            }
            part->masks[group] |= mask;
            share_max = shares[i] > share_max ? shares[i] : share_max;
        }
    }
    part->bounds[group] += share_max;
    return true;
}

static void add_table(struct sparse_part *part, const struct sparse_term *term) {
    const struct posting_list *list = &term->list;
    sparse_kinds[cpu_level()].add_codes(part->bounds + (list->group_first - part->group_begin),
                                        list->table, list->groups_n,
                                        posting_code_base(list->table_scale), term->scale);
}

/* Reading windows whole costs a search for the place in each list and a little for each posting; a
 * group costs only the first, but for itself. */
static void measure_work(struct sparse_part *part) {
    size_t terms_n = part->tables_n + part->lists_n, postings_n = 0;
    for (size_t t = 0; t < terms_n; t++)
        postings_n += part->terms[t]->list.n;
    size_t group_work = terms_n * GROUP_TERM_WORK;
    part->window_work = postings_n * POSTING_WORK * 100 / part->windows_n / group_work;
    part->begin_work = terms_n * BEGIN_TERM_WORK * 100 / group_work;
}

static void drop_forbidden(struct sparse_part *part, const struct docid_set *allowed) {
    _Static_assert(2 * POSTINGS_GROUP_N == 64, "two groups to a word of a docid set");
    for (size_t g = 0; g < part->windows_n * SPARSE_WINDOW_GROUPS; g++) {
        size_t global = part->group_begin + g, word = global / 2;
        uint64_t bits = word < allowed->words_n ? allowed->words[word] : 0;
        if ((uint32_t)(bits >> (global % 2 * POSTINGS_GROUP_N)) == 0)
            part->bounds[g] = 0;
    }
}

bool sparse_part_open(const struct sparse_plan *plan, const struct segment *segment,
                      const struct docid_set *allowed, struct arena *arena, struct sparse_part *out,
                      struct error *err) {
    struct sparse_part part = {
        .plan = plan,
        .segment = segment,
        .group_begin = segment->docid_begin / POSTINGS_GROUP_N,
        .tables = ARENA_NEW(arena, struct sparse_term, plan->n),
        .lists = ARENA_NEW(arena, struct sparse_term, plan->n),
        .terms = ARENA_NEW(arena, struct sparse_term *, plan->n),
    };
    uint32_t group_last = (segment->docid_end - 1) / POSTINGS_GROUP_N;
    part.windows_n = (group_last - part.group_begin) / SPARSE_WINDOW_GROUPS + 1;
    for (size_t i = 0; i < plan->n; i++)
        if (!open_term(&part, i, arena, err))
            return false;
    if (part.tables_n + part.lists_n == 0)
        part.windows_n = 0;
    else
        measure_work(&part);
    size_t groups_n = part.windows_n * SPARSE_WINDOW_GROUPS;
    part.bounds = ARENA_ZERO(arena, float, groups_n);
    part.masks = ARENA_ZERO(arena, uint32_t, groups_n);
    part.window_max = ARENA_NEW(arena, float, part.windows_n);
    for (size_t i = 0; i < part.lists_n; i++)
        if (!add_list(&part, i, err))
            return false;
    for (size_t i = 0; i < part.tables_n; i++)
        add_table(&part, &part.tables[i]);
    if (allowed)
        drop_forbidden(&part, allowed);
    sparse_kinds[cpu_level()].window_max(part.bounds, part.windows_n, part.window_max);
    *out = part;
    return true;
}
