#include "ingest/format.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ingest/reader.h"

static const struct format *const formats[] = {
    &format_jsonl,    &format_csv,  &format_tsv, &format_text,
    &format_markdown, &format_html, &format_pdf,
};
enum { FORMATS_N = sizeof formats / sizeof *formats };

static bool ends_with(const char *name, size_t len, const char *end) {
    size_t end_len = strlen(end);
    return len > end_len && strncasecmp(name + len - end_len, end, end_len) == 0;
}

size_t format_unpacked_len(const char *name) {
    static const char *const packed[] = {".gz", ".zst"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (ends_with(name, len, packed[i]))
            return len - strlen(packed[i]);
    return len;
}

const struct format *format_of_name(const char *name) {
    size_t len = format_unpacked_len(name);
    for (size_t i = 0; i < FORMATS_N; i++)
        for (size_t j = 0; j < FORMAT_ENDINGS_MAX && formats[i]->endings[j]; j++)
            if (ends_with(name, len, formats[i]->endings[j]))
                return formats[i];
    return NULL;
}

const struct format *format_named(const char *name, struct error *err) {
    struct buf names = {0};
    for (size_t i = 0; i < FORMATS_N; i++) {
        if (strcasecmp(name, formats[i]->name) == 0) {
            buf_done(&names);
            return formats[i];
        }
        buf_format(&names, "%s%s", i ? ", " : "", formats[i]->name);
    }
    error_set(err, ERROR_INVALID, "no format is called \"%s\"; there are %s", name, names.data);
    buf_done(&names);
    return NULL;
}

void format_list_endings(struct buf *out) {
    bool first = true;
    for (size_t i = 0; i < FORMATS_N; i++)
        for (size_t j = 0; j < FORMAT_ENDINGS_MAX && formats[i]->endings[j]; j++) {
            buf_format(out, "%s%s", first ? "" : ", ", formats[i]->endings[j]);
            first = false;
        }
}

bool format_check_text(const struct format_input *input, const char *text, size_t len,
                       const char *what, struct error *err) {
    if (row_text_check(text, len, what, err))
        return true;
    size_t n = strlen(err->message);
    if (!input->options->encoding && !memchr(text, '\0', len))
        snprintf(err->message + n, sizeof err->message - n,
                 "; if the file is in an older encoding, name it: --encoding windows-1252, say");
    return false;
}

bool format_take_text(const struct format_input *input, const char *text, size_t len,
                      struct arena *arena, struct row *out, struct error *err) {
    if (!format_check_text(input, text, len, "the text", err))
        return error_wrap(err, "%s: ", input->path);
    if (strspn(text, " \t\n\v\f\r") == len) {
        error_set(err, ERROR_INVALID, "the file is empty");
        return error_wrap(err, "%s: ", input->path);
    }
    out->text = arena_text(arena, text, len);
    out->text_len = len;
    return true;
}

void format_set_fields(struct json *fields, struct arena *arena, struct row *out) {
    struct buf printed = {0};
    if (json_count(fields)) {
        json_print(fields, &printed);
        out->fields = arena_text(arena, printed.data, printed.len);
        out->fields_len = printed.len;
    }
    buf_done(&printed);
    json_release(fields);
}

void format_take_fields(const struct format_input *input, struct json *fields, struct arena *arena,
                        struct row *out) {
    const struct row_names *names = &input->options->names;
    if (names->fields) {
        struct json *chosen = json_new_object();
        for (size_t i = 0; i < names->fields_n; i++)
            if (json_get(fields, names->fields[i]))
                json_add(chosen, names->fields[i],
                         json_copy_of(json_get(fields, names->fields[i])));
        json_release(fields);
        fields = chosen;
    }
    format_set_fields(fields, arena, out);
}

/* JSON's grammar of numbers: no leading zeros, which are part of a code, and no blanks. So many
 * digits as a double keeps; a longer row of digits is a number only by its looks. */
static bool is_number(const char *text, size_t len) {
    enum { DIGITS_MAX = 15 };
    size_t at = len && text[0] == '-', begin = at, digits = 0;
    for (; at < len && isdigit((unsigned char)text[at]); at++)
        digits++;
    if (digits == 0 || (digits > 1 && text[begin] == '0'))
        return false;
    if (at < len && text[at] == '.') {
        size_t whole = digits;
        for (at++; at < len && isdigit((unsigned char)text[at]); at++)
            digits++;
        if (digits == whole)
            return false;
    }
    return at == len && digits <= DIGITS_MAX;
}

struct json *format_value(const char *text, size_t len) {
    char digits[32];
    if (!is_number(text, len) || len >= sizeof digits)
        return json_new_string(text, len);
    memcpy(digits, text, len);
    digits[len] = '\0';
    return json_new_number(strtod(digits, NULL));
}

void format_key_by_line(const struct format_input *input, size_t line, struct arena *arena,
                        struct row *out) {
    out->key = arena_format(arena, "%s:%zu", input->key, line);
    out->key_len = strlen(out->key);
}
