#include "tools/eval/report_compare.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tools/eval/report_lists.h"
#include "tools/eval/significance.h"

enum { EXTREMES_MAX = 10 }; /* of each measure, that won and that lost most */

struct difference {
    double value;
    size_t query;
};

/* What is made once for all measures. */
struct making {
    const struct report_comparison *c;
    struct arena arena;
    struct report_texts documents, queries; /* queries: a place each, in their order */
    struct json *details;
    uint32_t *place; /* [queries] in details, from 1; 0: not there yet */
};

static int compare_differences(const void *a, const void *b) {
    const struct difference *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->query < y->query ? -1 : x->query > y->query;
}

/* {"query","a","b","relevant","relevant_n"}; its place among the details. */
static uint32_t detail_of(struct making *making, size_t i) {
    const struct report_comparison *c = making->c;
    const struct judged_query *query = &c->judged->queries[i];
    const struct run_query *rankings[2] = {&c->runs[0][i], &c->runs[1][i]};
    size_t relevant_n;
    if (making->place[i])
        return making->place[i] - 1;
    struct json *one = json_new_object();
    json_add_number(one, "query", (double)i);
    json_add(one, "a", report_top(query, rankings[0], &making->documents));
    json_add(one, "b", report_top(query, rankings[1], &making->documents));
    json_add(one, "relevant", report_relevant(query, rankings, 2, &making->documents, &relevant_n));
    json_add_number(one, "relevant_n", (double)relevant_n);
    json_push(making->details, one);
    making->place[i] = (uint32_t)json_count(making->details);
    return making->place[i] - 1;
}

/* {"won","lost"}: places of details, the largest difference first. */
static struct json *extremes_of(struct making *making, size_t measure) {
    const struct report_comparison *c = making->c;
    size_t n = c->judged->n, measures_n = c->measures->n;
    struct difference *all = mem_alloc(n, sizeof *all);
    struct json *extremes = json_new_object(), *won = json_new_array(), *lost = json_new_array();
    for (size_t i = 0; i < n; i++) {
        size_t at = i * measures_n + measure;
        all[i] = (struct difference){c->values[1][at] - c->values[0][at], i};
    }
    qsort(all, n, sizeof *all, compare_differences);
    for (size_t i = 0; i < n && i < EXTREMES_MAX && all[i].value > 0; i++)
        json_push(won, json_new_number(detail_of(making, all[i].query)));
    for (size_t i = 0; i < n && i < EXTREMES_MAX && all[n - 1 - i].value < 0; i++)
        json_push(lost, json_new_number(detail_of(making, all[n - 1 - i].query)));
    free(all);
    json_add(extremes, "won", won);
    json_add(extremes, "lost", lost);
    return extremes;
}

/* [{"id","text","a":[measures],"b":[measures]}], all of them. */
static struct json *queries_of(const struct making *making) {
    const struct report_comparison *c = making->c;
    struct json *list = json_new_array();
    size_t measures_n = c->measures->n;
    for (size_t i = 0; i < c->judged->n; i++) {
        struct json *one = json_new_object();
        json_add_string(one, "id", c->judged->queries[i].id);
        if (making->queries.items[i].text)
            json_add_string(one, "text", making->queries.items[i].text);
        json_add(one, "a", report_numbers(c->values[0] + i * measures_n, measures_n));
        json_add(one, "b", report_numbers(c->values[1] + i * measures_n, measures_n));
        json_push(list, one);
    }
    return list;
}

static struct json *facts_of(struct making *making, const char *const names[2]) {
    const struct report_comparison *c = making->c;
    struct json *facts = json_new_array();
    report_fact(facts, "A", "%s", names[0]);
    report_fact(facts, "B", "%s", names[1]);
    report_fact(facts, "Judgments", "%s", report_name_of(c->qrels, &making->arena));
    report_fact(facts, "Queries", "%zu", c->judged->n);
    report_fact(facts, "Intervals", "the middle 95 %% of %d bootstrap draws, seed %u",
                BOOTSTRAP_DRAWS, c->seed);
    return facts;
}

static struct json *names_of(const char *const names[2]) {
    struct json *list = json_new_array();
    for (int i = 0; i < 2; i++)
        json_push(list, json_new_string(names[i], strlen(names[i])));
    return list;
}

static size_t deepest(const struct report_comparison *c) {
    size_t most = 1;
    for (int run = 0; run < 2; run++)
        for (size_t i = 0; i < c->judged->n; i++)
            if (c->runs[run][i].hits_n > most)
                most = c->runs[run][i].hits_n;
    return most;
}

static bool page_write(struct making *making, const char *const names[2], const char *path,
                       struct error *err) {
    const struct report_comparison *c = making->c;
    struct json *extremes = json_new_array();
    struct json *report = report_begin(
        "compare", arena_format(&making->arena, "%s → %s", names[0], names[1]), TERCET_VERSION);
    making->details = json_new_array();
    making->place = ARENA_ZERO(&making->arena, uint32_t, c->judged->n);
    for (size_t i = 0; i < c->judged->n; i++)
        report_texts_place(&making->queries, c->judged->queries[i].id);
    for (size_t m = 0; m < c->measures->n; m++)
        json_push(extremes, extremes_of(making, m));
    json_add(report, "facts", facts_of(making, names));
    json_add(report, "names", names_of(names));
    json_add(report, "measures", report_measures(c->measures));
    json_add_number(report, "main", (double)report_main_measure(c->measures));
    json_add(report, "rows", json_copy_of(c->rows));
    report_recall_add(report, c->runs, 2, c->judged, false, deepest(c));
    json_add(report, "extremes", extremes);
    json_add(report, "details", making->details);
    bool ok = (!c->queries || report_texts_from_file(&making->queries, c->queries, err)) &&
              (!c->corpus || report_texts_from_file(&making->documents, c->corpus, err));
    if (ok) {
        json_add(report, "queries", queries_of(making));
        json_add(report, "documents", report_texts_json(&making->documents));
        ok = report_write_page(path, report, err);
    }
    json_release(report);
    return ok;
}

bool report_compare(const struct report_comparison *c, const struct report_files *files,
                    struct error *err) {
    struct making making = {.c = c};
    making.documents.arena = making.queries.arena = &making.arena;
    const char *names[2] = {report_name_of(c->names[0], &making.arena),
                            report_name_of(c->names[1], &making.arena)};
    static const char *const in_caption[] = {"queries", NULL};
    const char *caption = arena_format(
        &making.arena, "A: %s, B: %s: %zu queries; intervals hold the middle 95 %% of %d draws",
        names[0], names[1], c->judged->n, BOOTSTRAP_DRAWS);
    bool ok = report_write_tables(files, c->rows, caption, in_caption, err) &&
              (!files->html || page_write(&making, names, files->html, err));
    report_texts_done(&making.documents);
    report_texts_done(&making.queries);
    arena_done(&making.arena);
    return ok;
}
