/* evidence.h - what in a hit answers the query: its terms' shares, the token vectors that answer
 * the query's, and where they stand in the hit's title and text. What explains and what highlights
 * reads it from here. */
#ifndef TERCET_QUERY_EVIDENCE_H
#define TERCET_QUERY_EVIDENCE_H

#include "engine/passage.h"
#include "query/run.h"

struct evidence {
    const float *shares; /* [query.sparse.n] of the hit's lexical score; NULL: not looked for */
    /* [query.multi_n] the token whose vector is the hit's best for each of the query's, counted
     * from `first` (of tokens that share a vector, the first), and their product. NULL: not looked
     * for. */
    const uint32_t *best;
    const float *products;
    /* The hit, or its passage, as the model read it. tokens.n 0: the model is not here. */
    struct passage passage;
    size_t title_len;  /* of the title that stands in front of it: it may be cut */
    size_t text_begin; /* where it begins in the document's text */
    struct tokens tokens;
    size_t first; /* the token of token vector 0 */
};

/* Terms and tokens are looked for where the query has some. hit->scores and hit->document must be
 * there; everything lies in the run's arena. */
bool evidence_find(struct search_run *run, const struct search_hit *hit, struct evidence *out,
                   struct error *err);

/* Where the hit's token `first` + i stands. False: nowhere (a special token, or nobody knows). A
 * token over the border of title and text is put where most of it is; blanks around it are left
 * out. */
bool evidence_place(const struct evidence *evidence, uint32_t i, struct search_place *out);

#endif
