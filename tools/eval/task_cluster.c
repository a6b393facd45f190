/* tercet eval cluster - do the clusters of the vectors follow the labels? V-measure of k-means. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "tools/eval/task_kmeans.h"
#include "tools/eval/task_measures.h"
#include "tools/eval/tasks.h"

enum { SEED_DEFAULT = 42, RUNS_MAX = 1000 };

static const struct task_field field_sentences = {{"sentences", "sentence", "text"}};
static const struct task_field field_labels = {{"labels", "label"}};
static const struct task_form form = {{&field_sentences, &field_labels}, 2};

/* Texts that are clustered together. */
struct split {
    struct encoder_text *texts; /* [n] */
    uint32_t *labels;           /* [n], as of the file */
    size_t n;
};

struct cluster_task {
    struct arena arena;
    struct task_labels labels;
    struct split *splits;
    size_t splits_n, texts_n;
    bool lists, singles; /* the forms of rows that came */
};

static struct split *split_begin(struct cluster_task *task) {
    task->splits = arena_room(&task->arena, task->splits, task->splits_n, sizeof *task->splits);
    task->splits[task->splits_n] = (struct split){0};
    return &task->splits[task->splits_n++];
}

static void split_add(struct cluster_task *task, struct split *split, struct encoder_text text,
                      uint32_t label) {
    split->texts = arena_room(&task->arena, split->texts, split->n, sizeof *split->texts);
    split->labels = arena_room(&task->arena, split->labels, split->n, sizeof *split->labels);
    split->texts[split->n] = text;
    split->labels[split->n++] = label;
    task->texts_n++;
}

/* Lists are a split; rows of one text each are one split together. */
static bool take_row(void *context, const struct json *row, struct error *err) {
    struct cluster_task *task = context;
    const struct json *labels = task_field_of(row, &field_labels);
    const char *name = json_get(row, "labels") ? "labels" : "label";
    bool list = json_kind_of(task_field_of(row, &field_sentences)) == JSON_KIND_ARRAY;
    struct task_texts texts;
    uint32_t label;
    if (!task_texts_of(row, &field_sentences, &task->arena, &texts, err))
        return false;
    if (list && json_kind_of(labels) != JSON_KIND_ARRAY)
        return error_set(err, ERROR_INVALID, "\"%s\" must be a list, as \"sentences\" is", name);
    if (list && (texts.n != json_count(labels) || texts.n == 0))
        return error_set(err, ERROR_INVALID,
                         "\"sentences\" and \"labels\" must be equally many, at least one: found "
                         "%zu and %zu",
                         texts.n, json_count(labels));
    task->lists |= list;
    task->singles |= !list;
    if (task->lists && task->singles)
        return error_set(err, ERROR_INVALID, "a file has lists in every row or in none");
    struct split *split = list || task->splits_n == 0 ? split_begin(task) : &task->splits[0];
    for (size_t i = 0; i < texts.n; i++) {
        if (!task_label_of(&task->labels, list ? json_at(labels, i) : labels, name, &task->arena,
                           &label, err))
            return false;
        split_add(task, split, texts.items[i], label);
    }
    return true;
}

/* How many labels stand in it. */
static size_t labels_in(const struct split *split, size_t labels_n) {
    bool *seen = mem_zalloc(labels_n, sizeof *seen);
    size_t n = 0;
    for (size_t i = 0; i < split->n; i++) {
        n += !seen[split->labels[i]];
        seen[split->labels[i]] = true;
    }
    free(seen);
    return n;
}

struct clustering {
    uint32_t seed, runs_n;
    double *v, *homogeneity, *completeness, *sums; /* [splits, runs] */
};

/* Every run of one split: seed, seed + 1, .. */
static bool cluster_split(const struct cluster_task *task, size_t s, const struct task_model *model,
                          struct clustering *clustering, struct error *err) {
    const struct split *split = &task->splits[s];
    size_t k = labels_in(split, task->labels.n);
    float *vectors;
    if (!task_encode(model, model->options->instruction, split->texts, split->n, &vectors, err))
        return false;
    uint32_t *clusters = mem_alloc(split->n, sizeof *clusters);
    for (uint32_t run = 0; run < clustering->runs_n; run++) {
        size_t at = s * clustering->runs_n + run;
        clustering->sums[at] = task_kmeans(vectors, split->n, task_model_dim(model), k,
                                           (uint64_t)clustering->seed + run, clusters);
        struct task_v v = task_v_measure(split->labels, clusters, split->n);
        clustering->v[at] = v.v_measure;
        clustering->homogeneity[at] = v.homogeneity;
        clustering->completeness[at] = v.completeness;
    }
    free(clusters);
    free(vectors);
    return true;
}

static void report(const struct cluster_task *task, const char *file,
                   const struct task_model *model, const struct clustering *clustering) {
    struct task_report report;
    size_t n = task->splits_n * clustering->runs_n;
    task_report_begin(&report, "cluster", file, model);
    task_report_count(&report, "splits", task->splits_n);
    task_report_count(&report, "texts", task->texts_n);
    task_report_count(&report, "labels", task->labels.n);
    task_report_count(&report, "runs", clustering->runs_n);
    task_report_count(&report, "seed", clustering->seed);
    task_report_spread(&report, "v_measure", clustering->v, n);
    task_report_spread(&report, "homogeneity", clustering->homogeneity, n);
    task_report_spread(&report, "completeness", clustering->completeness, n);
    task_report_list(&report, "v_measures", clustering->v, n);
    task_report_list(&report, "sums_of_squares", clustering->sums, n);
    task_report_end(&report);
}

static bool measure(struct cluster_task *task, const char *file, const struct task_options *options,
                    struct clustering *clustering, struct error *err) {
    struct task_model model;
    if (!task_rows_read(file, &form, take_row, task, err) || !task_model_open(options, &model, err))
        return false;
    size_t n = task->splits_n * clustering->runs_n;
    clustering->v = ARENA_NEW(&task->arena, double, n);
    clustering->homogeneity = ARENA_NEW(&task->arena, double, n);
    clustering->completeness = ARENA_NEW(&task->arena, double, n);
    clustering->sums = ARENA_NEW(&task->arena, double, n);
    bool ok = true;
    for (size_t s = 0; s < task->splits_n && ok; s++)
        ok = cluster_split(task, s, &model, clustering, err);
    if (ok)
        report(task, file, &model, clustering);
    task_model_close(&model);
    return ok;
}

static int run(int argc, char **argv) {
    struct task_options options = {.model.precision = MODEL_PRECISION_F32};
    struct clustering clustering = {.seed = SEED_DEFAULT, .runs_n = 1};
    const struct option table[] = {
        TASK_OPTION_ROWS(options),
        TASK_INSTRUCTION_ROW(options),
        {"seed", OPTION_NUMBER, &clustering.seed, "N", "of the start (default: 42)", 0, UINT32_MAX,
         0},
        {"runs", OPTION_NUMBER, &clustering.runs_n, "N",
         "cluster each split N times, with seeds that follow (default: 1)", 1, RUNS_MAX, 0},
        {0},
    };
    struct cluster_task task = {0};
    struct error err;
    int status = task_options_parse(&eval_command_cluster, table, argc, argv, 1, &options);
    if (status >= 0)
        return status;
    status =
        measure(&task, argv[0], &options, &clustering, &err) ? EXIT_DONE : command_failed(&err);
    task_labels_done(&task.labels);
    arena_done(&task.arena);
    return status;
}

const struct command eval_command_cluster = {
    "eval cluster", "FILE", "clustering: v-measure of k-means, a cluster a label", run};
