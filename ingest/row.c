#include "ingest/row.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "index/writer.h"

bool row_text_check(const char *text, size_t len, const char *what, struct error *err) {
    const char *nul = memchr(text, '\0', len);
    if (nul)
        return error_set(err, ERROR_INVALID, "%s holds a NUL character at byte %zu", what,
                         (size_t)(nul - text));
    for (size_t i = 0; i < len;) {
        if ((unsigned char)text[i] < 0x80) {
            i++;
            continue;
        }
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(len - i), &codepoint);
        if (n <= 0)
            return error_set(err, ERROR_INVALID, "%s is not UTF-8: byte %zu is 0x%02x", what, i,
                             (unsigned char)text[i]);
        i += (size_t)n;
    }
    return true;
}

/* Until a row is known to be good its texts are the JSON tree's own: a bad row of 64 MiB must not
 * stay in the arena. */

/* The member that is the id, and what it is called; NULL when there is none. */
static const struct json *find_id(const struct json *json, const struct row_names *names,
                                  const char **name_out) {
    static const char *const usual[] = {"_id", "id", "docid"};
    const struct json *id = NULL;
    if (names->id)
        return json_get(json, *name_out = names->id);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (json_kind_of(id) == JSON_KIND_NULL)
            id = json_get(json, *name_out = usual[i]);
    return id;
}

static bool is_whole_number(const struct json *json) {
    return json_kind_of(json) == JSON_KIND_NUMBER &&
           json_number_of(json) == floor(json_number_of(json)) && fabs(json_number_of(json)) < 1e15;
}

/* The key: a string, or a whole number as JSON writes it. */
static bool read_key(const struct json *json, const struct row_names *names, struct arena *arena,
                     struct row *row, struct error *err) {
    const char *name = NULL;
    const struct json *id = find_id(json, names, &name);
    if (json_kind_of(id) == JSON_KIND_NULL && names->id)
        return error_set(err, ERROR_INVALID, "no \"%s\", which is to be the id", names->id);
    if (json_kind_of(id) == JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "no \"id\" (or \"_id\", \"docid\")");
    if (json_kind_of(id) == JSON_KIND_STRING) {
        row->key = json_string_of(id, &row->key_len);
        if (row->key_len <= WRITER_KEY_BYTES_MAX)
            row->key = arena_text(arena, row->key, row->key_len);
    } else if (is_whole_number(id)) {
        row->key = arena_format(arena, "%.0f", json_number_of(id));
        row->key_len = strlen(row->key);
    } else {
        return error_set(err, ERROR_INVALID, "\"%s\" must be a string or a whole number, found %s",
                         name, json_kind_name(json_kind_of(id)));
    }
    return true;
}

const char *row_json_id(const struct json *json, const struct row_names *names, size_t *len_out) {
    const struct row_names usual = {0};
    const char *name;
    const struct json *id = find_id(json, names ? names : &usual, &name);
    *len_out = 0;
    return json_kind_of(id) == JSON_KIND_STRING ? json_string_of(id, len_out) : "";
}

static bool read_text(const struct json *json, const char *name, const char **out, size_t *len_out,
                      struct error *err) {
    const struct json *value = json_get(json, name);
    if (json_kind_of(value) != JSON_KIND_STRING && json_kind_of(value) != JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "\"%s\" must be a string, found %s", name,
                         json_kind_name(json_kind_of(value)));
    *out = "";
    *len_out = 0;
    if (json_kind_of(value) == JSON_KIND_NULL)
        return true;
    *out = json_string_of(value, len_out);
    return !memchr(*out, '\0', *len_out) ||
           error_set(err, ERROR_INVALID, "\"%s\" holds a NUL character", name);
}

static void keep_fields(const struct json *fields, struct arena *arena, struct row *row) {
    struct buf printed = {0};
    if (json_count(fields) == 0)
        return;
    json_print(fields, &printed);
    row->fields = arena_text(arena, printed.data, printed.len);
    row->fields_len = printed.len;
    buf_done(&printed);
}

static bool read_fields(const struct json *json, const struct row_names *names, struct arena *arena,
                        struct row *row, struct error *err) {
    const char *name = "fields";
    const struct json *fields = json_get(json, name);
    if (json_kind_of(fields) == JSON_KIND_NULL)
        fields = json_get(json, name = "metadata");
    row->fields = "";
    row->fields_len = 0;
    if (json_kind_of(fields) != JSON_KIND_OBJECT && json_kind_of(fields) != JSON_KIND_NULL)
        return error_set(err, ERROR_INVALID, "\"%s\" must be an object, found %s", name,
                         json_kind_name(json_kind_of(fields)));
    if (!names->fields) {
        keep_fields(fields, arena, row);
        return true;
    }
    struct json *chosen = json_new_object();
    for (size_t i = 0; i < names->fields_n; i++) {
        const struct json *value = json_get(json, names->fields[i]);
        if (!value)
            value = json_get(fields, names->fields[i]);
        if (json_kind_of(value) != JSON_KIND_NULL)
            json_add(chosen, names->fields[i], json_copy_of(value));
    }
    keep_fields(chosen, arena, row);
    json_release(chosen);
    return true;
}

bool row_ids_are_lines(const struct row_names *names) {
    return names->id && strcmp(names->id, ROW_ID_BY_LINE) == 0;
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\n\v\f\r")] == '\0';
}

bool row_check(const struct row *row, struct error *err) {
    if (row->key_len == 0 || row->key_len > WRITER_KEY_BYTES_MAX)
        return error_set(err, ERROR_INVALID, "the id must have 1 to %d bytes, found %zu",
                         WRITER_KEY_BYTES_MAX, row->key_len);
    if (!row_text_check(row->key, row->key_len, "the id", err))
        return false;
    return !is_blank(row->title) || !is_blank(row->text) || row->ready ||
           error_set(err, ERROR_INVALID, "neither title nor text");
}

bool row_from_json_named(const struct json *json, const struct row_names *names,
                         struct arena *arena, struct row *out, struct error *err) {
    const struct row_names usual = {0};
    struct row row = {.file = ""};
    names = names ? names : &usual;
    if (json_kind_of(json) != JSON_KIND_OBJECT)
        return error_set(err, ERROR_INVALID, "a document must be a JSON object, found %s",
                         json_kind_name(json_kind_of(json)));
    if (row_ids_are_lines(names)) {
        row.key = out->key;
        row.key_len = out->key_len;
    } else if (!read_key(json, names, arena, &row, err)) {
        return false;
    }
    if (!read_text(json, names->title ? names->title : "title", &row.title, &row.title_len, err) ||
        !read_text(json, names->text ? names->text : "text", &row.text, &row.text_len, err) ||
        !ready_from_json(json, row.text, row.text_len, arena, &row.ready, err) ||
        !row_check(&row, err) || !read_fields(json, names, arena, &row, err))
        return false;
    row.title = arena_text(arena, row.title, row.title_len);
    row.text = arena_text(arena, row.text, row.text_len);
    *out = row;
    return true;
}

bool row_from_json(const struct json *json, struct arena *arena, struct row *out,
                   struct error *err) {
    return row_from_json_named(json, NULL, arena, out, err);
}

uint64_t row_hash(const struct row *row) {
    const struct {
        const char *bytes;
        size_t len;
    } parts[] = {
        {row->title, row->title_len}, {row->text, row->text_len}, {row->fields, row->fields_len}};
    uint64_t hash = XXH3_64bits(row->key, row->key_len);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hash = XXH3_64bits_withSeed(parts[i].bytes, parts[i].len, hash + parts[i].len);
    return row->ready ? ready_hash(row->ready, hash) : hash;
}
