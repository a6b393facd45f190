#include "tools/eval/report_sets.h"

#include <string.h>

#include "engine/base/file.h"
#include "tools/eval/report_eval.h"
#include "tools/eval/report_lists.h"
#include "tools/eval/report_table.h"

/* "xquad/en/" -> "xquad"; "": it is told by a name alone. */
static const char *parent_of(const char *folder, struct arena *arena) {
    size_t len = strlen(folder);
    while (len > 0 && folder[len - 1] == '/')
        len--;
    while (len > 0 && folder[len - 1] != '/')
        len--;
    while (len > 0 && folder[len - 1] == '/')
        len--;
    return arena_text(arena, folder, len);
}

/* "miracl"; "xquad" where all folders lie in it; or "5 sets of beir". */
static const char *title_of(struct eval_sets *sets) {
    const struct evaluation *first = &sets->items[0];
    if (sets->by_language)
        return report_name_of(first->folder, &sets->arena);
    const char *parent = parent_of(first->folder, &sets->arena);
    for (size_t i = 1; i < sets->n && *parent; i++)
        if (strcmp(parent_of(sets->items[i].folder, &sets->arena), parent) != 0)
            parent = "";
    return *parent ? report_name_of(parent, &sets->arena)
                   : arena_format(&sets->arena, "%zu sets of %s", sets->n, first->settings->kind);
}

static struct json *averages_of(struct eval_sets *sets) {
    struct json *averages = json_new_array();
    for (size_t r = 0; r < sets->items[0].rows_n; r++) {
        struct json *row = eval_average_json(sets, r);
        if (sets->by_language)
            json_add_string(row, "dataset", title_of(sets));
        json_push(averages, row);
    }
    return averages;
}

/* ---- tables ---- */

static bool write_one(const char *path, struct buf *text, struct error *err) {
    bool ok = file_write_atomic(path, text->data, text->len, err);
    buf_done(text);
    return ok;
}

/* Every set's rows, and the averages behind them. */
static bool write_csv(struct eval_sets *sets, struct error *err) {
    struct json *rows = json_new_array(), *averages = averages_of(sets);
    struct buf text = {0};
    for (size_t i = 0; i < sets->n; i++) {
        struct json *own = report_eval_rows(&sets->items[i]);
        for (size_t r = 0; r < json_count(own); r++)
            json_push(rows, json_copy_of(json_at(own, r)));
        json_release(own);
    }
    for (size_t r = 0; r < json_count(averages); r++)
        json_push(rows, json_copy_of(json_at(averages, r)));
    report_table_csv(rows, &text);
    json_release(rows);
    json_release(averages);
    return write_one(sets->items[0].settings->report.csv, &text, err);
}

/* One measure of all sets. Texts, as a set's name says nothing of how its figures are printed. */
static struct json *summary_of(struct eval_sets *sets, size_t measure) {
    struct json *rows = json_new_array();
    for (size_t r = 0; r < sets->items[0].rows_n; r++) {
        struct json *row = json_new_object();
        json_add_string(row, "modes", sets->items[0].rows[r].name);
        json_add_string(row, "average",
                        arena_format(&sets->arena, "%.4f", eval_sets_mean(sets, r, measure)));
        for (size_t i = 0; i < sets->n; i++)
            json_add_string(
                row, sets->items[i].label,
                arena_format(&sets->arena, "%.4f", sets->items[i].lines[r].means[measure]));
        json_push(rows, row);
    }
    return rows;
}

/* The summary, and each set's own table below it. */
static bool write_markdown(struct eval_sets *sets, struct error *err) {
    struct evaluation *first = &sets->items[0];
    size_t measure = eval_sets_measure(sets);
    struct json *summary = summary_of(sets, measure);
    struct buf text = {0};
    char name[MEASURE_NAME_BYTES];
    measure_name(first->measures.items[measure], name);
    report_table_markdown(summary,
                          arena_format(&sets->arena, "%s: %s, %s, tercet %s", title_of(sets), name,
                                       report_name_of(first->model, &sets->arena), TERCET_VERSION),
                          NULL, &text);
    for (size_t i = 0; i < sets->n; i++) {
        struct json *rows = report_eval_rows(&sets->items[i]);
        buf_text(&text, "\n");
        report_table_markdown(rows, report_eval_caption(&sets->items[i]), report_eval_left_out,
                              &text);
        json_release(rows);
    }
    json_release(summary);
    return write_one(first->settings->report.markdown, &text, err);
}

/* ---- the page ---- */

static struct json *facts_of(struct eval_sets *sets, const struct model_info *model) {
    struct evaluation *first = &sets->items[0];
    struct json *facts = json_new_array();
    const char *labels = "";
    for (size_t i = 0; i < sets->n; i++)
        labels = arena_format(&sets->arena, "%s%s%s", labels, i ? ", " : "", sets->items[i].label);
    report_fact(facts, "Benchmark", "%s, %s", first->settings->kind, title_of(sets));
    report_fact(facts, "Split", "%s", first->benchmark.split ? first->benchmark.split : "");
    report_fact(facts, sets->by_language ? "Languages" : "Sets", "%s", labels);
    report_eval_facts(facts, first, model);
    return facts;
}

static bool write_page(struct eval_sets *sets, const struct json *pages,
                       const struct model_info *model, struct error *err) {
    struct json *report = report_begin("sets", title_of(sets), TERCET_VERSION);
    struct json *labels = json_new_array();
    for (size_t i = 0; i < sets->n; i++)
        json_push(labels, json_new_string(sets->items[i].label, strlen(sets->items[i].label)));
    json_add(report, "facts", facts_of(sets, model));
    json_add_string(report, "by", sets->by_language ? "language" : "set");
    json_add(report, "labels", labels);
    json_add(report, "measures", report_measures(&sets->items[0].measures));
    json_add_number(report, "main", (double)eval_sets_measure(sets));
    json_add(report, "averages", averages_of(sets));
    json_add(report, "sets", json_copy_of(pages));
    bool ok = report_write_page(sets->items[0].settings->report.html, report, err);
    json_release(report);
    return ok;
}

static bool one_set(struct eval_sets *sets, const struct json *pages, struct error *err) {
    const struct report_files *files = &sets->items[0].settings->report;
    struct json *rows = report_eval_rows(&sets->items[0]);
    bool ok = report_write_tables(files, rows, report_eval_caption(&sets->items[0]),
                                  report_eval_left_out, err) &&
              (!files->html || report_write_page(files->html, json_at(pages, 0), err));
    json_release(rows);
    return ok;
}

bool report_sets(struct eval_sets *sets, const struct json *pages, const struct model_info *model,
                 struct error *err) {
    const struct report_files *files = &sets->items[0].settings->report;
    if (sets->n == 1)
        return one_set(sets, pages, err);
    return (!files->csv || write_csv(sets, err)) &&
           (!files->markdown || write_markdown(sets, err)) &&
           (!files->html || write_page(sets, pages, model, err));
}
