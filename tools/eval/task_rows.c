#include "tools/eval/task_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tools/eval/judged.h"

enum { COLUMNS_MAX = 32 };

struct reading {
    const struct task_form *form;
    task_take *take;
    void *context;
    bool begun, is_json;
    int places[TASK_FIELDS_MAX]; /* of the form's fields among a TSV line's columns */
    size_t rows_n;
};

/* Cuts a line at its tabs, empty columns included; at most COLUMNS_MAX. */
static size_t columns_of(char *line, char *columns[COLUMNS_MAX]) {
    size_t n = 0;
    for (char *rest = line; rest && n < COLUMNS_MAX;)
        columns[n++] = strsep(&rest, "\t");
    return n;
}

static bool field_is_named(const struct task_field *field, const char *name) {
    for (size_t i = 0; i < TASK_NAMES_MAX && field->names[i]; i++)
        if (strcmp(field->names[i], name) == 0)
            return true;
    return false;
}

/* Where the fields stand if this line is a header that names all of them. */
static bool header_read(const struct task_form *form, char *const *columns, size_t n,
                        int places[TASK_FIELDS_MAX]) {
    for (size_t f = 0; f < form->n; f++) {
        places[f] = -1;
        for (size_t c = 0; c < n && places[f] < 0; c++)
            if (field_is_named(form->columns[f], columns[c]))
                places[f] = (int)c;
        if (places[f] < 0)
            return false;
    }
    return true;
}

static bool take_tsv(struct reading *reading, char *line, struct error *err) {
    const struct task_form *form = reading->form;
    char *columns[COLUMNS_MAX];
    size_t n = columns_of(line, columns);
    bool ok = true;
    if (!reading->begun) {
        reading->begun = true;
        if (header_read(form, columns, n, reading->places))
            return true;
        for (size_t f = 0; f < form->n; f++)
            reading->places[f] = (int)f;
    }
    struct json *row = json_new_object();
    for (size_t f = 0; f < form->n && ok; f++) {
        const char *name = form->columns[f]->names[0];
        if ((size_t)reading->places[f] >= n)
            ok = error_set(err, ERROR_INVALID,
                           "column %d, \"%s\", is missing: the line has %zu between tabs",
                           reading->places[f] + 1, name, n);
        else
            json_add_string(row, name, columns[reading->places[f]]);
    }
    ok = ok && reading->take(reading->context, row, err);
    reading->rows_n++;
    json_release(row);
    return ok;
}

static bool take_line(void *context, char *line, size_t len, struct error *err) {
    struct reading *reading = context;
    if (!reading->begun)
        reading->is_json = line[strspn(line, " ")] == '{';
    if (!reading->is_json)
        return take_tsv(reading, line, err);
    reading->begun = true;
    struct json *row = json_parse(line, len, err);
    if (!row)
        return false;
    bool ok = json_kind_of(row) == JSON_KIND_OBJECT
                  ? reading->take(reading->context, row, err)
                  : error_set(err, ERROR_INVALID, "a row must be an object, found %s",
                              json_kind_name(json_kind_of(row)));
    reading->rows_n++;
    json_release(row);
    return ok;
}

bool task_rows_read(const char *path, const struct task_form *form, task_take *take, void *context,
                    struct error *err) {
    struct reading reading = {.form = form, .take = take, .context = context};
    if (!judged_lines(path, take_line, &reading, err))
        return false;
    return reading.rows_n > 0 || error_set(err, ERROR_INVALID, "%s: holds no row", path);
}

const struct json *task_field_of(const struct json *row, const struct task_field *field) {
    for (size_t i = 0; i < TASK_NAMES_MAX && field->names[i]; i++)
        if (json_get(row, field->names[i]))
            return json_get(row, field->names[i]);
    return NULL;
}

/* "found a number", "found nothing". */
static bool wrong(const struct json *value, const char *name, const char *wanted,
                  struct error *err) {
    return error_set(err, ERROR_INVALID, "\"%s\" must be %s, found %s", name, wanted,
                     value ? json_kind_name(json_kind_of(value)) : "nothing");
}

static struct encoder_text copy_text(const struct json *string, struct arena *arena) {
    struct encoder_text out;
    const char *text = json_string_of(string, &out.len);
    out.text = arena_text(arena, text, out.len);
    return out;
}

bool task_text_of(const struct json *row, const struct task_field *field, struct arena *arena,
                  struct encoder_text *out, struct error *err) {
    const struct json *value = task_field_of(row, field);
    if (json_kind_of(value) != JSON_KIND_STRING)
        return wrong(value, field->names[0], "a text", err);
    *out = copy_text(value, arena);
    return true;
}

bool task_texts_of(const struct json *row, const struct task_field *field, struct arena *arena,
                   struct task_texts *out, struct error *err) {
    const struct json *value = task_field_of(row, field);
    bool one = json_kind_of(value) == JSON_KIND_STRING;
    size_t n = one ? 1 : json_count(value);
    if (!one && json_kind_of(value) != JSON_KIND_ARRAY)
        return wrong(value, field->names[0], "a text or a list of texts", err);
    for (size_t i = 0; i < n && !one; i++)
        if (json_kind_of(json_at(value, i)) != JSON_KIND_STRING)
            return error_set(err, ERROR_INVALID, "\"%s\"[%zu] must be a text, found %s",
                             field->names[0], i, json_kind_name(json_kind_of(json_at(value, i))));
    *out = (struct task_texts){ARENA_NEW(arena, struct encoder_text, n + 1), n};
    for (size_t i = 0; i < n; i++)
        out->items[i] = copy_text(one ? value : json_at(value, i), arena);
    return true;
}

/* The number that a text is from its first to its last byte. */
static bool number_of_text(const char *text, double *out) {
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number))
        return false;
    *out = number;
    return true;
}

bool task_number_of(const struct json *row, const struct task_field *field, double *out,
                    struct error *err) {
    const struct json *value = task_field_of(row, field);
    if (json_kind_of(value) == JSON_KIND_NUMBER) {
        *out = json_number_of(value);
        return true;
    }
    if (json_kind_of(value) != JSON_KIND_STRING)
        return wrong(value, field->names[0], "a number", err);
    return number_of_text(json_string_of(value, NULL), out) ||
           error_set(err, ERROR_INVALID, "\"%s\" must be a number, found \"%.32s\"",
                     field->names[0], json_string_of(value, NULL));
}

bool task_binary_of(const struct json *value, const char *name, bool *out, struct error *err) {
    double number = -1;
    switch (json_kind_of(value)) {
    case JSON_KIND_BOOL: number = json_bool_of(value); break;
    case JSON_KIND_NUMBER: number = json_number_of(value); break;
    case JSON_KIND_STRING:
        if (!number_of_text(json_string_of(value, NULL), &number))
            return error_set(err, ERROR_INVALID, "\"%s\" must be 0 or 1, found \"%.32s\"", name,
                             json_string_of(value, NULL));
        break;
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT: return wrong(value, name, "0 or 1", err);
    }
    bool is_one = number > 0.5;
    if (fabs(number - (is_one ? 1 : 0)) > 0)
        return error_set(err, ERROR_INVALID, "\"%s\" must be 0 or 1, found %g", name, number);
    *out = is_one;
    return true;
}

/* A label as text in the arena; NULL when it can be none. */
static const char *label_text(const struct json *value, struct arena *arena) {
    if (json_kind_of(value) == JSON_KIND_STRING)
        return copy_text(value, arena).text;
    if (json_kind_of(value) == JSON_KIND_NUMBER)
        return arena_format(arena, "%.17g", json_number_of(value));
    if (json_kind_of(value) == JSON_KIND_BOOL)
        return json_bool_of(value) ? "1" : "0";
    return NULL;
}

bool task_label_of(struct task_labels *labels, const struct json *value, const char *name,
                   struct arena *arena, uint32_t *out, struct error *err) {
    const char *text = label_text(value, arena);
    bool fresh;
    if (!text)
        return wrong(value, name, "a label (a text or a number)", err);
    *out = *map_put(&labels->by_name, text, strlen(text), (uint32_t)labels->n, &fresh);
    if (fresh) {
        labels->names = arena_room(arena, labels->names, labels->n, sizeof *labels->names);
        labels->names[labels->n++] = text;
    }
    return true;
}

struct named {
    const char *name;
    double number;
    uint32_t i;
};

static int compare_numbers(const void *a, const void *b) {
    const struct named *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

void task_labels_order(const struct task_labels *labels, uint32_t *out) {
    struct named *named = mem_alloc(labels->n, sizeof *named);
    bool numbers = true;
    for (size_t i = 0; i < labels->n; i++) {
        named[i] = (struct named){.name = labels->names[i], .i = (uint32_t)i};
        numbers = numbers && number_of_text(labels->names[i], &named[i].number);
    }
    qsort(named, labels->n, sizeof *named, numbers ? compare_numbers : compare_names);
    for (size_t i = 0; i < labels->n; i++)
        out[named[i].i] = (uint32_t)i;
    free(named);
}

void task_labels_done(struct task_labels *labels) {
    map_done(&labels->by_name);
}
