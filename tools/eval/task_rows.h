/* task_rows.h - the rows of MTEB's tasks, JSONL or TSV, packed (.gz, .zst) or not.
 *
 * A row is a JSON object. A TSV line becomes one: its columns are named by the first line where
 * that names all that are needed, else they stand in the order of the form; no quotes. Which of the
 * two a file is, its first line tells: JSONL begins with "{". */
#ifndef TERCET_EVAL_TASK_ROWS_H
#define TERCET_EVAL_TASK_ROWS_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/map.h"
#include "engine/encoder.h"

enum { TASK_NAMES_MAX = 4, TASK_FIELDS_MAX = 3 };

/* A field under the names that published files give it; the first is the one that errors tell. */
struct task_field {
    const char *names[TASK_NAMES_MAX];
};

/* The columns of a TSV line. */
struct task_form {
    const struct task_field *columns[TASK_FIELDS_MAX];
    size_t n;
};

/* row is released after the call. */
typedef bool task_take(void *context, const struct json *row, struct error *err);

/* Calls take for each row; errors get "path:line: " in front. ERROR_INVALID for a file without. */
bool task_rows_read(const char *path, const struct task_form *form, task_take *take, void *context,
                    struct error *err);

/* NULL where the row has none of the names. */
const struct json *task_field_of(const struct json *row, const struct task_field *field);

/* What follows copies into the arena and names the field in its errors. */

struct task_texts {
    struct encoder_text *items; /* [n] */
    size_t n;
};

bool task_text_of(const struct json *row, const struct task_field *field, struct arena *arena,
                  struct encoder_text *out, struct error *err);
/* A list of texts, or one text; may be empty, must be there. */
bool task_texts_of(const struct json *row, const struct task_field *field, struct arena *arena,
                   struct task_texts *out, struct error *err);
/* A number, or text that is one. */
bool task_number_of(const struct json *row, const struct task_field *field, double *out,
                    struct error *err);
/* 0 or 1, as number, text or true and false. name: the field, for the error. */
bool task_binary_of(const struct json *value, const char *name, bool *out, struct error *err);

/* ---- labels: texts or whole numbers, as numbers from 0 ---- */

struct task_labels {
    struct map by_name;
    const char **names; /* [n] in the order in which they came */
    size_t n;
};

bool task_label_of(struct task_labels *labels, const struct json *value, const char *name,
                   struct arena *arena, uint32_t *out, struct error *err);
/* out: [labels->n] each label's place in their order: by value where all are numbers, else by
 * bytes. */
void task_labels_order(const struct task_labels *labels, uint32_t *out);
void task_labels_done(struct task_labels *labels);

#endif
