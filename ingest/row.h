/* row.h - one document on its way in, before anything was computed from it. */
#ifndef TERCET_INGEST_ROW_H
#define TERCET_INGEST_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "ingest/ready.h"

/* All strings are valid UTF-8 without NULs, NUL-terminated, and lie in the reader's arena. */
struct row {
    const char *key, *title, *text, *fields; /* fields: a JSON object as text, or "" */
    size_t key_len, title_len, text_len, fields_len;
    const char *file;          /* where it came from, for messages; "" for a request */
    size_t line;               /* from 1, where it begins; 0: the whole file */
    const struct ready *ready; /* representations that came with it; NULL: to be computed */
};

/* What the parts of a row are called where it comes from: members of JSON, columns of a table. */
struct row_names {
    const char *id;    /* NULL: "_id", "id" or "docid"; ROW_ID_BY_LINE: the file's and the line's */
    const char *title; /* NULL: "title" */
    const char *text;  /* NULL: "text" */
    /* [fields_n] what is kept as fields; NULL: all that a table has beside these, and what JSON
     * calls "fields" or "metadata". */
    const char *const *fields;
    size_t fields_n;
};

/* For rows without an id: "corpus.csv:17". */
#define ROW_ID_BY_LINE "#"
bool row_ids_are_lines(const struct row_names *names);

/* {"_id" | "id" | "docid", "title", "text", "fields" | "metadata"}: an id is a string or a whole
 * number; title or text must say something where no representations come along ("dense", "sparse",
 * "multi": ready.h). Other members are passed over. */
bool row_from_json(const struct json *json, struct arena *arena, struct row *out,
                   struct error *err);

/* The same under other names (NULL: the usual ones). With names->fields, each of them is looked for
 * in the row itself, then in "fields" or "metadata". With ROW_ID_BY_LINE the key is what *out
 * already holds. */
bool row_from_json_named(const struct json *json, const struct row_names *names,
                         struct arena *arena, struct row *out, struct error *err);

/* The id of a row that may be bad in any way; "" when it has none that can be told. */
const char *row_json_id(const struct json *json, const struct row_names *names, size_t *len_out);

/* What every row must have, wherever it comes from: a key that fits, a title, a text or ready-made
 * representations. */
bool row_check(const struct row *row, struct error *err);

/* What of a row makes it another document when it changes. */
uint64_t row_hash(const struct row *row);

/* False, and a message that names the byte, when the text is not UTF-8 or holds a NUL. */
bool row_text_check(const char *text, size_t len, const char *what, struct error *err);

#endif
