/* lines.h - standard input, a text a line: as it stands, or JSONL with the text in a field. */
#ifndef TERCET_LINES_H
#define TERCET_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/json.h"

struct input_line {
    char *text; /* the line without its end; NULs are possible */
    size_t len;
    size_t number;     /* from 1 */
    struct json *json; /* the line as an object when it begins with '{' and is one; else NULL */
};

/* Reads the next line of stdin into *line (zeros at first); false at the end. A line that begins
 * with "{" must be a JSON object: otherwise err->code is set and the line's text is kept. */
bool input_next(struct input_line *line, struct error *err);
void input_done(struct input_line *line);

#endif
