/* choose.h - which of a query's candidates become its hard negatives.
 *
 * As FlagEmbedding's hn_mine: of the ranking's places [first, last) those that are neither a
 * positive nor the query itself; if they are more than are wanted, so many of them by chance; if
 * they are fewer, texts of the pool by chance in their stead. A ceiling may leave out candidates
 * that score nearly as high as the best positive, which are likely positives nobody marked
 * (NV-Retriever, Moreira et al. 2024: .95 of the positive's score measured best). Chance comes from
 * the seed and the row's number alone. */
#ifndef TERCET_MINE_CHOOSE_H
#define TERCET_MINE_CHOOSE_H

#include "tools/mine/rows.h"

struct mine_choice {
    size_t first, last; /* places of the ranking, from 0 */
    size_t negatives_n;
    double ceiling; /* of the best positive's score; 0: none */
    uint64_t seed;
};

struct mine_candidate {
    uint32_t text; /* in the pool */
    float score;
};

/* candidates: [n] best first, at least choice->last of them where there are so many.
 * negatives_out: [negatives_n], in the ranking's order where they were all taken. Returns how
 * many: fewer only when the pool has no more. */
size_t mine_choose(const struct mine_choice *choice, const struct mine_row *row, size_t number,
                   const struct mine_pool *pool, const struct mine_candidate *candidates, size_t n,
                   uint32_t *negatives_out);

#endif
