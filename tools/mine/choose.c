#include "tools/mine/choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/random.h"

static bool is_positive(const struct mine_row *row, uint32_t text) {
    for (size_t i = 0; i < row->positives_n; i++)
        if (row->positives[i] == text)
            return true;
    return false;
}

static bool is_query(const struct mine_row *row, const struct mine_text *text) {
    return text->len == row->query.len && memcmp(text->text, row->query.text, text->len) == 0;
}

/* Where no positive is among the candidates, all of them score higher than it does. */
static float ceiling_of(const struct mine_choice *choice, const struct mine_row *row,
                        const struct mine_candidate *candidates, size_t n) {
    if (!(choice->ceiling > 0))
        return INFINITY;
    for (size_t i = 0; i < n; i++)
        if (is_positive(row, candidates[i].text))
            return (float)((double)candidates[i].score * choice->ceiling);
    return -INFINITY;
}

static bool holds(const uint32_t *texts, size_t n, uint32_t text) {
    for (size_t i = 0; i < n; i++)
        if (texts[i] == text)
            return true;
    return false;
}

/* Texts by chance; gives up when nearly all draws meet what is there already: a tiny pool. */
static size_t fill(const struct mine_choice *choice, const struct mine_row *row,
                   const struct mine_pool *pool, uint64_t *state, uint32_t *out, size_t n) {
    size_t tries = 100 * choice->negatives_n;
    while (n < choice->negatives_n && tries-- > 0) {
        uint32_t text = random_below(state, (uint32_t)pool->n);
        if (!is_positive(row, text) && !is_query(row, &pool->texts[text]) && !holds(out, n, text))
            out[n++] = text;
    }
    return n;
}

size_t mine_choose(const struct mine_choice *choice, const struct mine_row *row, size_t number,
                   const struct mine_pool *pool, const struct mine_candidate *candidates, size_t n,
                   uint32_t *negatives_out) {
    uint64_t state = choice->seed ^ (uint64_t)number * 0xd1342543de82ef95u;
    float ceiling = ceiling_of(choice, row, candidates, n);
    uint32_t *fit = mem_alloc(n + 1, sizeof *fit);
    size_t fit_n = 0, wanted = choice->negatives_n;
    for (size_t i = choice->first; i < n && i < choice->last; i++)
        if (!is_positive(row, candidates[i].text) && candidates[i].score <= ceiling &&
            !is_query(row, &pool->texts[candidates[i].text]))
            fit[fit_n++] = candidates[i].text;
    if (fit_n > wanted) { /* Fisher & Yates, as far as it is needed */
        for (size_t i = 0; i < wanted; i++) {
            size_t j = i + random_below(&state, (uint32_t)(fit_n - i));
            uint32_t swap = fit[i];
            fit[i] = fit[j];
            fit[j] = swap;
        }
        fit_n = wanted;
    }
    memcpy(negatives_out, fit, fit_n * sizeof *fit);
    free(fit);
    return fill(choice, row, pool, &state, negatives_out, fit_n);
}
