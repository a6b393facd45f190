/* ask.h - every query of a benchmark put to an index, in each way that a table has a row for.
 *
 * A query is encoded once for all rows. Queries are spread over the cores; the time of one is what
 * it took beside the others.
 * A run is ordered by its scores, and a reranked hit's is the cross-encoder's logit. Hits that it
 * has not read stand below the last that it has, as far from each other as their fused scores. */
#ifndef TERCET_EVAL_ASK_H
#define TERCET_EVAL_ASK_H

#include "query/search.h"
#include "tools/eval/benchmark.h"
#include "tools/eval/trec.h"

struct model;

struct eval_row {
    const char *name;              /* "dense,sparse"; "dense,sparse,rerank" */
    struct search_request request; /* but for the query and who reranks */
};

/* What one row answered. */
struct eval_answers {
    struct run run;  /* a query each, in the benchmark's order */
    double *took_ms; /* [queries] encoding included */
};

struct eval_asking {
    struct index *index;
    const struct model *model;
    const struct eval_row *rows; /* [rows_n] */
    size_t rows_n;
    const struct model *reranker; /* a cross-encoder; NULL: no row wants one */
    uint32_t threads;             /* 0: all cores */
};

/* out: [rows_n]. Where passages are judged by their texts, the benchmark's queries get their
 * judgments here. All in the arena. */
bool eval_ask(const struct eval_asking *asking, struct benchmark *benchmark, struct arena *arena,
              struct eval_answers *out, struct error *err);

#endif
