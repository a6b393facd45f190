/* stages.h - what the stages of an ingest (pipeline.h) hand to each other; for its own files.
 *
 *   intake.c    rows -> a window: hashes, what is unchanged, the passage to encode of the others
 *   encode.c    passages -> encodings: sorted by length, batches of like length
 *   store.c     encodings -> records, in the order the rows were read; a commit
 *   pipeline.c  drives them, from a reader or for a request */
#ifndef TERCET_INGEST_STAGES_H
#define TERCET_INGEST_STAGES_H

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/encoder.h"
#include "index/writer.h"
#include "ingest/pipeline.h"

struct ingest {
    struct index *index;
    struct index_settings settings; /* of every index that suits */
    struct writer *writer;
    struct encoder *encoder;
    struct arena rows;      /* the window's rows */
    struct arena encodings; /* the window's representations */
    struct arena scratch;   /* one record's sparse vector */
    struct map newest;      /* key -> its last row in the window */
};

/* ---- a window: rows that are encoded together and committed together ---- */

enum row_state {
    ROW_SETTLED, /* nothing to compute: unchanged, bad, or replaced by a later row */
    ROW_WAITING, /* to be encoded; stays so when a stop comes first */
    ROW_ENCODED,
};

struct window {
    struct row *rows; /* [n] */
    enum row_state *states;
    struct ingest_verdict *verdicts;
    struct encoder_text *passages;
    struct encoding *encodings;
    uint64_t *hashes;
    size_t n;
    size_t stored_n;               /* rows before them that were stored while the reader waited */
    double began_ms;               /* when the first row came */
    size_t read_bytes, held_bytes; /* that the encoder will read, about; that lie in memory */
};

/* What a person is told while it runs. */
struct progress {
    const struct ingest_callbacks *callbacks;
    const atomic_bool *stop; /* may be NULL */
    struct ingest_stats *stats;
    double began;
    /* The window's part of the input, which counts as read as far as it is encoded. */
    uint64_t window_begin, window_end;
    size_t window_texts_bytes, window_encoded_bytes;
};

bool stop_asked(const struct progress *progress);
void progress_tell(struct progress *progress);

/* A row that cannot be stored is bad and the rest goes on; a disk that fails is everybody's. */
bool is_rows_own_fault(const struct error *err);

/* ---- intake ---- */

/* Empty, in ingest->rows. */
struct window window_new(struct ingest *ingest);
/* Stored: begins again with the arena as it is, in which a reader may be in the middle of a row. */
void window_again(struct ingest *ingest, struct window *window);
bool window_is_full(const struct window *window);

/* Unchanged rows are settled, and those that brought their representations are ROW_ENCODED; the
 * others get their passage. The row's strings must live as long as the window. */
void window_add(struct ingest *ingest, struct window *window, const struct row *row);

/* Bytes of a passage that the encoder will read, about. */
size_t passage_read_bytes(const struct ingest *ingest, const struct encoder_text *passage);

/* ---- encode ---- */

/* Every row that waits, shortest first. A stop leaves the rest of the window waiting. False: not
 * the fault of a row. */
bool window_encode(struct ingest *ingest, struct window *window, struct progress *progress,
                   struct error *err);

/* ---- store ---- */

/* In the order they were read, so that docids do not depend on lengths; then a commit. */
bool window_put(struct ingest *ingest, struct window *window, struct error *err);

#endif
