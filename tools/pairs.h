/* pairs.h - standard input as JSONL {"query","passage"}, some lines at a time. */
#ifndef TERCET_PAIRS_H
#define TERCET_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lines.h"

/* Pairs scored together: enough to fill the cores, few enough that output flows. */
enum { PAIRS_MAX = 64 };

/* All zeros at first. Texts are borrowed from the lines, good until the next pairs_read. */
struct pairs {
    struct input_line lines[PAIRS_MAX];
    const char *queries[PAIRS_MAX], *passages[PAIRS_MAX];
    size_t query_lens[PAIRS_MAX], passage_lens[PAIRS_MAX];
    size_t n, line_number;
};

/* Fills the batch; bad lines are reported, left out, and make *status EXIT_FAILED. False once the
 * input has ended (the last pairs may be there then). */
bool pairs_read(struct pairs *pairs, int *status);
void pairs_done(struct pairs *pairs);

/* Prints {"id" if the line had one, ...the row's members} and releases the row. */
void pairs_print(const struct pairs *pairs, size_t i, struct json *row);

#endif
