/* child.h - another program, run on a file, and what it wrote. No shell: words are given as words.
 *
 * The child reads `input` as its standard input, has bounded memory, and is killed when its time or
 * its output is over. A program that is not installed is ERROR_NOT_FOUND. */
#ifndef TERCET_INGEST_CHILD_H
#define TERCET_INGEST_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

struct child_limits {
    unsigned seconds;
    size_t memory_bytes; /* address space */
    size_t output_bytes;
};

/* words[0] is looked for in PATH; the last word is NULL. True when it ended with 0: its output is
 * appended to *out. Else the message has the program's name and the first line it complained with.
 * ERROR_STOPPED: a signal came to us; the child was killed. */
bool child_run(const char *const *words, int input, const struct child_limits *limits,
               struct buf *out, struct error *err);

#endif
