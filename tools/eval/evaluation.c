#include "tools/eval/evaluation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void line_make(struct evaluation *e, size_t row) {
    const struct judged_queries *judged = &e->benchmark.judged;
    struct eval_line *line = &e->lines[row];
    size_t n = judged->n, measures_n = e->measures.n;
    line->row = &e->rows[row];
    e->values[row] = run_values(e->answers[row].run.queries, judged, &e->measures, &e->arena);
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < measures_n; m++)
            line->means[m] += e->values[row][i * measures_n + m] / (double)n;
    double *took = e->answers[row].took_ms;
    qsort(took, n, sizeof *took, compare_doubles);
    line->query_ms_p50 = took[n / 2];
    line->query_ms_p99 = took[n - 1 - n / 100];
    const struct eval_published_of of = {e->settings->kind, e->folder, e->benchmark.lang, e->model,
                                         e->reranker};
    line->published = eval_published(&of, &e->rows[row].request);
}

int eval_ndcg_10_of(const struct measure_list *measures) {
    for (size_t m = 0; m < measures->n; m++)
        if (measures->items[m].kind == MEASURE_NDCG && measures->items[m].depth == 10)
            return (int)m;
    return -1;
}

void eval_lines_make(struct evaluation *e) {
    for (size_t r = 0; r < e->rows_n; r++)
        line_make(e, r);
}

struct json *eval_line_json(const struct evaluation *e, const struct eval_line *line) {
    struct json *json = json_new_object();
    int ndcg = eval_ndcg_10_of(&e->measures);
    json_add_string(json, "dataset", e->folder);
    json_add_string(json, "split", e->benchmark.split);
    if (*e->benchmark.lang)
        json_add_string(json, "lang", e->benchmark.lang);
    json_add_string(json, "modes", line->row->name);
    if (line->row->request.rerank.wanted) {
        json_add_string(json, "reranker", e->reranker);
        json_add_number(json, "rerank_depth", line->row->request.rerank.top);
    }
    for (size_t m = 0; m < e->measures.n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(e->measures.items[m], name);
        json_add_number(json, name, line->means[m]);
    }
    if (line->published > 0 && ndcg >= 0) {
        json_add_number(json, "published_ndcg@10", line->published);
        json_add_number(json, "difference", line->means[ndcg] - line->published);
    }
    json_add_number(json, "queries", (double)e->benchmark.judged.n);
    json_add_number(json, "documents", (double)e->totals.documents_n);
    json_add_number(json, "encode_tokens_per_s", e->totals.tokens_per_s);
    json_add_number(json, "index_s", e->totals.seconds);
    json_add_number(json, "query_ms_p50", line->query_ms_p50);
    json_add_number(json, "query_ms_p99", line->query_ms_p99);
    return json;
}

void eval_print_object(struct json *json) {
    struct buf out = {0};
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

int eval_name_columns(const struct evaluation *e) {
    return *e->reranker ? 25 : 18; /* of all modes' names */
}

static void print_text(const struct evaluation *e) {
    enum { COLUMNS = 13 };
    const int name_columns = eval_name_columns(e);
    const char *lang = e->benchmark.lang;
    int ndcg = eval_ndcg_10_of(&e->measures);
    printf("%s (%s%s%s): %zu queries, %zu documents; index %.1f s, %.0f tokens/s\n", e->folder,
           lang, *lang ? " " : "", e->benchmark.split, e->benchmark.judged.n, e->totals.documents_n,
           e->totals.seconds, e->totals.tokens_per_s);
    if (*e->reranker)
        printf("rerank: %s reads the best %u again\n", e->reranker,
               e->settings->request.rerank.top);
    printf("%-*s", name_columns, "");
    for (size_t m = 0; m < e->measures.n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(e->measures.items[m], name);
        printf(" %*s", COLUMNS - 1, name);
    }
    printf("   query ms p50 / p99\n");
    for (size_t r = 0; r < e->rows_n; r++) {
        const struct eval_line *line = &e->lines[r];
        printf("%-*s", name_columns, line->row->name);
        for (size_t m = 0; m < e->measures.n; m++)
            printf(" %*.4f", COLUMNS - 1, line->means[m]);
        printf("   %.1f / %.1f", line->query_ms_p50, line->query_ms_p99);
        if (line->published > 0 && ndcg >= 0)
            printf("   ndcg@10 published %.4f, difference %+.4f", line->published,
                   line->means[ndcg] - line->published);
        printf("\n");
    }
}

void eval_print(const struct evaluation *e) {
    if (!e->settings->json)
        print_text(e);
    for (size_t r = 0; e->settings->json && r < e->rows_n; r++)
        eval_print_object(eval_line_json(e, &e->lines[r]));
    fflush(stdout); /* into a file, too: the next set may take hours, or be stopped */
}

/* "out.trec"; "out.de.trec" of one set among several; "out.de.dense,sparse.trec" of one of its
 * table's rows. row NULL: of all rows. */
static const char *file_of(struct evaluation *e, const char *path, const char *row) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t stem = dot ? (size_t)(dot - path) : strlen(path);
    const char *ending = dot ? dot : "";
    if (e->rows_n == 1)
        row = NULL;
    return arena_format(&e->arena, "%.*s%s%s%s%s%s", (int)stem, path, *e->label ? "." : "",
                        e->label, row ? "." : "", row ? row : "", ending);
}

/* A value a query, row and measure, for tables and plots made elsewhere. */
static bool write_values(const struct evaluation *e, const char *path, struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set_errno(err, "%s", path);
    fprintf(out, "modes\tquery\tmeasure\tvalue\n");
    for (size_t r = 0; r < e->rows_n; r++)
        for (size_t i = 0; i < e->benchmark.judged.n; i++)
            for (size_t m = 0; m < e->measures.n; m++) {
                char name[MEASURE_NAME_BYTES];
                measure_name(e->measures.items[m], name);
                fprintf(out, "%s\t%s\t%s\t%.9g\n", e->rows[r].name,
                        e->benchmark.judged.queries[i].id, name,
                        e->values[r][i * e->measures.n + m]);
            }
    bool failed = ferror(out) != 0;
    return (fclose(out) == 0 && !failed) || error_set_errno(err, "%s", path);
}

bool eval_write_files(struct evaluation *e, struct error *err) {
    const struct eval_settings *settings = e->settings;
    for (size_t r = 0; settings->run_file && r < e->rows_n; r++)
        if (!run_write(file_of(e, settings->run_file, e->rows[r].name), &e->answers[r].run,
                       "tercet", err))
            return false;
    return !settings->values_file || write_values(e, file_of(e, settings->values_file, NULL), err);
}
