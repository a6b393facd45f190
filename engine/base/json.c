#include "engine/base/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/mem.h"

/* struct json is never defined: it is jansson's json_t under a name of ours. */
static json_t *inner(const struct json *value) {
    return (json_t *)(uintptr_t)value;
}

static struct json *outer(json_t *value) {
    if (!value)
        mem_alloc(SIZE_MAX, 2); /* jansson returns NULL only when memory is gone */
    return (struct json *)value;
}

/* jansson's own depth limit is 2048 and fixed; ours is checked here, outside of strings. */
static bool depth_is_fine(const char *text, size_t len) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* The library quotes the text as it is. What is no UTF-8, and what would do something to a
 * terminal, becomes question marks. */
static void clean(char *message) {
    utf8proc_uint8_t *at = (utf8proc_uint8_t *)message;
    while (*at) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(at, -1, &c);
        bool fine = n > 0 && c >= 0x20 && (c < 0x7f || c >= 0xa0);
        n = n > 0 ? n : 1;
        if (!fine)
            memset(at, '?', (size_t)n);
        at += n;
    }
}

struct json *json_parse(const char *text, size_t len, struct error *err) {
    if (!depth_is_fine(text, len)) {
        error_set(err, ERROR_LIMIT, "JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
        return NULL;
    }
    json_error_t why;
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!root) {
        clean(why.text);
        error_set(err, ERROR_INVALID, "not valid JSON: line %d, column %d: %s", why.line,
                  why.column, why.text);
    }
    return (struct json *)root;
}

void json_release(struct json *root) {
    json_decref(inner(root));
}

enum json_kind json_kind_of(const struct json *value) {
    if (!value)
        return JSON_KIND_NULL;
    switch (json_typeof(inner(value))) {
    case JSON_OBJECT: return JSON_KIND_OBJECT;
    case JSON_ARRAY: return JSON_KIND_ARRAY;
    case JSON_STRING: return JSON_KIND_STRING;
    case JSON_INTEGER:
    case JSON_REAL: return JSON_KIND_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_KIND_BOOL;
    default: return JSON_KIND_NULL;
    }
}

const char *json_kind_name(enum json_kind kind) {
    static const char *const names[] = {"null",     "true or false", "a number",
                                        "a string", "an array",      "an object"};
    return names[kind];
}

const struct json *json_get(const struct json *object, const char *key) {
    return (const struct json *)json_object_get(inner(object), key);
}

const struct json *json_at(const struct json *array, size_t i) {
    return (const struct json *)json_array_get(inner(array), i);
}

size_t json_count(const struct json *value) {
    return json_is_object(inner(value)) ? json_object_size(inner(value))
                                        : json_array_size(inner(value));
}

void *json_first(const struct json *object) {
    return json_object_iter(inner(object));
}

void *json_next(const struct json *object, void *at) {
    return json_object_iter_next(inner(object), at);
}

const char *json_member_key(void *at) {
    return json_object_iter_key(at);
}

const struct json *json_member_value(void *at) {
    return (const struct json *)json_object_iter_value(at);
}

const char *json_string_of(const struct json *string, size_t *len_out) {
    assert(json_is_string(inner(string)));
    if (len_out)
        *len_out = json_string_length(inner(string));
    return json_string_value(inner(string));
}

double json_number_of(const struct json *number) {
    assert(json_is_number(inner(number)));
    return json_number_value(inner(number));
}

bool json_bool_of(const struct json *value) {
    assert(json_is_boolean(inner(value)));
    return json_is_true(inner(value));
}

/* The member to read, NULL when it is absent or null; *ok_out tells whether its kind is right. */
static const struct json *member_of_kind(const struct json *object, const char *key,
                                         enum json_kind kind, bool *ok_out, struct error *err) {
    const struct json *member = json_get(object, key);
    enum json_kind found = json_kind_of(member);
    *ok_out = found == kind || found == JSON_KIND_NULL;
    if (!*ok_out)
        error_set(err, ERROR_INVALID, "\"%s\" must be %s, found %s", key, json_kind_name(kind),
                  json_kind_name(found));
    return found == kind ? member : NULL;
}

bool json_read_string(const struct json *object, const char *key, const char **out,
                      struct error *err) {
    bool ok;
    const struct json *member = member_of_kind(object, key, JSON_KIND_STRING, &ok, err);
    if (!member)
        return ok;
    size_t len;
    const char *text = json_string_of(member, &len);
    if (memchr(text, '\0', len))
        return error_set(err, ERROR_INVALID, "\"%s\" holds a NUL character", key);
    *out = text;
    return true;
}

bool json_read_bool(const struct json *object, const char *key, bool *out, struct error *err) {
    bool ok;
    const struct json *member = member_of_kind(object, key, JSON_KIND_BOOL, &ok, err);
    if (member)
        *out = json_bool_of(member);
    return ok;
}

bool json_read_double(const struct json *object, const char *key, double min, double max,
                      double *out, struct error *err) {
    bool ok;
    const struct json *member = member_of_kind(object, key, JSON_KIND_NUMBER, &ok, err);
    if (!member)
        return ok;
    double number = json_number_of(member);
    if (!(number >= min && number <= max))
        return error_set(err, ERROR_INVALID, "\"%s\" must be between %g and %g, found %g", key, min,
                         max, number);
    *out = number;
    return true;
}

bool json_read_u32(const struct json *object, const char *key, uint32_t min, uint32_t max,
                   uint32_t *out, struct error *err) {
    double number = *out;
    if (!json_read_double(object, key, 0, UINT32_MAX, &number, err))
        return false;
    if (number != floor(number))
        return error_set(err, ERROR_INVALID, "\"%s\" must be a whole number, found %g", key,
                         number);
    if (json_kind_of(json_get(object, key)) == JSON_KIND_NULL)
        return true;
    if (number < min || number > max)
        return error_set(err, ERROR_INVALID, "\"%s\" must be between %u and %u, found %.0f", key,
                         min, max, number);
    *out = (uint32_t)number;
    return true;
}

struct json *json_new_object(void) {
    return outer(json_object());
}

struct json *json_new_array(void) {
    return outer(json_array());
}

struct json *json_new_string(const char *text, size_t len) {
    json_t *string = json_stringn(text, len);
    if (string)
        return outer(string);
    struct buf valid = {0};
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                              (utf8proc_ssize_t)(len - i), &codepoint);
        if (n > 0)
            buf_append(&valid, text + i, (size_t)n);
        else
            buf_text(&valid, "\xef\xbf\xbd");
        i += n > 0 ? (size_t)n : 1;
    }
    string = json_stringn(valid.data, valid.len);
    buf_done(&valid);
    return outer(string);
}

struct json *json_new_number(double number) {
    enum { EXACT_BITS = 53 };
    if (!isfinite(number))
        return json_new_null(); /* JSON has no NaN and no infinity */
    if (number == floor(number) && fabs(number) < (double)(1ULL << EXACT_BITS))
        return outer(json_integer((json_int_t)number));
    return outer(json_real(number));
}

struct json *json_new_bool(bool value) {
    return outer(json_boolean(value));
}

struct json *json_new_null(void) {
    return outer(json_null());
}

struct json *json_copy_of(const struct json *value) {
    return outer(json_deep_copy(inner(value)));
}

void json_add(struct json *object, const char *key, struct json *child) {
    int failed = json_object_set_new(inner(object), key, inner(child));
    assert(!failed);
    (void)failed;
}

void json_remove(struct json *object, const char *key) {
    json_object_del(inner(object), key);
}

void json_push(struct json *array, struct json *child) {
    int failed = json_array_append_new(inner(array), inner(child));
    assert(!failed);
    (void)failed;
}

void json_add_string(struct json *object, const char *key, const char *text) {
    json_add(object, key, json_new_string(text, strlen(text)));
}

void json_add_number(struct json *object, const char *key, double number) {
    json_add(object, key, json_new_number(number));
}

void json_add_bool(struct json *object, const char *key, bool value) {
    json_add(object, key, json_new_bool(value));
}

struct json *json_new_floats(const float *values, size_t n) {
    struct json *array = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_push(array, json_new_number((double)values[i]));
    return array;
}

void json_add_floats(struct json *object, const char *key, const float *values, size_t n) {
    json_add(object, key, json_new_floats(values, n));
}

static int append_to_buf(const char *bytes, size_t len, void *buf) {
    buf_append(buf, bytes, len);
    return 0;
}

void json_print(const struct json *value, struct buf *out) {
    enum { DIGITS_THAT_KEEP_F32 = 9 };
    json_dump_callback(inner(value), append_to_buf, out,
                       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS_THAT_KEEP_F32));
}
