/* rows.h - the ways of searching that a benchmark's table compares, with the weights that papers
 * used where the model has trained heads, and the figures that they printed. */
#ifndef TERCET_EVAL_ROWS_H
#define TERCET_EVAL_ROWS_H

#include "tools/eval/ask.h"

enum {
    EVAL_ROWS_MAX = 8,
    EVAL_RERANK_DEPTH = 100, /* of the published rerankings (BAAI's, of MIRACL and BEIR) */
};

/* One row as asked for (table false), or one for each set of modes that the index offers, and where
 * base wants to be reranked, one more: the last of them reranked. base: what all of them share.
 * Names live in the arena. Returns how many. */
size_t eval_rows(const char *kind, const struct index_settings *settings,
                 const struct search_request *base, bool table, struct arena *arena,
                 struct eval_row out[EVAL_ROWS_MAX]);

/* Whose figures are looked for: all but the split is known by name. */
struct eval_published_of {
    const char *kind, *folder, *lang;
    const char *model, *reranker; /* reranker "": none, or not of this row */
};

/* A published nDCG@10 of these modes, 0 to 1; 0: none is known. */
double eval_published(const struct eval_published_of *of, const struct search_request *row);

#endif
