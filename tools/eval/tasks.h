/* tasks.h - what `tercet eval sts`, pairs, rerank, cluster and classify share: a model that turns
 * texts into vectors, and the report. docs/eval.md describes the commands. */
#ifndef TERCET_EVAL_TASKS_H
#define TERCET_EVAL_TASKS_H

#include <stdio.h>

#include "engine/model.h"
#include "tools/eval/eval_commands.h"
#include "tools/eval/task_rows.h"

struct pool;

/* The options that every task has. */
struct task_options {
    struct model_options model;
    const char *precision, *instruction;
    uint32_t length_max, threads;
    bool json;
};

/* clang-format off */
#define TASK_OPTION_ROWS(options)                                                                  \
    {"model", OPTION_TEXT, &(options).model.name, "M", "folder or name of a model", 0, 0, 'm'},    \
    {"precision", OPTION_TEXT, &(options).precision, "P",                                          \
     "f32 (default: the model's exact numbers), int8, bf16 or auto", 0, 0, 0},                     \
    {"max-length", OPTION_NUMBER, &(options).length_max, "N", "at most N tokens a text", 3,        \
     1u << 20, 0},                                                                                 \
    {"threads", OPTION_NUMBER, &(options).threads, "N", "cores to use (default: all)", 1, 1024,    \
     0},                                                                                           \
    {"json", OPTION_FLAG, &(options).json, NULL, "one JSON object", 0, 0, 0}

#define TASK_INSTRUCTION_HELP "put TEXT in front of every text (default: nothing)"
#define TASK_INSTRUCTION_ROW(options)                                                              \
    {"instruction", OPTION_TEXT, &(options).instruction, "TEXT", TASK_INSTRUCTION_HELP, 0, 0, 0}
/* clang-format on */

struct task_model {
    struct model *model;
    struct pool *pool;
    const struct task_options *options;
};

/* options_parse for a task: `words` files and a precision that there is. -1 to go on, or an exit
 * status. */
int task_options_parse(const struct command *command, const struct option *table, int argc,
                       char **argv, size_t words, struct task_options *options);

/* The whole command of a task with one file and no options of its own: words read, measured in f32
 * unless they say otherwise, failures reported. context: the task, for measure. Returns the exit
 * status. */
typedef bool task_measure(void *context, const char *file, const struct task_options *options,
                          struct error *err);
int task_run(const struct command *command, const char *instruction_help, task_measure *measure,
             void *context, int argc, char **argv);

bool task_model_open(const struct task_options *options, struct task_model *out, struct error *err);
void task_model_close(struct task_model *model); /* also one of zeros */
uint32_t task_model_dim(const struct task_model *model);

/* Dense vectors as the model gives them, [n, dim], to free(). Equal texts are encoded once and have
 * equal vectors. instruction: put in front of each; NULL or "": none. */
bool task_encode(const struct task_model *model, const char *instruction,
                 const struct encoder_text *texts, size_t n, float **out, struct error *err);

/* f64 sums of f32 vectors, so that equal vectors have a cosine of exactly 1; 0 where one of them is
 * all zeros. */
double task_cosine(const float *a, const float *b, size_t dim);

/* A line a figure, or one JSON object at the end. */
struct task_report {
    struct json *object; /* NULL: as text */
};

void task_report_begin(struct task_report *report, const char *task, const char *file,
                       const struct task_model *model);
void task_report_count(struct task_report *report, const char *name, size_t count);
void task_report_value(struct task_report *report, const char *name, double value);
/* Only in JSON. */
void task_report_list(struct task_report *report, const char *name, const double *values, size_t n);
void task_report_end(struct task_report *report);

/* Mean and standard deviation (of these values: divided by n) as NAME and NAME_std. */
void task_report_spread(struct task_report *report, const char *name, const double *values,
                        size_t n);

#endif
