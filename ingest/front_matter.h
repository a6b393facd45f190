/* front_matter.h - the few lines of YAML in front of a Markdown text.
 *
 *   ---
 *   title: Tides and "currents"    # a comment
 *   year: 2024
 *   tags: [sea, moon]
 *   authors:
 *     - Ada
 *   summary: >
 *     folded lines
 *   ---
 * Read are scalars, plain or quoted, lists of them in both ways of writing, and texts behind | and
 * >. Deeper structure is passed over: these are fields to filter by, not data to keep. */
#ifndef TERCET_INGEST_FRONT_MATTER_H
#define TERCET_INGEST_FRONT_MATTER_H

#include <stddef.h>

#include "engine/base/json.h"

/* Longer ones are no front matter but a document that happens to begin with a rule. */
enum { FRONT_MATTER_BYTES_MAX = 64 << 10 };

/* NULL when the text has none; else an object, the caller's to release, and where the text behind
 * it begins. The text is UTF-8 without NULs, with a NUL behind it. */
struct json *front_matter_read(const char *text, size_t *behind_out);

#endif
