/* Markdown: front matter becomes fields, the title is its "title", else the first heading. */
#include <string.h>

#include "ingest/charset.h"
#include "ingest/format.h"
#include "ingest/front_matter.h"
#include "ingest/reader.h"

struct span {
    const char *text;
    size_t len;
};

/* The text of an ATX heading ("## Title ##") without its marks; false for any other line. */
static bool heading_of(const char *line, size_t len, struct span *out) {
    size_t marks = strspn(line, "#");
    if (marks == 0 || marks > 6 || (line[marks] != ' ' && line[marks] != '\t'))
        return false;
    while (marks < len && (line[marks] == ' ' || line[marks] == '\t'))
        marks++;
    while (len > marks && strchr(" \t\r#", line[len - 1]))
        len--;
    *out = (struct span){line + marks, len - marks};
    return out->len > 0;
}

/* A line of nothing but = or - below a line of text makes that one a heading. */
static bool is_underline(const char *line, size_t len) {
    while (len && strchr(" \t\r", line[len - 1]))
        len--;
    if (len < 2 || (line[0] != '=' && line[0] != '-'))
        return false;
    for (size_t i = 1; i < len; i++)
        if (line[i] != line[0])
            return false;
    return true;
}

/* Text, not a list, a quotation, a table or a rule. */
static bool may_be_underlined(const char *line, size_t len) {
    return len > 1 && !strchr(" \t\r-*+>|<=#0123456789`~", line[0]);
}

/* The first heading outside of code blocks, where "# x" is a comment in some language. */
static bool first_heading(const char *text, struct span *out) {
    const char *above = NULL;
    size_t above_len = 0;
    char fence = '\0';
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool is_fence = strncmp(text, "```", 3) == 0 || strncmp(text, "~~~", 3) == 0;
        if (is_fence && (!fence || fence == *text))
            fence = fence ? '\0' : *text;
        else if (!fence && heading_of(text, len, out))
            return true;
        else if (!fence && above && may_be_underlined(above, above_len) &&
                 is_underline(text, len)) {
            while (above_len && strchr(" \t\r", above[above_len - 1]))
                above_len--;
            *out = (struct span){above, above_len};
            return true;
        }
        above = fence ? NULL : text;
        above_len = len;
        text += len + (text[len] == '\n');
    }
    return false;
}

static void take_title(const struct json *title, const char *text, struct arena *arena,
                       struct row *out) {
    struct span span = {"", 0};
    struct buf number = {0}; /* "title: 1984" */
    if (json_kind_of(title) == JSON_KIND_STRING) {
        span.text = json_string_of(title, &span.len);
    } else if (json_kind_of(title) == JSON_KIND_NUMBER) {
        json_print(title, &number);
        span = (struct span){number.data, number.len};
    }
    if (span.len == 0)
        first_heading(text, &span);
    out->title = arena_text(arena, span.text, span.len);
    out->title_len = span.len;
    buf_done(&number);
}

/* The title is no field twice. */
static struct json *without_title(const struct json *fields) {
    struct json *others = json_new_object();
    for (void *at = fields ? json_first(fields) : NULL; at; at = json_next(fields, at))
        if (strcmp(json_member_key(at), "title") != 0)
            json_add(others, json_member_key(at), json_copy_of(json_member_value(at)));
    return others;
}

static bool read_document(struct format_input *input, struct buf *utf8, struct arena *arena,
                          struct row *out, struct error *err) {
    char *text;
    size_t len, behind = 0;
    if (!source_rest(input->source, &text, &len, err))
        return false;
    if (!charset_to_utf8(input->options->encoding, &text, &len, utf8, err) ||
        !format_check_text(input, text, len, "the text", err))
        return error_wrap(err, "%s: ", input->path);
    struct json *fields = front_matter_read(text, &behind);
    bool ok = format_take_text(input, text + behind, len - behind, arena, out, err);
    if (ok) {
        take_title(json_get(fields, "title"), text + behind, arena, out);
        format_take_fields(input, without_title(fields), arena, out);
    }
    json_release(fields);
    return ok;
}

static enum reader_state next_markdown(struct format_input *input, struct arena *arena,
                                       struct row *out, struct error *err) {
    struct buf utf8 = {0};
    bool ok = read_document(input, &utf8, arena, out, err);
    buf_done(&utf8);
    return ok ? READER_ROW : READER_BAD;
}

const struct format format_markdown = {
    .name = "markdown",
    .endings = {".md", ".markdown"},
    .is_document = true,
    .next = next_markdown,
};
