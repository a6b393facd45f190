/* shape.h - a benchmark on a model of a known shape that is made for it and gone afterwards. */
#ifndef TERCET_BENCH_SHAPE_H
#define TERCET_BENCH_SHAPE_H

/* Writes a folder with random weights (hub_random.h) under $TMPDIR or /tmp, calls
 * bench(context, folder) and removes the folder, also when the person stops it by Ctrl-C: the work
 * is done by a child process. Returns bench's exit status. */
int shape_run(const char *shape, int (*bench)(void *context, const char *folder), void *context);

#endif
