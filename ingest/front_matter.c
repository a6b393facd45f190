#include "ingest/front_matter.h"

#include <stdbool.h>
#include <string.h>

#include "ingest/format.h"

struct line {
    const char *text; /* behind the indentation */
    size_t len, indent;
};

struct lines {
    const char *at, *end;
};

/* The next line without its end; false behind the last one. */
static bool line_peek(const struct lines *lines, struct line *out, const char **next) {
    if (lines->at >= lines->end)
        return false;
    const char *stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *begin = lines->at, *end = stop ? stop : lines->end;
    *next = stop ? stop + 1 : lines->end;
    while (end > begin && strchr(" \t\r", end[-1]))
        end--;
    while (begin < end && *begin == ' ')
        begin++;
    *out = (struct line){begin, (size_t)(end - begin), (size_t)(begin - lines->at)};
    return true;
}

static bool is_rule(const char *text, const char *mark, const char **next) {
    if (strncmp(text, mark, 3) != 0)
        return false;
    text += 3;
    text += strspn(text, " \t\r");
    *next = *text == '\n' ? text + 1 : text;
    return *text == '\n' || *text == '\0';
}

/* Where the lines between the two rules end; NULL: there is no second rule. */
static const char *find_end(const char *text, const char *begin, const char **behind) {
    const char *at = begin;
    while (*at && at - text <= FRONT_MATTER_BYTES_MAX) {
        if (is_rule(at, "---", behind) || is_rule(at, "...", behind))
            return at;
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return NULL;
}

/* ---- values ---- */

static void trim(const char **text, size_t *len) {
    while (*len && strchr(" \t", **text)) {
        ++*text;
        --*len;
    }
    while (*len && strchr(" \t\r", (*text)[*len - 1]))
        --*len;
}

/* From a string's opening quote on; *end_out: behind its closing one. NULL: it never closes. */
static struct json *read_quoted(const char *text, size_t len, size_t *end_out) {
    struct buf value = {0};
    char quote = text[0];
    struct json *json = NULL;
    buf_append(&value, "", 0);
    for (size_t i = 1; i < len; i++) {
        bool doubled = quote == '\'' && i + 1 < len && text[i] == quote && text[i + 1] == quote;
        if (text[i] == quote && !doubled) {
            *end_out = i + 1;
            json = json_new_string(value.data, value.len);
            break;
        }
        char c = text[i];
        if (doubled || (quote == '"' && c == '\\' && i + 1 < len)) {
            c = text[++i];
            c = quote == '"' && c == 'n' ? '\n' : quote == '"' && c == 't' ? '\t' : c;
        }
        buf_append(&value, &c, 1);
    }
    buf_done(&value);
    return json;
}

static bool is_word(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* One value on one line. NULL for null and for what is not read. */
static struct json *read_scalar(const char *text, size_t len) {
    size_t end;
    trim(&text, &len);
    if (len && (text[0] == '"' || text[0] == '\'')) {
        struct json *quoted = read_quoted(text, len, &end);
        if (quoted)
            return quoted;
    }
    for (size_t i = 1; i < len; i++)
        if (text[i] == '#' && (text[i - 1] == ' ' || text[i - 1] == '\t'))
            len = i;
    trim(&text, &len);
    if (len == 0 || strchr("{&*!|>%@`", text[0]) || is_word(text, len, "null") ||
        is_word(text, len, "~"))
        return NULL;
    if (is_word(text, len, "true") || is_word(text, len, "false"))
        return json_new_bool(len == 4);
    return format_value(text, len);
}

/* [a, "b, c", 3] */
static struct json *read_flow_list(const char *text, size_t len) {
    struct json *list = json_new_array();
    size_t at = 1;
    while (at < len && text[at] != ']') {
        size_t begin = at, end;
        while (begin < len && text[begin] == ' ')
            begin++;
        at = begin;
        struct json *quoted = NULL;
        if (at < len && (text[at] == '"' || text[at] == '\''))
            quoted = read_quoted(text + at, len - at, &end);
        if (quoted)
            at += end;
        while (at < len && text[at] != ',' && text[at] != ']')
            at++;
        struct json *value = quoted ? quoted : read_scalar(text + begin, at - begin);
        if (value)
            json_push(list, value);
        at += at < len && text[at] == ',';
    }
    return list;
}

/* Lines below a key without a value: "- item" each, or deeper structure, which is passed over. */
static struct json *read_block_list(struct lines *lines) {
    struct json *list = json_new_array();
    struct line line;
    const char *next;
    while (line_peek(lines, &line, &next)) {
        bool item = line.len && line.text[0] == '-' && (line.len == 1 || line.text[1] == ' ');
        if (line.len && !item && line.indent == 0)
            break;
        lines->at = next;
        struct json *value = item ? read_scalar(line.text + 1, line.len - 1) : NULL;
        if (value)
            json_push(list, value);
    }
    return list;
}

/* Lines behind "|" or ">": those that are indented. */
static struct json *read_block_text(struct lines *lines, char join) {
    struct buf text = {0};
    struct line line;
    const char *next;
    buf_append(&text, "", 0);
    while (line_peek(lines, &line, &next) && (line.len == 0 || line.indent > 0)) {
        if (text.len)
            buf_append(&text, &join, 1);
        buf_append(&text, line.text, line.len);
        lines->at = next;
    }
    struct json *json = json_new_string(text.data, text.len);
    buf_done(&text);
    return json;
}

/* The length of a line's key; 0: it has none. *value_out: where its value begins. */
static size_t key_len(const struct line *line, size_t *value_out) {
    for (size_t i = 0; i < line->len; i++) {
        if (line->text[i] != ':' || (i + 1 < line->len && line->text[i + 1] != ' '))
            continue;
        *value_out = i + 1;
        while (*value_out < line->len && line->text[*value_out] == ' ')
            ++*value_out;
        return i;
    }
    return 0;
}

static void read_member(struct lines *lines, const struct line *line, struct json *object) {
    size_t value_at, len = key_len(line, &value_at);
    const char *name = line->text, *value = line->text + value_at;
    if (len == 0)
        return;
    if (len > 2 && (name[0] == '"' || name[0] == '\'') && name[len - 1] == name[0]) {
        name++;
        len -= 2;
    }
    size_t value_len = line->len - value_at;
    struct json *read;
    if (value_len == 0 || value[0] == '#')
        read = read_block_list(lines);
    else if (value[0] == '[')
        read = read_flow_list(value, value_len);
    else if (value[0] == '|' || value[0] == '>')
        read = read_block_text(lines, value[0] == '|' ? '\n' : ' ');
    else
        read = read_scalar(value, value_len);
    if (!read)
        return;
    struct buf key = {0};
    buf_append(&key, name, len);
    if (json_kind_of(read) == JSON_KIND_ARRAY && json_count(read) == 0)
        json_release(read);
    else
        json_add(object, key.data, read);
    buf_done(&key);
}

struct json *front_matter_read(const char *text, size_t *behind_out) {
    const char *begin, *behind;
    if (!is_rule(text, "---", &begin))
        return NULL;
    const char *end = find_end(text, begin, &behind);
    if (!end)
        return NULL;
    struct lines lines = {begin, end};
    struct json *object = json_new_object();
    struct line line;
    const char *next;
    while (line_peek(&lines, &line, &next)) {
        lines.at = next;
        if (line.len && line.indent == 0 && line.text[0] != '#')
            read_member(&lines, &line, object);
    }
    *behind_out = (size_t)(behind - text);
    return object;
}
