/* pipeline.h - rows become representations, representations become commits.
 *
 * A window of rows (bounded in documents and bytes) is sorted by length and encoded in batches of
 * like length, all cores sharing each batch; then the window is put in the order it was read and
 * committed. While one is encoded the next one is read and the last one stored. When rows are long
 * in coming (a pipe), a window is stored a second after its first one. Of rows with the same key
 * the last wins. So memory is bounded by three windows, not by the input, and a kill loses at most
 * what was not committed yet; ingesting again skips what is there unchanged.
 * Threads: an ingest is one thread's; its pool serves the encoder, and ingest_run starts two
 * threads of its own, which have ended when it returns. */
#ifndef TERCET_INGEST_PIPELINE_H
#define TERCET_INGEST_PIPELINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"
#include "ingest/reader.h"
#include "ingest/row.h"

struct model;
struct pool;
struct ingest;

struct ingest_stats {
    uint64_t stored, unchanged, bad, deleted;
    bool resumed;     /* it went on where an earlier run was broken off */
    uint64_t encoded; /* documents; those of the window in hand are not stored yet */
    uint64_t tokens;  /* of them */
    uint64_t bytes_read, bytes_total; /* of the input; total 0: not known */
    double seconds;
    double encode_seconds; /* of them in the encoder */
};

/* All run on the ingest's thread; any may be NULL. Of a row they are told when its window is
 * stored, in the order the rows were read. */
struct ingest_callbacks {
    void *context;
    void (*progress)(void *context, const struct ingest_stats *stats); /* after each batch */
    /* row: its file and line, and its key where it has one; the message names file and line. */
    void (*bad_row)(void *context, const struct row *row, const struct error *err);
    /* Its key came before in this run: it goes on and replaces the earlier one. The reader has to
     * be asked to note it (reader_options). */
    void (*repeated_row)(void *context, const struct row *row);
    void (*deleted)(void *context, const char *key); /* what the files do not have any more */
};

/* All zeros: the usual. */
struct ingest_options {
    /* Set by another thread or a signal handler ends the run after the batch in hand: what was
     * encoded is committed, and the error is ERROR_STOPPED. May be NULL. */
    const atomic_bool *stop;
    /* Go on from the last commit of a run over the same paths that was broken off: what it stored
     * is not read again, but files that were changed meanwhile are. */
    bool resume;
    /* At the end, delete what came from the same paths in an earlier run and is not there any more
     * (follow.h). Everything is read for that, resume or not. ERROR_INVALID for pipes. */
    bool delete_missing;
    bool force; /* also when that is most of it */
};

/* index and model (NULL: none) are borrowed and must agree; pool may be NULL. One ingest for an
 * index. */
bool ingest_open(struct index *index, const struct model *model, struct pool *pool,
                 struct ingest **out, struct error *err);
void ingest_close(struct ingest *ingest);

/* For who ingests now and then, into several indexes with one encoder: turns to another index, or
 * (NULL) to none, and closes the writer of the one before. It must be one that suits. */
bool ingest_suits(const struct ingest *ingest, const struct index *index);
void ingest_turn(struct ingest *ingest, struct index *index);

/* Everything the reader has, committed, and the dense index brought up to date. options NULL: the
 * usual. */
bool ingest_run(struct ingest *ingest, struct reader *reader, const struct ingest_options *options,
                const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                struct error *err);

enum ingest_outcome { INGEST_STORED, INGEST_UNCHANGED, INGEST_BAD };

struct ingest_verdict {
    enum ingest_outcome outcome;
    struct error err; /* of a bad one */
};

/* Rows that come as a request: encoded, put and committed when it returns true, a verdict each.
 * False: the disk failed; of more than four thousand rows the first may be stored all the same.
 * verdicts_out: [n]. */
bool ingest_rows(struct ingest *ingest, const struct row *rows, size_t n,
                 struct ingest_verdict *verdicts_out, struct error *err);

/* For whoever has time between requests: some 20 ms of merging, committed. *more_out: there is more
 * to do. */
bool ingest_merge(struct ingest *ingest, bool *more_out, struct error *err);

#endif
