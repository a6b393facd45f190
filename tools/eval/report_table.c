#include "tools/eval/report_table.h"

#include <string.h>

enum { COLUMNS_MAX = 64 }; /* MEASURES_MAX and what stands around them */

struct columns {
    const char *names[COLUMNS_MAX]; /* borrowed of the rows */
    size_t n;
};

static bool is_among(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static struct columns columns_of(const struct json *rows, const char *const *left_out) {
    struct columns columns = {.n = 0};
    for (size_t i = 0; i < json_count(rows); i++) {
        const struct json *row = json_at(rows, i);
        for (void *at = json_first(row); at; at = json_next(row, at)) {
            const char *name = json_member_key(at);
            bool skip = is_among(name, columns.names, columns.n) ||
                        (left_out && is_among(name, left_out, COLUMNS_MAX));
            if (!skip && columns.n < COLUMNS_MAX)
                columns.names[columns.n++] = name;
        }
    }
    return columns;
}

/* ---- CSV ---- */

static void csv_text(const char *text, struct buf *out) {
    if (!strpbrk(text, ",\"\r\n")) {
        buf_text(out, text);
        return;
    }
    buf_text(out, "\"");
    for (; *text; text++)
        buf_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    buf_text(out, "\"");
}

static void csv_cell(const struct json *value, struct buf *out) {
    if (json_kind_of(value) == JSON_KIND_STRING)
        csv_text(json_string_of(value, NULL), out);
    else if (json_kind_of(value) == JSON_KIND_NUMBER)
        json_print(value, out);
}

void report_table_csv(const struct json *rows, struct buf *out) {
    struct columns columns = columns_of(rows, NULL);
    for (size_t c = 0; c < columns.n; c++) {
        buf_text(out, c ? "," : "");
        csv_text(columns.names[c], out);
    }
    buf_text(out, "\n");
    for (size_t i = 0; i < json_count(rows); i++) {
        for (size_t c = 0; c < columns.n; c++) {
            buf_text(out, c ? "," : "");
            csv_cell(json_get(json_at(rows, i), columns.names[c]), out);
        }
        buf_text(out, "\n");
    }
}

/* ---- Markdown ---- */

static void markdown_text(const char *text, struct buf *out) {
    for (; *text; text++) {
        if (strchr("|\\`*_<[", *text))
            buf_text(out, "\\");
        buf_append(out, *text == '\n' ? " " : text, 1);
    }
}

/* Counts have no decimals, times one, a difference its sign. */
static void markdown_number(const char *name, double number, struct buf *out) {
    static const char *const counts[] = {"queries", "documents", "better", "worse", "equal"};
    if (is_among(name, counts, sizeof counts / sizeof *counts))
        buf_format(out, "%.0f", number);
    else if (strstr(name, "_ms") || strstr(name, "_s"))
        buf_format(out, "%.1f", number);
    else
        buf_format(out, strcmp(name, "difference") == 0 ? "%+.4f" : "%.4f", number);
}

static void markdown_row(const struct json *row, const struct columns *columns, struct buf *out) {
    buf_text(out, "|");
    for (size_t c = 0; c < columns->n; c++) {
        const struct json *value = json_get(row, columns->names[c]);
        buf_text(out, " ");
        if (json_kind_of(value) == JSON_KIND_STRING)
            markdown_text(json_string_of(value, NULL), out);
        else if (json_kind_of(value) == JSON_KIND_NUMBER)
            markdown_number(columns->names[c], json_number_of(value), out);
        buf_text(out, " |");
    }
    buf_text(out, "\n");
}

void report_table_markdown(const struct json *rows, const char *caption,
                           const char *const *left_out, struct buf *out) {
    struct columns columns = columns_of(rows, left_out);
    markdown_text(caption, out);
    buf_text(out, "\n\n|");
    for (size_t c = 0; c < columns.n; c++) {
        buf_text(out, " ");
        markdown_text(columns.names[c], out);
        buf_text(out, " |");
    }
    buf_text(out, "\n|");
    for (size_t c = 0; c < columns.n; c++)
        buf_text(out, c ? "---:|" : "---|");
    buf_text(out, "\n");
    for (size_t i = 0; i < json_count(rows); i++)
        markdown_row(json_at(rows, i), &columns, out);
}
