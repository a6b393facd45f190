/* tercet eval classify - do some examples a label teach a linear classifier the others? */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/random.h"
#include "tools/eval/task_logistic.h"
#include "tools/eval/task_measures.h"
#include "tools/eval/tasks.h"

/* MTEB's: 10 experiments of 8 samples a label. */
enum { EXPERIMENTS_DEFAULT = 10, SAMPLES_DEFAULT = 8, SEED_DEFAULT = 42, EXPERIMENTS_MAX = 1000 };

static const struct task_field field_text = {{"text", "sentence"}};
static const struct task_field field_label = {{"label", "labels"}};
static const struct task_form form = {{&field_text, &field_label}, 2};

struct labelled {
    struct encoder_text *texts; /* [n] */
    uint32_t *labels;           /* [n] */
    size_t n;
};

struct classify_task {
    struct arena arena;
    struct task_labels labels; /* those of the training file first */
    size_t labels_trained;
    struct labelled train, test;
    struct labelled *reading; /* the one that take_row fills */
    uint32_t experiments_n, samples, seed;
};

static bool take_row(void *context, const struct json *row, struct error *err) {
    struct classify_task *task = context;
    struct labelled *to = task->reading;
    struct encoder_text text;
    uint32_t label;
    if (!task_text_of(row, &field_text, &task->arena, &text, err) ||
        !task_label_of(&task->labels, task_field_of(row, &field_label), "label", &task->arena,
                       &label, err))
        return false;
    to->texts = arena_room(&task->arena, to->texts, to->n, sizeof *to->texts);
    to->labels = arena_room(&task->arena, to->labels, to->n, sizeof *to->labels);
    to->texts[to->n] = text;
    to->labels[to->n++] = label;
    return true;
}

/* Labels in their order: those of the training file from 0, those of the test alone behind. */
static void order_labels(struct classify_task *task) {
    struct task_labels trained = task->labels;
    uint32_t *places = mem_alloc(task->labels.n, sizeof *places);
    for (size_t l = 0; l < task->labels.n; l++)
        places[l] = (uint32_t)l;
    trained.n = task->labels_trained;
    task_labels_order(&trained, places);
    for (size_t i = 0; i < task->train.n; i++)
        task->train.labels[i] = places[task->train.labels[i]];
    for (size_t i = 0; i < task->test.n; i++)
        task->test.labels[i] = places[task->test.labels[i]];
    free(places);
}

static bool read_files(struct classify_task *task, char *const files[2], struct error *err) {
    task->reading = &task->train;
    if (!task_rows_read(files[0], &form, take_row, task, err))
        return false;
    task->labels_trained = task->labels.n;
    if (task->labels.n < 2)
        return error_set(err, ERROR_INVALID, "%s: all %zu rows have the same label", files[0],
                         task->train.n);
    task->reading = &task->test;
    if (!task_rows_read(files[1], &form, take_row, task, err))
        return false;
    order_labels(task);
    return true;
}

/* MTEB's _undersample_data: rows in an order by chance, the first `samples` of each label.
 * out: [labels_trained * samples]. Returns how many. */
static size_t draw_samples(const struct classify_task *task, uint64_t seed, size_t *out) {
    size_t n = task->train.n, drawn = 0, *order = mem_alloc(n, sizeof *order),
           *counts = mem_zalloc(task->labels_trained, sizeof *counts);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = 0; i < n; i++) {
        size_t j = i + random_below(&seed, (uint32_t)(n - i)), row = order[j];
        order[j] = order[i];
        order[i] = row;
        if (counts[task->train.labels[row]]++ < task->samples)
            out[drawn++] = row;
    }
    free(order);
    free(counts);
    return drawn;
}

struct experiment {
    size_t *samples; /* [samples_n] rows of the training file */
    size_t samples_n, steps_n;
};

/* What all experiments share, and what they found. */
struct trial {
    const struct classify_task *task;
    struct experiment *experiments;
    size_t dim, *row_of;                       /* [train] a text's row among the vectors */
    const float *train, *test;                 /* [drawn texts, dim], [test, dim] */
    double *accuracy, *f1, *ap, *gradient_max; /* [experiments] */
};

static void judge(struct trial *trial, size_t e, const struct task_logistic *model) {
    const struct labelled *test = &trial->task->test;
    uint32_t *found = mem_alloc(test->n, sizeof *found);
    for (size_t i = 0; i < test->n; i++)
        found[i] = task_logistic_label(model, trial->test + i * trial->dim);
    trial->accuracy[e] = task_accuracy(test->labels, found, test->n);
    trial->f1[e] = task_macro_f1(test->labels, found, test->n, trial->task->labels.n);
    if (trial->task->labels.n == 2) { /* of the labels found, not of probabilities: as MTEB */
        double *scores = mem_alloc(test->n, sizeof *scores);
        bool *relevant = mem_alloc(test->n, sizeof *relevant);
        for (size_t i = 0; i < test->n; i++) {
            scores[i] = found[i];
            relevant[i] = test->labels[i] == 1;
        }
        trial->ap[e] = task_average_precision(scores, relevant, test->n);
        free(scores);
        free(relevant);
    }
    free(found);
}

static void run_experiment(void *context, size_t e, size_t worker) {
    struct trial *trial = context;
    struct experiment *experiment = &trial->experiments[e];
    size_t n = experiment->samples_n, dim = trial->dim;
    float *rows = mem_alloc(n * dim, sizeof *rows);
    uint32_t *labels = mem_alloc(n, sizeof *labels);
    struct task_logistic model;
    (void)worker;
    for (size_t i = 0; i < n; i++) {
        size_t row = experiment->samples[i];
        memcpy(rows + i * dim, trial->train + trial->row_of[row] * dim, dim * sizeof *rows);
        labels[i] = trial->task->train.labels[row];
    }
    const struct task_logistic_data data = {rows, labels, n, dim, trial->task->labels_trained};
    task_logistic_fit(&data, &model);
    trial->gradient_max[e] = model.gradient_max;
    experiment->steps_n = model.steps_n;
    judge(trial, e, &model);
    task_logistic_done(&model);
    free(rows);
    free(labels);
}

static void report(const struct classify_task *task, const char *file,
                   const struct task_model *model, const struct trial *trial) {
    struct task_report report;
    size_t n = task->experiments_n, steps_max = 0;
    for (size_t e = 0; e < n; e++)
        if (trial->experiments[e].steps_n > steps_max)
            steps_max = trial->experiments[e].steps_n;
    task_report_begin(&report, "classify", file, model);
    task_report_count(&report, "train", task->train.n);
    task_report_count(&report, "test", task->test.n);
    task_report_count(&report, "labels", task->labels.n);
    task_report_count(&report, "experiments", n);
    task_report_count(&report, "samples_per_label", task->samples);
    task_report_count(&report, "seed", task->seed);
    task_report_spread(&report, "accuracy", trial->accuracy, n);
    task_report_spread(&report, "f1", trial->f1, n);
    if (task->labels.n == 2)
        task_report_spread(&report, "ap", trial->ap, n);
    task_report_count(&report, "steps_max", steps_max);
    task_report_list(&report, "gradient_max", trial->gradient_max, n);
    task_report_list(&report, "accuracies", trial->accuracy, n);
    task_report_list(&report, "f1s", trial->f1, n);
    task_report_end(&report);
}

/* Draws every experiment's samples; the texts that any of them drew, each once, into out. */
static size_t draw_all(struct classify_task *task, struct trial *trial, struct encoder_text *out) {
    size_t room = task->labels_trained * task->samples, drawn = 0;
    room = room < task->train.n ? room : task->train.n;
    for (size_t i = 0; i < task->train.n; i++)
        trial->row_of[i] = SIZE_MAX;
    for (size_t e = 0; e < task->experiments_n; e++) {
        struct experiment *experiment = &trial->experiments[e];
        experiment->samples = ARENA_NEW(&task->arena, size_t, room);
        experiment->samples_n = draw_samples(task, (uint64_t)task->seed + e, experiment->samples);
        for (size_t i = 0; i < experiment->samples_n; i++) {
            size_t row = experiment->samples[i];
            if (trial->row_of[row] != SIZE_MAX)
                continue;
            out[drawn] = task->train.texts[row];
            trial->row_of[row] = drawn++;
        }
    }
    return drawn;
}

static bool measure(struct classify_task *task, char *const files[2],
                    const struct task_options *options, struct error *err) {
    struct task_model model;
    float *train = NULL, *test = NULL;
    if (!read_files(task, files, err) || !task_model_open(options, &model, err))
        return false;
    size_t n = task->experiments_n;
    struct trial trial = {.task = task,
                          .experiments = ARENA_ZERO(&task->arena, struct experiment, n),
                          .dim = task_model_dim(&model),
                          .row_of = ARENA_NEW(&task->arena, size_t, task->train.n),
                          .accuracy = ARENA_ZERO(&task->arena, double, n),
                          .f1 = ARENA_ZERO(&task->arena, double, n),
                          .ap = ARENA_ZERO(&task->arena, double, n),
                          .gradient_max = ARENA_ZERO(&task->arena, double, n)};
    struct encoder_text *drawn = ARENA_NEW(&task->arena, struct encoder_text, task->train.n);
    size_t drawn_n = draw_all(task, &trial, drawn);
    bool ok = task_encode(&model, options->instruction, drawn, drawn_n, &train, err) &&
              task_encode(&model, options->instruction, task->test.texts, task->test.n, &test, err);
    if (ok) {
        trial.train = train;
        trial.test = test;
        pool_run(model.pool, n, run_experiment, &trial);
        report(task, files[1], &model, &trial);
    }
    free(train);
    free(test);
    task_model_close(&model);
    return ok;
}

static int run(int argc, char **argv) {
    struct task_options options = {.model.precision = MODEL_PRECISION_F32};
    struct classify_task task = {
        .experiments_n = EXPERIMENTS_DEFAULT, .samples = SAMPLES_DEFAULT, .seed = SEED_DEFAULT};
    const struct option table[] = {
        TASK_OPTION_ROWS(options),
        TASK_INSTRUCTION_ROW(options),
        {"seed", OPTION_NUMBER, &task.seed, "N",
         "of the first experiment's samples; the others' follow (default: 42)", 0, UINT32_MAX, 0},
        {"experiments", OPTION_NUMBER, &task.experiments_n, "N", "(default: 10)", 1,
         EXPERIMENTS_MAX, 0},
        {"samples", OPTION_NUMBER, &task.samples, "N", "rows of each label to learn from (8)", 1,
         1u << 20, 0},
        {0},
    };
    struct error err;
    int status = task_options_parse(&eval_command_classify, table, argc, argv, 2, &options);
    if (status >= 0)
        return status;
    status = measure(&task, argv, &options, &err) ? EXIT_DONE : command_failed(&err);
    task_labels_done(&task.labels);
    arena_done(&task.arena);
    return status;
}

const struct command eval_command_classify = {
    "eval classify", "TRAIN TEST", "classification: logistic regression from some samples a label",
    run};
