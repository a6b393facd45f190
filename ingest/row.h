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
    size_t line;               /* from 1; 0: the whole file */
    const struct ready *ready; /* representations that came with it; NULL: to be computed */
};

/* {"_id" | "id" | "docid", "title", "text", "fields" | "metadata"}: an id is a string or a whole
 * number; title or text must say something. "dense", "sparse", "multi": ready.h. Other members are
 * passed over. */
bool row_from_json(const struct json *json, struct arena *arena, struct row *out,
                   struct error *err);

/* What of a row makes it another document when it changes. */
uint64_t row_hash(const struct row *row);

/* False, and a message that names the byte, when the text is not UTF-8 or holds a NUL. */
bool row_text_check(const char *text, size_t len, const char *what, struct error *err);

#endif
