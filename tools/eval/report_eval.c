#include "tools/eval/report_eval.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "query/plan.h"
#include "tools/eval/report_lists.h"

enum { HARDEST_MAX = 12 }; /* of each row: an evening's reading */

static const char *name_of(struct evaluation *e) {
    return report_name_of(e->folder, &e->arena);
}

/* ---- the head ---- */

static void facts_of_model(struct json *facts, struct evaluation *e,
                           const struct index_settings *index, const struct model_info *model) {
    report_fact(facts, "Model", "%s", report_name_of(model->name, &e->arena));
    report_fact(facts, "Fingerprint", "%s", model->fingerprint);
    report_fact(facts, "Precision", "%s", model->precision);
    if (index->dense_dim)
        report_fact(facts, "Dense", "%u numbers, %s pooling", index->dense_dim, model->pooling);
    if (index->lexical == INDEX_LEXICAL_BM25)
        report_fact(facts, "Sparse", "BM25, k1 %.2f, b %.2f, analyzer %s", (double)index->bm25_k1,
                    (double)index->bm25_b, index->analyzer);
    else if (index->lexical == INDEX_LEXICAL_LEARNED)
        report_fact(facts, "Sparse", "the model's own weights, analyzer %s", index->analyzer);
    if (index->multi_dim && index->pool_tokens > 1)
        report_fact(facts, "Multi", "%u numbers a token, %u neighbours kept as one",
                    index->multi_dim, index->pool_tokens);
    else if (index->multi_dim)
        report_fact(facts, "Multi", "%u numbers a token", index->multi_dim);
    report_fact(facts, "Longest text", "%u tokens", index->length_max);
    report_fact(facts, "Query instruction", "%s", index->instruction);
    report_fact(facts, "Passage instruction", "%s", index->passage_instruction);
    if (index->chunk_tokens)
        report_fact(facts, "Passages", "at most %u tokens, %u shared", index->chunk_tokens,
                    index->chunk_overlap);
}

static void facts_of_search(struct json *facts, const struct evaluation *e) {
    const struct search_request *request = &e->settings->request;
    report_fact(facts, "Hits a query", "%u", request->k);
    report_fact(facts, "Candidates", "%u a mode",
                request->candidates ? request->candidates : SEARCH_CANDIDATES_DEFAULT);
    report_fact(facts, "Dense search", "%s",
                request->exact ? "exact" : "as a search does it by default");
    if (*e->reranker)
        report_fact(facts, "Reranker", "%s, the best %u of a query", e->reranker,
                    request->rerank.top);
    report_fact(facts, "Processor", "%s kernels", cpu_level_name(cpu_level()));
}

void report_eval_facts(struct json *facts, struct evaluation *e, const struct model_info *model) {
    facts_of_model(facts, e, &e->index, model);
    facts_of_search(facts, e);
}

static struct json *facts_of(struct evaluation *e, const struct model_info *model) {
    struct json *facts = json_new_array();
    report_fact(facts, "Benchmark", "%s, %s", e->settings->kind, name_of(e));
    report_fact(facts, "Split", "%s", e->benchmark.split ? e->benchmark.split : "");
    report_fact(facts, "Language", "%s", e->benchmark.lang);
    report_fact(facts, "Queries", "%zu", e->benchmark.judged.n);
    report_fact(facts, "Documents", "%zu", e->totals.documents_n);
    report_eval_facts(facts, e, model);
    if (e->totals.seconds > 0 && e->totals.tokens_per_s > 0)
        report_fact(facts, "Indexing", "%.1f s, %.0f tokens/s", e->totals.seconds,
                    e->totals.tokens_per_s);
    return facts;
}

/* ---- a row: how it searched, and how long that took ---- */

/* "zscore: dense 0.40, sparse 0.25, multi 0.35"; "" for one mode alone. */
static const char *weights_of(struct evaluation *e, const struct eval_row *row) {
    struct search_request request = row->request;
    struct search_plan plan;
    struct error ignored;
    const char *field, *text = "";
    unsigned modes = request.modes;
    request.rerank.wanted = false; /* by nobody, here */
    request.query = "any";         /* a plan is made of a whole request alone */
    request.query_len = strlen(request.query);
    if (!plan_make(&request, &e->index, &plan, &field, &ignored) || (modes & (modes - 1)) == 0)
        return "";
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (modes & (1u << mode))
            text =
                arena_format(&e->arena, "%s%s %s %.2f", text, *text ? "," : ":",
                             fuse_mode_name((enum fuse_mode)mode), (double)plan.fuse.weights[mode]);
    return arena_format(&e->arena, "%s%s", fuse_method_name(plan.fuse.method), text);
}

static const char *fusion_of(struct evaluation *e, const struct eval_row *row) {
    const char *weights = weights_of(e, row);
    if (!row->request.rerank.wanted)
        return weights;
    return arena_format(&e->arena, "%s%sthe best %u reranked", weights, *weights ? "; " : "",
                        row->request.rerank.top);
}

static struct json *ways_of(struct evaluation *e) {
    struct json *ways = json_new_array();
    size_t n = e->benchmark.judged.n;
    for (size_t r = 0; r < e->rows_n; r++) {
        const double *took = e->answers[r].took_ms;
        struct json *way = json_new_object();
        json_add_string(way, "name", e->rows[r].name);
        json_add_string(way, "fusion", fusion_of(e, &e->rows[r]));
        json_add_number(way, "p50", e->lines[r].query_ms_p50);
        json_add_number(way, "p90", took[n - 1 - n / 10]);
        json_add_number(way, "p99", e->lines[r].query_ms_p99);
        json_add_number(way, "max", took[n - 1]);
        json_push(ways, way);
    }
    return ways;
}

/* ---- the hardest queries ---- */

struct hardness {
    double value, mean; /* of this row; of all rows */
    size_t query;
};

static int compare_hardness(const void *a, const void *b) {
    const struct hardness *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->mean != y->mean)
        return x->mean < y->mean ? -1 : 1;
    return x->query < y->query ? -1 : x->query > y->query;
}

/* Worst first; among equals those that the other rows found hard, too. Returns how many were not
 * answered in full, at most HARDEST_MAX. */
static size_t hardest_of(const struct evaluation *e, size_t row, size_t main,
                         size_t out[HARDEST_MAX]) {
    size_t n = e->benchmark.judged.n, measures_n = e->measures.n, kept = 0;
    struct hardness *all = mem_alloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct hardness){.value = e->values[row][i * measures_n + main], .query = i};
        for (size_t r = 0; r < e->rows_n; r++)
            all[i].mean += e->values[r][i * measures_n + main] / (double)e->rows_n;
    }
    qsort(all, n, sizeof *all, compare_hardness);
    while (kept < n && kept < HARDEST_MAX && all[kept].value < 1) {
        out[kept] = all[kept].query;
        kept++;
    }
    free(all);
    return kept;
}

static struct json *query_of(const struct evaluation *e, size_t i, struct report_texts *documents,
                             struct arena *scratch) {
    const struct judged_query *query = &e->benchmark.judged.queries[i];
    const struct run_query *rankings[EVAL_ROWS_MAX];
    struct json *one = json_new_object(), *values = json_new_array(), *answers = json_new_array();
    size_t relevant_n;
    for (size_t r = 0; r < e->rows_n; r++) {
        rankings[r] = &e->answers[r].run.queries[i];
        json_push(values, report_numbers(e->values[r] + i * e->measures.n, e->measures.n));
    }
    json_add_string(one, "id", query->id);
    json_add_string(one, "text",
                    report_text_cut(query->text, query->text_len, REPORT_TEXT_BYTES_MAX, scratch));
    json_add(one, "values", values);
    json_add(one, "relevant", report_relevant(query, rankings, e->rows_n, documents, &relevant_n));
    json_add_number(one, "relevant_n", (double)relevant_n);
    for (size_t a = 0; a < query->answers_n; a++)
        json_push(answers, json_new_string(query->answers[a], strlen(query->answers[a])));
    json_add(one, "answers", answers);
    return one;
}

/* "queries": each that is hard for one row at least; "hardest": a row each, [{"query": its place
 * there, "top"}]. */
static void hardest_add(struct json *report, struct evaluation *e, struct report_texts *documents) {
    struct json *queries = json_new_array(), *hardest = json_new_array();
    size_t main = report_main_measure(&e->measures), n = e->benchmark.judged.n;
    uint32_t *place = ARENA_ZERO(&e->arena, uint32_t, n); /* from 1; 0: not there yet */
    for (size_t r = 0; r < e->rows_n; r++) {
        size_t chosen[HARDEST_MAX], chosen_n = hardest_of(e, r, main, chosen);
        struct json *list = json_new_array();
        for (size_t c = 0; c < chosen_n; c++) {
            size_t i = chosen[c];
            struct json *one = json_new_object();
            if (!place[i]) {
                json_push(queries, query_of(e, i, documents, &e->arena));
                place[i] = (uint32_t)json_count(queries);
            }
            json_add_number(one, "query", place[i] - 1);
            json_add(one, "top",
                     report_top(&e->benchmark.judged.queries[i], &e->answers[r].run.queries[i],
                                documents));
            json_push(list, one);
        }
        json_push(hardest, list);
    }
    json_add_number(report, "main", (double)main);
    json_add(report, "queries", queries);
    json_add(report, "hardest", hardest);
}

/* ---- all of it ---- */

struct json *report_eval_rows(struct evaluation *e) {
    struct json *rows = json_new_array();
    for (size_t r = 0; r < e->rows_n; r++) {
        struct json *row = eval_line_json(e, &e->lines[r]);
        json_add_string(row, "dataset", name_of(e));
        json_push(rows, row);
    }
    return rows;
}

const char *report_eval_caption(struct evaluation *e) {
    const char *reranked = *e->reranker ? arena_format(&e->arena, ", rerank: the best %u by %s",
                                                       e->settings->request.rerank.top, e->reranker)
                                        : "";
    return arena_format(&e->arena, "%s (%s%s%s): %zu queries, %zu documents, %s%s, tercet %s",
                        name_of(e), e->benchmark.lang, *e->benchmark.lang ? " " : "",
                        e->benchmark.split, e->benchmark.judged.n, e->totals.documents_n,
                        report_name_of(e->model, &e->arena), reranked, TERCET_VERSION);
}

const char *const report_eval_left_out[] = {"dataset",   "split",        "lang",
                                            "reranker",  "rerank_depth", "queries",
                                            "documents", "index_s",      "encode_tokens_per_s",
                                            NULL};

bool report_eval_page(struct evaluation *e, struct index *index, const struct model_info *model,
                      struct json **out, struct error *err) {
    struct report_texts documents = {.arena = &e->arena};
    const struct run_query *runs[EVAL_ROWS_MAX];
    const char *lang = e->benchmark.lang;
    for (size_t r = 0; r < e->rows_n; r++)
        runs[r] = e->answers[r].run.queries;
    struct json *report =
        report_begin("eval", arena_format(&e->arena, "%s%s%s", name_of(e), *lang ? ", " : "", lang),
                     TERCET_VERSION);
    json_add(report, "facts", facts_of(e, model));
    json_add(report, "measures", report_measures(&e->measures));
    json_add(report, "rows", report_eval_rows(e));
    json_add(report, "ways", ways_of(e));
    report_recall_add(report, runs, e->rows_n, &e->benchmark.judged, e->benchmark.by_answer,
                      e->settings->request.k);
    hardest_add(report, e, &documents);
    bool ok = report_texts_from_index(&documents, index, err);
    if (ok)
        json_add(report, "documents", report_texts_json(&documents));
    report_texts_done(&documents);
    if (ok)
        *out = report;
    else
        json_release(report);
    return ok;
}
