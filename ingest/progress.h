/* progress.h - what a person sees while an ingest runs. */
#ifndef TERCET_INGEST_PROGRESS_H
#define TERCET_INGEST_PROGRESS_H

#include <stdio.h>

#include "engine/base/buf.h"
#include "ingest/pipeline.h"

/* One line without its end, at most `width` columns: a bar, documents, tokens/s, time left, bad
 * rows. Without a known end (standard input): what was read instead of bar and time left.
 * seconds_left < 0: nobody can know yet. */
void progress_render(const struct ingest_stats *stats, double seconds_left, size_t width,
                     struct buf *out);

/* "5183 documents stored, 0 unchanged, 2 bad; 1,234,567 tokens in 170 s (7,262 tokens/s)" */
void progress_summary(const struct ingest_stats *stats, struct buf *out);

/* On a terminal a line that is rewritten at most ten times a second; elsewhere a plain line every
 * ten seconds. A progress of zeros with `out` set is ready to use. */
struct progress_line {
    FILE *out;
    bool drawn;    /* a rewritable line stands on the terminal */
    double told_s; /* when the last line was written */
    /* How fast the input goes lately, and from where on that is measured. */
    double bytes_per_s, since_s;
    uint64_t since_bytes;
};

/* What the bytes still to read should take at the pace of the last half minute or so: documents
 * that are skipped because they are unchanged go a hundred times faster than others, and should not
 * promise anything for those. < 0: not known yet. */
double progress_seconds_left(struct progress_line *line, const struct ingest_stats *stats);

void progress_show(struct progress_line *line, const struct ingest_stats *stats);
/* Takes the rewritable line away, before something else is printed. */
void progress_clear(struct progress_line *line);

#endif
