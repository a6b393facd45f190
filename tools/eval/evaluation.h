/* evaluation.h - one run of a benchmark: what was asked for and all that came of it. eval.c makes
 * it; the printers there and the report (report_eval.h) read it. */
#ifndef TERCET_EVAL_EVALUATION_H
#define TERCET_EVAL_EVALUATION_H

#include "engine/model.h"
#include "tools/eval/report.h"
#include "tools/eval/rows.h"
#include "tools/ingest_job.h"

struct eval_settings {
    const char *kind, *folder, *split, *lang, *index;
    const char *run_file, *values_file, *measures;
    struct report_files report;
    struct model_options model;
    const char *reranker; /* a model's name; NULL: no row is reranked */
    struct search_request request;
    uint32_t threads, length_max, chunk_tokens, chunk_overlap, pool_tokens;
    const char *analyzer;
    bool json, table;
};

/* What is to be printed of a row. */
struct eval_line {
    const struct eval_row *row;
    double means[MEASURES_MAX];
    double query_ms_p50, query_ms_p99;
    double published; /* nDCG@10; 0: none known */
};

/* All in the arena. */
struct evaluation {
    const struct eval_settings *settings;
    struct arena arena;
    struct benchmark benchmark;
    const char *reranker; /* as it is printed; "": there is none */
    struct measure_list measures;
    struct eval_row rows[EVAL_ROWS_MAX];
    struct eval_answers answers[EVAL_ROWS_MAX]; /* judged: hits in trec_eval's order, took_ms
                                                   ascending */
    struct eval_line lines[EVAL_ROWS_MAX];
    double *values[EVAL_ROWS_MAX]; /* [queries, measures] */
    size_t rows_n;
    struct ingest_totals totals;
};

/* A row as --json prints it. */
struct json *eval_line_json(const struct evaluation *e, const struct eval_line *line);

#endif
