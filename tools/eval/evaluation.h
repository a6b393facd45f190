/* evaluation.h - one data set of a benchmark, searched and judged: what was asked for and all that
 * came of it. eval.c makes it; the reports (report_eval.h, report_sets.h) read it. */
#ifndef TERCET_EVAL_EVALUATION_H
#define TERCET_EVAL_EVALUATION_H

#include "engine/model.h"
#include "index/index.h"
#include "tools/eval/report.h"
#include "tools/eval/rows.h"
#include "tools/ingest_job.h"

struct eval_settings {
    const char *kind, *split, *index;
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
    const char *folder;
    const char
        *label; /* what it is among several sets: a language or the folder's name; "": alone */
    const char *model, *reranker; /* as they are named; reranker "": there is none */
    struct arena arena;
    struct benchmark benchmark;
    struct measure_list measures;
    struct index_settings index;
    struct eval_row rows[EVAL_ROWS_MAX];
    struct eval_answers answers[EVAL_ROWS_MAX]; /* judged: hits in trec_eval's order, took_ms
                                                   ascending */
    struct eval_line lines[EVAL_ROWS_MAX];
    double *values[EVAL_ROWS_MAX]; /* [queries, measures] */
    size_t rows_n;
    struct ingest_totals totals;
};

/* Judges the answers: values and lines. */
void eval_lines_make(struct evaluation *e);

/* Where nDCG@10, which papers print, stands among the measures; -1: it was not asked for. */
int eval_ndcg_10_of(const struct measure_list *measures);

/* A row as --json prints it. */
struct json *eval_line_json(const struct evaluation *e, const struct eval_line *line);
/* A line of JSON, which is released. */
void eval_print_object(struct json *json);
/* The width of rows' names on a terminal. */
int eval_name_columns(const struct evaluation *e);

/* The table on the terminal, or an object a row. */
void eval_print(const struct evaluation *e);

/* --run and --per-query. Each of several sets has files of its own, its label in their names. */
bool eval_write_files(struct evaluation *e, struct error *err);

#endif
