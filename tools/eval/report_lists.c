#include "tools/eval/report_lists.h"

#include <stdlib.h>
#include <string.h>

/* The judgment that counts: the last one of a document. NULL: nobody judged it. */
static const struct judgment *judgment_of(const struct judged_query *query, const char *doc_key) {
    for (size_t i = query->judgments_n; i-- > 0;)
        if (strcmp(query->judgments[i].doc_key, doc_key) == 0)
            return &query->judgments[i];
    return NULL;
}

struct json *report_top(const struct judged_query *query, const struct run_query *ranking,
                        struct report_texts *documents) {
    struct json *top = json_new_array();
    for (size_t i = 0; i < ranking->hits_n && i < REPORT_TOP_MAX; i++) {
        const struct run_hit *hit = &ranking->hits[i];
        const struct judgment *judgment = judgment_of(query, hit->doc_key);
        struct json *one = json_new_object();
        json_add_number(one, "doc", report_texts_place(documents, hit->doc_key));
        json_add_number(one, "score", (double)hit->score);
        if (judgment)
            json_add_number(one, "relevance", judgment->relevance);
        json_push(top, one);
    }
    return top;
}

static int compare_judgments(const void *a, const void *b) {
    const struct judgment *x = *(const struct judgment *const *)a;
    const struct judgment *y = *(const struct judgment *const *)b;
    if (x->relevance != y->relevance)
        return y->relevance > x->relevance ? 1 : -1;
    return x < y ? -1 : x > y; /* as they were judged */
}

static size_t rank_of(const struct run_query *ranking, const char *doc_key) {
    for (size_t i = 0; i < ranking->hits_n; i++)
        if (strcmp(ranking->hits[i].doc_key, doc_key) == 0)
            return i + 1;
    return 0;
}

static struct json *relevant_one(const struct judgment *judgment,
                                 const struct run_query *const *rankings, size_t rankings_n,
                                 struct report_texts *documents) {
    struct json *one = json_new_object(), *ranks = json_new_array();
    json_add_number(one, "doc", report_texts_place(documents, judgment->doc_key));
    json_add_number(one, "relevance", judgment->relevance);
    for (size_t r = 0; r < rankings_n; r++)
        json_push(ranks, json_new_number((double)rank_of(rankings[r], judgment->doc_key)));
    json_add(one, "ranks", ranks);
    return one;
}

struct json *report_relevant(const struct judged_query *query,
                             const struct run_query *const *rankings, size_t rankings_n,
                             struct report_texts *documents, size_t *n_out) {
    struct arena scratch = {0};
    struct json *list = json_new_array();
    const struct judgment **relevant =
        ARENA_NEW(&scratch, const struct judgment *, query->judgments_n + 1);
    size_t n = 0;
    for (size_t i = 0; i < query->judgments_n; i++) {
        const struct judgment *judgment = &query->judgments[i];
        if (judgment->relevance > 0 && judgment_of(query, judgment->doc_key) == judgment)
            relevant[n++] = judgment;
    }
    qsort(relevant, n, sizeof *relevant, compare_judgments);
    for (size_t i = 0; i < n && i < REPORT_RELEVANT_MAX; i++)
        json_push(list, relevant_one(relevant[i], rankings, rankings_n, documents));
    arena_done(&scratch);
    *n_out = n;
    return list;
}

static const uint32_t depths[REPORT_DEPTHS_MAX] = {1, 3, 5, 10, 20, 50, 100, 200, 1000};

static struct json *recall_of(const struct run_query *run, const struct judged_queries *judged,
                              const struct measure_list *at) {
    struct arena scratch = {0};
    double means[REPORT_DEPTHS_MAX] = {0};
    const double *values = run_values(run, judged, at, &scratch);
    for (size_t i = 0; i < judged->n; i++)
        for (size_t d = 0; d < at->n; d++)
            means[d] += values[i * at->n + d] / (double)judged->n;
    arena_done(&scratch);
    return report_numbers(means, at->n);
}

void report_recall_add(struct json *report, const struct run_query *const *runs, size_t runs_n,
                       const struct judged_queries *judged, bool by_answer, size_t depth_max) {
    struct measure_list at = {.n = 0};
    struct json *shown = json_new_array(), *recall = json_new_array();
    for (size_t d = 0; d < REPORT_DEPTHS_MAX && depths[d] <= depth_max; d++) {
        at.items[at.n++] = (struct measure){by_answer ? MEASURE_HIT : MEASURE_RECALL, depths[d]};
        json_push(shown, json_new_number(depths[d]));
    }
    for (size_t r = 0; r < runs_n; r++)
        json_push(recall, recall_of(runs[r], judged, &at));
    json_add_string(report, "recall_name", by_answer ? "hit" : "recall");
    json_add(report, "depths", shown);
    json_add(report, "recall", recall);
}

size_t report_main_measure(const struct measure_list *measures) {
    size_t best = measures->n;
    for (size_t m = measures->n; m-- > 0;)
        if (measures->items[m].kind != MEASURE_HOLE)
            best = m;
    for (size_t m = 0; m < measures->n; m++)
        if (measures->items[m].kind == MEASURE_NDCG && measures->items[m].depth == 10)
            best = m;
    return best < measures->n ? best : 0;
}

struct json *report_measures(const struct measure_list *measures) {
    struct json *names = json_new_array();
    for (size_t m = 0; m < measures->n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(measures->items[m], name);
        json_push(names, json_new_string(name, strlen(name)));
    }
    return names;
}

struct json *report_numbers(const double *values, size_t n) {
    struct json *numbers = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_push(numbers, json_new_number(values[i]));
    return numbers;
}
