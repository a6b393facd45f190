#include "tools/eval/tasks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"

/* Texts encoded together: some for every core, of like length. */
enum { BATCH_TEXTS = 64 };

int task_options_parse(const struct command *command, const struct option *table, int argc,
                       char **argv, size_t words, struct task_options *options) {
    struct error err;
    size_t words_n;
    int status = options_parse(command, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != words)
        return options_wrong(command, "%zu file%s needed, found %zu", words,
                             words == 1 ? " is" : "s are", words_n);
    if (options->precision &&
        !model_precision_parse(options->precision, &options->model.precision, &err))
        return options_wrong(command, "%s", err.message);
    return -1;
}

int task_run(const struct command *command, const char *instruction_help, task_measure *measure,
             void *context, int argc, char **argv) {
    struct task_options options = {.model.precision = MODEL_PRECISION_F32};
    const struct option table[] = {
        TASK_OPTION_ROWS(options),
        {"instruction", OPTION_TEXT, &options.instruction, "TEXT", instruction_help, 0, 0, 0},
        {0},
    };
    struct error err;
    int status = task_options_parse(command, table, argc, argv, 1, &options);
    if (status >= 0)
        return status;
    return measure(context, argv[0], &options, &err) ? EXIT_DONE : command_failed(&err);
}

bool task_model_open(const struct task_options *options, struct task_model *out,
                     struct error *err) {
    struct model *model;
    if (!model_open(&options->model, &model, err))
        return false;
    *out = (struct task_model){model, pool_open(options->threads), options};
    return true;
}

void task_model_close(struct task_model *model) {
    if (model->model) {
        pool_close(model->pool);
        model_close(model->model);
    }
    *model = (struct task_model){0};
}

uint32_t task_model_dim(const struct task_model *model) {
    return model_info(model->model)->dense_dim;
}

struct distinct {
    struct encoder_text text;
    size_t i; /* its row */
};

static int compare_lengths(const void *a, const void *b) {
    const struct distinct *x = a, *y = b;
    if (x->text.len != y->text.len)
        return x->text.len < y->text.len ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* first_out: [n] the row at which each text stands first. The texts that are distinct, shortest
 * first. */
static struct distinct *distinct_texts(const struct encoder_text *texts, size_t n,
                                       uint32_t *first_out, size_t *n_out) {
    struct distinct *out = mem_alloc(n + 1, sizeof *out);
    struct map known = {0};
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        bool fresh;
        first_out[i] = *map_put(&known, texts[i].text, texts[i].len, (uint32_t)i, &fresh);
        if (fresh)
            out[(*n_out)++] = (struct distinct){texts[i], i};
    }
    map_done(&known);
    qsort(out, *n_out, sizeof *out, compare_lengths);
    return out;
}

static bool encode_batch(struct encoder *encoder, const struct distinct *texts, size_t n,
                         size_t dim, struct arena *arena, float *vectors, struct error *err) {
    struct encoder_text batch[BATCH_TEXTS];
    struct encoding encodings[BATCH_TEXTS];
    for (size_t i = 0; i < n; i++)
        batch[i] = texts[i].text;
    if (!encoder_encode(encoder, batch, n, arena, encodings, err))
        return false;
    for (size_t i = 0; i < n; i++)
        memcpy(vectors + texts[i].i * dim, encodings[i].dense, dim * sizeof *vectors);
    arena_reset(arena);
    return true;
}

bool task_encode(const struct task_model *model, const char *instruction,
                 const struct encoder_text *texts, size_t n, float **out, struct error *err) {
    const struct encoder_options options = {.modes = ENCODE_DENSE,
                                            .instruction = instruction,
                                            .length_max = model->options->length_max};
    size_t dim = task_model_dim(model), distinct_n;
    struct encoder *encoder;
    struct arena arena = {0};
    if (!encoder_open(model->model, model->pool, &options, &encoder, err))
        return false;
    uint32_t *first = mem_alloc(n + 1, sizeof *first);
    struct distinct *distinct = distinct_texts(texts, n, first, &distinct_n);
    float *vectors = mem_alloc(n * dim + 1, sizeof *vectors);
    bool ok = true;
    for (size_t i = 0; i < distinct_n && ok; i += BATCH_TEXTS) {
        size_t some = distinct_n - i < BATCH_TEXTS ? distinct_n - i : BATCH_TEXTS;
        ok = encode_batch(encoder, distinct + i, some, dim, &arena, vectors, err);
    }
    for (size_t i = 0; i < n && ok; i++)
        if (first[i] != i)
            memcpy(vectors + i * dim, vectors + first[i] * dim, dim * sizeof *vectors);
    arena_done(&arena);
    free(distinct);
    free(first);
    encoder_close(encoder);
    if (ok)
        *out = vectors;
    else
        free(vectors);
    return ok;
}

double task_cosine(const float *a, const float *b, size_t dim) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < dim; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

enum { NAME_COLUMNS = 22 };

void task_report_begin(struct task_report *report, const char *task, const char *file,
                       const struct task_model *model) {
    const struct model_info *info = model_info(model->model);
    report->object = model->options->json ? json_new_object() : NULL;
    if (!report->object) {
        printf("%s of %s with %s (%s)\n", task, file, info->name, info->precision);
        return;
    }
    json_add_string(report->object, "task", task);
    json_add_string(report->object, "file", file);
    json_add_string(report->object, "model", info->name);
    json_add_string(report->object, "precision", info->precision);
}

void task_report_count(struct task_report *report, const char *name, size_t count) {
    if (report->object)
        json_add_number(report->object, name, (double)count);
    else
        printf("%-*s %zu\n", NAME_COLUMNS, name, count);
}

void task_report_value(struct task_report *report, const char *name, double value) {
    if (report->object)
        json_add_number(report->object, name, value);
    else
        printf("%-*s %.4f\n", NAME_COLUMNS, name, value);
}

void task_report_list(struct task_report *report, const char *name, const double *values,
                      size_t n) {
    if (!report->object)
        return;
    struct json *list = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_new_number(values[i]));
    json_add(report->object, name, list);
}

void task_report_spread(struct task_report *report, const char *name, const double *values,
                        size_t n) {
    double mean = 0, squares = 0;
    char of_deviation[64];
    for (size_t i = 0; i < n; i++)
        mean += values[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean) / (double)n;
    snprintf(of_deviation, sizeof of_deviation, "%s_std", name);
    task_report_value(report, name, mean);
    task_report_value(report, of_deviation, sqrt(squares));
}

void task_report_end(struct task_report *report) {
    struct buf out = {0};
    if (!report->object)
        return;
    json_print(report->object, &out);
    puts(out.data);
    json_release(report->object);
    buf_done(&out);
}
