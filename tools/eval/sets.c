#include "tools/eval/sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tools/eval/report_lists.h"

/* ---- which they are ---- */

static struct evaluation *add_set(struct eval_sets *sets, const struct eval_settings *settings,
                                  const char *folder, const char *lang) {
    struct evaluation *e = &sets->items[sets->n++];
    *e = (struct evaluation){.settings = settings, .folder = folder, .label = "", .reranker = ""};
    e->benchmark.lang = lang;
    return e;
}

static bool add_languages(struct eval_sets *sets, const struct eval_settings *settings,
                          const char *folder, const char *langs, struct error *err) {
    for (const char *at = langs;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0)
            return error_set(err, ERROR_INVALID, "--lang \"%s\": a language is empty", langs);
        if (sets->n == EVAL_SETS_MAX)
            break;
        const char *lang = arena_text(&sets->arena, at, len);
        add_set(sets, settings, folder, lang)->label = lang;
        at += len;
        if (!*at)
            return true;
    }
    return error_set(err, ERROR_LIMIT, "more than %d languages", EVAL_SETS_MAX);
}

/* Their rows, files and columns are told apart by the labels alone. */
static bool labels_differ(const struct eval_sets *sets, struct error *err) {
    for (size_t i = 0; i < sets->n; i++) {
        const char *label = sets->items[i].label;
        for (size_t j = 0; j < i; j++)
            if (strcmp(label, sets->items[j].label) == 0)
                return error_set(err, ERROR_INVALID, "two sets are named \"%s\"", label);
        if (sets->n > 1 && strcmp(label, "average") == 0)
            return error_set(err, ERROR_INVALID,
                             "a set is named \"average\", as what is made of all of them: rename "
                             "it");
    }
    return true;
}

bool eval_sets_make(const struct eval_settings *settings, char *const *folders, size_t folders_n,
                    const char *langs, struct eval_sets *out, struct error *err) {
    bool several = langs && strchr(langs, ',');
    *out = (struct eval_sets){.items = mem_zalloc(EVAL_SETS_MAX, sizeof *out->items),
                              .by_language = several};
    if (several && folders_n > 1)
        return error_set(err, ERROR_INVALID,
                         "several languages of one folder, or several folders, not both");
    if (several && !benchmark_has_languages(settings->kind))
        return error_set(err, ERROR_INVALID,
                         "%s has a folder a language: name several folders instead of --lang %s",
                         settings->kind, langs);
    if (folders_n > EVAL_SETS_MAX)
        return error_set(err, ERROR_LIMIT, "%zu folders: at most %d", folders_n, EVAL_SETS_MAX);
    if (several)
        return add_languages(out, settings, folders[0], langs, err) && labels_differ(out, err);
    for (size_t i = 0; i < folders_n; i++) {
        struct evaluation *e = add_set(out, settings, folders[i], langs);
        if (folders_n > 1)
            e->label = report_name_of(folders[i], &out->arena);
    }
    return labels_differ(out, err);
}

void eval_sets_done(struct eval_sets *sets) {
    for (size_t i = 0; i < sets->n; i++)
        arena_done(&sets->items[i].arena);
    free(sets->items);
    arena_done(&sets->arena);
}

bool eval_sets_read(struct eval_sets *sets, struct error *err) {
    for (size_t i = 0; i < sets->n; i++) {
        struct evaluation *e = &sets->items[i];
        const struct eval_settings *settings = e->settings;
        if (!benchmark_read(settings->kind, e->folder, settings->split, e->benchmark.lang,
                            &e->arena, &e->benchmark, err) ||
            !measures_parse(settings->measures ? settings->measures : e->benchmark.measures,
                            &e->measures, err))
            return false;
    }
    return true;
}

bool eval_sets_share(const struct eval_sets *sets, size_t i, size_t j) {
    return strcmp(sets->items[i].benchmark.corpus, sets->items[j].benchmark.corpus) == 0;
}

/* ---- the mean ---- */

size_t eval_sets_measure(const struct eval_sets *sets) {
    return report_main_measure(&sets->items[0].measures);
}

double eval_sets_mean(const struct eval_sets *sets, size_t row, size_t measure) {
    double sum = 0;
    for (size_t i = 0; i < sets->n; i++)
        sum += sets->items[i].lines[row].means[measure];
    return sum / (double)sets->n;
}

/* 0: of one of them none is known. */
static double published_mean(const struct eval_sets *sets, size_t row) {
    double sum = 0;
    for (size_t i = 0; i < sets->n; i++) {
        if (!(sets->items[i].lines[row].published > 0))
            return 0;
        sum += sets->items[i].lines[row].published;
    }
    return sum / (double)sets->n;
}

struct json *eval_average_json(const struct eval_sets *sets, size_t row) {
    const struct evaluation *first = &sets->items[0];
    const struct eval_row *way = &first->rows[row];
    struct json *json = json_new_object();
    double published = published_mean(sets, row), queries = 0, documents = 0;
    int ndcg = eval_ndcg_10_of(&first->measures);
    json_add_string(json, "dataset", sets->by_language ? first->folder : "average");
    json_add_string(json, "split", first->benchmark.split);
    if (sets->by_language)
        json_add_string(json, "lang", "average");
    json_add_string(json, "modes", way->name);
    if (way->request.rerank.wanted) {
        json_add_string(json, "reranker", first->reranker);
        json_add_number(json, "rerank_depth", way->request.rerank.top);
    }
    for (size_t m = 0; m < first->measures.n; m++) {
        char name[MEASURE_NAME_BYTES];
        measure_name(first->measures.items[m], name);
        json_add_number(json, name, eval_sets_mean(sets, row, m));
    }
    if (published > 0 && ndcg >= 0) {
        json_add_number(json, "published_ndcg@10", published);
        json_add_number(json, "difference", eval_sets_mean(sets, row, (size_t)ndcg) - published);
    }
    for (size_t i = 0; i < sets->n; i++) {
        queries += (double)sets->items[i].benchmark.judged.n;
        if (i == 0 || !eval_sets_share(sets, i, i - 1))
            documents += (double)sets->items[i].totals.documents_n;
    }
    json_add_number(json, "sets", (double)sets->n);
    json_add_number(json, "queries", queries);
    json_add_number(json, "documents", documents);
    return json;
}

static void print_text(const struct eval_sets *sets) {
    enum { COLUMNS = 9, PUBLISHED_COLUMNS = 3 };
    const struct evaluation *first = &sets->items[0];
    size_t main = eval_sets_measure(sets);
    int names = eval_name_columns(first), ndcg = eval_ndcg_10_of(&first->measures);
    char name[MEASURE_NAME_BYTES];
    measure_name(first->measures.items[main], name);
    printf("\n%-*s %*s", names, name, COLUMNS - 1, "average");
    for (size_t i = 0; i < sets->n; i++)
        printf(" %*s", COLUMNS - 1, sets->items[i].label);
    printf("\n");
    for (size_t r = 0; r < first->rows_n; r++) {
        double published = published_mean(sets, r), mean = eval_sets_mean(sets, r, main);
        printf("%-*s %*.4f", names, first->rows[r].name, COLUMNS - 1, mean);
        for (size_t i = 0; i < sets->n; i++)
            printf(" %*.4f", COLUMNS - 1, sets->items[i].lines[r].means[main]);
        if (published > 0 && ndcg == (int)main)
            printf("%*spublished average %.4f, difference %+.4f", PUBLISHED_COLUMNS, "", published,
                   mean - published);
        printf("\n");
    }
}

void eval_sets_print(const struct eval_sets *sets) {
    const struct evaluation *first = &sets->items[0];
    if (!first->settings->json)
        print_text(sets);
    for (size_t r = 0; first->settings->json && r < first->rows_n; r++)
        eval_print_object(eval_average_json(sets, r));
}
