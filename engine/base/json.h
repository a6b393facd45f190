/* json.h - JSON in and out. The one home of the JSON library (jansson).
 *
 * A tree is owned by its root: json_release(root) frees all of it; whatever json_get, json_at and
 * json_each hand out is borrowed from the root. json_add and json_push give a child to its parent.
 * Threads: a tree belongs to one thread at a time; reading one from several is fine.
 * Limits: JSON_DEPTH_MAX levels, text must be UTF-8; a duplicate key keeps the last value.
 * Strings may hold NULs only as far as json_string_of tells their length. */
#ifndef TERCET_BASE_JSON_H
#define TERCET_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

/* Deep enough for every real file; far from exhausting a thread's stack. */
enum { JSON_DEPTH_MAX = 64 };

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

struct json;

/* ---- reading ---- */

/* One whole JSON value; anything but white space behind it is an error. The message names line
 * and column. NULL on failure. */
struct json *json_parse(const char *text, size_t len, struct error *err);
void json_release(struct json *root);

enum json_kind json_kind_of(const struct json *value); /* NULL counts as JSON_KIND_NULL */
const char *json_kind_name(enum json_kind kind);       /* "an object", "a string", ... */

/* A member by name; NULL when `object` is NULL, no object, or has none of that name. */
const struct json *json_get(const struct json *object, const char *key);
/* An element; NULL beyond the end or when `array` is no array. */
const struct json *json_at(const struct json *array, size_t i);
size_t json_count(const struct json *value); /* elements or members; 0 for anything else */

/* Members in file order: for (void *at = json_first(o); at; at = json_next(o, at)). */
void *json_first(const struct json *object);
void *json_next(const struct json *object, void *at);
const char *json_member_key(void *at);
const struct json *json_member_value(void *at);

/* The value itself; asserts that the kind is right (ask json_kind_of first). */
const char *json_string_of(const struct json *string, size_t *len_out); /* len_out may be NULL */
double json_number_of(const struct json *number);
bool json_bool_of(const struct json *value);

/* A member of an object, checked: when absent or null the output keeps its value (the default) and
 * the call succeeds; of the wrong kind or outside [min, max] it is ERROR_INVALID naming the key. */
bool json_read_string(const struct json *object, const char *key, const char **out,
                      struct error *err);
bool json_read_bool(const struct json *object, const char *key, bool *out, struct error *err);
bool json_read_double(const struct json *object, const char *key, double min, double max,
                      double *out, struct error *err);
bool json_read_u32(const struct json *object, const char *key, uint32_t min, uint32_t max,
                   uint32_t *out, struct error *err);

/* ---- writing ---- */

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *text, size_t len); /* invalid UTF-8 becomes U+FFFD */
struct json *json_new_number(double number); /* whole numbers below 2^53 print without a point */
struct json *json_new_bool(bool value);
struct json *json_new_null(void);
struct json *json_copy_of(const struct json *value); /* deep */

void json_add(struct json *object, const char *key, struct json *child);
void json_push(struct json *array, struct json *child);
void json_remove(struct json *object, const char *key); /* releases it, if there is one */

/* Shorthands over json_add. */
void json_add_string(struct json *object, const char *key, const char *text);
void json_add_number(struct json *object, const char *key, double number);
void json_add_bool(struct json *object, const char *key, bool value);
void json_add_floats(struct json *object, const char *key, const float *values, size_t n);
struct json *json_new_floats(const float *values, size_t n);

/* Compact, members in the order they were added; numbers with 9 significant digits, so that every
 * f32 comes back the same. Appends to *out, no line end. */
void json_print(const struct json *value, struct buf *out);

#endif
