/* tercet eval pairs - are two texts a pair? Average precision and the best cuts. */
#include <math.h>
#include <stdlib.h>

#include "tools/eval/task_measures.h"
#include "tools/eval/tasks.h"

static const struct task_field field_sentence1 = {{"sentence1", "sent1"}};
static const struct task_field field_sentence2 = {{"sentence2", "sent2"}};
static const struct task_field field_labels = {{"labels", "label"}};
static const struct task_form form = {{&field_sentence1, &field_sentence2, &field_labels}, 3};

/* Pair i: texts 2i and 2i + 1. */
struct pairs_task {
    struct arena arena;
    struct encoder_text *texts;
    bool *labels;
    size_t n, ones_n;
};

static void add_pair(struct pairs_task *task, struct encoder_text first, struct encoder_text second,
                     bool label) {
    task->texts = arena_room(&task->arena, task->texts, 2 * task->n, sizeof *task->texts);
    task->texts[2 * task->n] = first;
    task->texts = arena_room(&task->arena, task->texts, 2 * task->n + 1, sizeof *task->texts);
    task->texts[2 * task->n + 1] = second;
    task->labels = arena_room(&task->arena, task->labels, task->n, sizeof *task->labels);
    task->labels[task->n++] = label;
    task->ones_n += label;
}

/* A pair, or lists of as many first texts, second texts and labels. */
static bool take_row(void *context, const struct json *row, struct error *err) {
    struct pairs_task *task = context;
    struct task_texts first, second;
    const struct json *labels = task_field_of(row, &field_labels);
    bool list = json_kind_of(labels) == JSON_KIND_ARRAY, label;
    size_t labels_n = list ? json_count(labels) : 1;
    if (!task_texts_of(row, &field_sentence1, &task->arena, &first, err) ||
        !task_texts_of(row, &field_sentence2, &task->arena, &second, err))
        return false;
    if (first.n != second.n || first.n != labels_n)
        return error_set(err, ERROR_INVALID,
                         "\"sentence1\", \"sentence2\" and \"labels\" must be equally many, found "
                         "%zu, %zu and %zu",
                         first.n, second.n, labels_n);
    for (size_t i = 0; i < first.n; i++) {
        if (!task_binary_of(list ? json_at(labels, i) : labels, "labels", &label, err))
            return false;
        add_pair(task, first.items[i], second.items[i], label);
    }
    return true;
}

enum likeness { COSINE, DOT, EUCLIDEAN, MANHATTAN, LIKENESSES_N };
static const char *const ap_names[LIKENESSES_N] = {"ap", "ap_dot", "ap_euclidean", "ap_manhattan"};

/* Distances are negated: the larger, the more alike. */
static double likeness_of(enum likeness kind, const float *a, const float *b, size_t dim) {
    double dot = 0, squares = 0, sum = 0;
    if (kind == COSINE)
        return task_cosine(a, b, dim);
    for (size_t i = 0; i < dim; i++) {
        double difference = (double)a[i] - b[i];
        dot += (double)a[i] * b[i];
        squares += difference * difference;
        sum += fabs(difference);
    }
    return kind == DOT ? dot : kind == EUCLIDEAN ? -sqrt(squares) : -sum;
}

static void report(const struct pairs_task *task, const char *file, const struct task_model *model,
                   double *const likeness[LIKENESSES_N]) {
    struct task_report report;
    struct task_cut accuracy = task_best_accuracy(likeness[COSINE], task->labels, task->n);
    struct task_cut f1 = task_best_f1(likeness[COSINE], task->labels, task->n);
    double best = 0;
    task_report_begin(&report, "pairs", file, model);
    task_report_count(&report, "pairs", task->n);
    task_report_count(&report, "positive", task->ones_n);
    for (int kind = 0; kind < LIKENESSES_N; kind++) {
        double ap = task_average_precision(likeness[kind], task->labels, task->n);
        task_report_value(&report, ap_names[kind], ap);
        best = fmax(best, ap);
    }
    task_report_value(&report, "ap_max", best);
    task_report_value(&report, "accuracy", accuracy.value);
    task_report_value(&report, "accuracy_threshold", accuracy.threshold);
    task_report_value(&report, "f1", f1.value);
    task_report_value(&report, "f1_threshold", f1.threshold);
    task_report_value(&report, "f1_precision", f1.precision);
    task_report_value(&report, "f1_recall", f1.recall);
    task_report_end(&report);
}

static bool measure(void *context, const char *file, const struct task_options *options,
                    struct error *err) {
    struct pairs_task *task = context;
    struct task_model model = {0};
    float *vectors = NULL;
    double *likeness[LIKENESSES_N];
    if (!task_rows_read(file, &form, take_row, task, err))
        return false;
    if (task->ones_n == 0 || task->ones_n == task->n)
        return error_set(err, ERROR_INVALID, "%s: all %zu pairs have the label %d: both are needed",
                         file, task->n, task->ones_n > 0);
    bool ok = task_model_open(options, &model, err) &&
              task_encode(&model, options->instruction, task->texts, 2 * task->n, &vectors, err);
    for (int kind = 0; kind < LIKENESSES_N && ok; kind++) {
        size_t dim = task_model_dim(&model);
        likeness[kind] = ARENA_NEW(&task->arena, double, task->n);
        for (size_t i = 0; i < task->n; i++)
            likeness[kind][i] = likeness_of((enum likeness)kind, vectors + 2 * i * dim,
                                            vectors + (2 * i + 1) * dim, dim);
    }
    if (ok)
        report(task, file, &model, likeness);
    free(vectors);
    task_model_close(&model);
    return ok;
}

static int run(int argc, char **argv) {
    struct pairs_task task = {0};
    int status = task_run(&eval_command_pairs, TASK_INSTRUCTION_HELP, measure, &task, argc, argv);
    arena_done(&task.arena);
    return status;
}

const struct command eval_command_pairs = {
    "eval pairs", "FILE", "pair classification: average precision, best accuracy and F1", run};
