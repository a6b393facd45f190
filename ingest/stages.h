/* stages.h - what the stages of an ingest (pipeline.h) hand to each other; for its own files.
 *
 *   intake.c    rows -> a window: hashes, what is unchanged
 *   cut.c       the others -> pieces: what the encoder will read, one a document or one a passage
 *   encode.c    pieces -> encodings: sorted by length, batches of like length
 *   store.c     encodings -> records, in the order the rows were read; a commit
 *   relay.c     hands windows from stage to stage, and waits
 *   run.c       drives them from a reader, each stage a thread
 *   pipeline.c  for a request, one by one
 *
 * A window is one stage's at a time, and there are WINDOWS_N of them: that is what bounds memory.
 * Only the map of its keys is read by others: it is the intake's whoever has the window. */
#ifndef TERCET_INGEST_STAGES_H
#define TERCET_INGEST_STAGES_H

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "engine/encoder.h"
#include "index/writer.h"
#include "ingest/follow.h"
#include "ingest/origins.h"
#include "ingest/pipeline.h"

/* One is filled, one encoded, one stored. */
enum { WINDOWS_N = 3 };

/* ---- a window: rows that are encoded together and committed together ---- */

enum row_state {
    ROW_SETTLED, /* nothing to compute: unchanged, bad, or replaced by a later row */
    ROW_WAITING, /* to be encoded; stays so when a stop comes first */
    ROW_ENCODED,
};

/* What else there is to say of a row; any of them. */
enum {
    ROW_IN_FLIGHT = 1, /* its key is in a window that may not be stored yet: store.c asks again */
    ROW_REPEATED = 2,  /* its key came before in this run */
    ROW_NO_ROW = 4,    /* the reader found none there; the message says where */
    ROW_SAME_FILE = 8, /* none either: a file that was not read, as it is known */
};

/* A text that the encoder reads for itself: a document's, or a passage's. */
struct piece {
    struct encoder_text text;
    size_t row;
    /* Of a chunked index: what the record gets, in the window's vectors; token vectors as codes,
     * since a document may have a million. */
    struct record_passage made;
    struct lexical lexical; /* its learned weights */
};

/* A row's pieces. */
struct span {
    size_t first, n;
    size_t left; /* not encoded yet */
};

/* All zeros is a valid empty one. */
struct window {
    struct row *rows; /* [n], as the others; the memory is kept from one filling to the next */
    enum row_state *states;
    unsigned *notes; /* ROW_IN_FLIGHT, .. */
    struct ingest_verdict *verdicts;
    struct span *spans;
    struct encoding *encodings; /* of a chunked index: the lexical part only */
    uint64_t *hashes;
    struct reader_origin *origins; /* root 0: it came as a request, or through a pipe */
    size_t n;
    struct piece *pieces; /* [pieces_n], in the order of rows */
    size_t pieces_n, pieces_cap;
    size_t rows_max;
    size_t stored_n;                 /* rows before them that were stored while the reader waited */
    double began_ms;                 /* when the first row came */
    size_t read_bytes, held_bytes;   /* that the encoder will read, about; that lie in memory */
    struct map newest;               /* key -> its last row in the window */
    struct arena texts;              /* the rows, as the reader made them, and their passages */
    struct arena vectors;            /* their representations */
    struct snapshot *stored;         /* what is stored already; NULL until the first row */
    uint64_t input_end, input_total; /* how far the reader was behind it, in bytes */
    struct reader_place place;       /* of the reader behind it */
    bool has_place;
    bool at_end;  /* there is nothing behind it */
    bool is_last; /* at the end, or at a stop */
    bool is_lent; /* the intake wants it back, as the reader is in the middle of a row in it */
};

/* What texts are cut with. */
struct cutter {
    const struct model *model;  /* NULL: they are not, words are counted */
    struct analyzer *analyzer;  /* of whole texts; NULL: weights are learned */
    uint32_t overhead;          /* special tokens and the instruction's */
    struct token_range *ranges; /* [ranges_n] of the text at hand */
    size_t ranges_n, ranges_cap;
    struct arena scratch;
};

struct ingest {
    struct index *index;
    struct index_settings settings; /* of every index that suits, but for how texts are cut */
    struct writer *writer;
    struct encoder *encoder; /* NULL: there is no model, rows bring what is theirs */
    struct cutter cutter; /* the intake's */
    struct arena batch;   /* what the encoder made of a batch of passages */
    struct arena scratch; /* one record's sparse vector */
    struct origins origins;
    struct follow *follow;    /* NULL: nobody asks what is missing */
    uint64_t began_ns;        /* of the run, or of the one that it goes on with */
    bool is_checkpoint_there; /* checkpoint.c */
    struct window windows[WINDOWS_N];
    size_t window_rows; /* at most in a window; 0, but in tests: as many as it has room for */
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
    /* Called between batches, so that what was stored meanwhile is told; may be NULL. */
    void (*between)(void *context);
    void *between_context;
};

bool stop_asked(const struct progress *progress);
void progress_tell(struct progress *progress);

/* A row that cannot be stored is bad and the rest goes on; a disk that fails is everybody's. */
bool is_rows_own_fault(const struct error *err);

/* ---- intake ---- */

/* Empties it. */
void window_begin(const struct ingest *ingest, struct window *window);
void window_done(struct window *window);

/* Stored: begins again with the texts as they are, in which a reader may be in the middle of a
 * row. */
void window_again(struct window *window);
bool window_is_full(const struct window *window);

/* Unchanged rows are settled, and those that brought their representations are ROW_ENCODED; the
 * others get their pieces. The row's strings lie in window->texts, or outlive it. */
bool window_add(struct ingest *ingest, struct window *window, const struct row *row,
                struct error *err);

/* What the reader could not read takes a place, too, so that it is told in its turn. */
void window_add_bad(struct window *window, const struct row *row, const struct error *why);

/* A file that is as it was known: what came from it is there still. */
void window_add_same(struct window *window, const struct row *file);

/* Behind its last row: what the intake alone needs is let go. */
void window_end(struct window *window);

/* Bytes of a piece that the encoder will read, about. */
size_t piece_read_bytes(const struct ingest *ingest, const struct piece *piece);

/* ---- cut ---- */

bool cutter_open(struct cutter *cutter, const struct model *model,
                 const struct index_settings *settings, struct error *err);
void cutter_close(struct cutter *cutter); /* a zeroed one is fine */

/* Row i gets its pieces, of a chunked index its words as well. False: the row's own fault. */
bool cut_row(struct ingest *ingest, struct window *window, size_t i, struct error *err);

/* Row i's words, where the index counts words, and nothing else. */
bool count_words(struct ingest *ingest, struct window *window, size_t i, struct error *err);

/* ---- encode ---- */

/* Every row that waits, shortest first. A stop leaves the rest of the window waiting. False: not
 * the fault of a row. */
bool window_encode(struct ingest *ingest, struct window *window, struct progress *progress,
                   struct error *err);

/* ---- store ---- */

/* In the order they were read, so that docids do not depend on lengths; then a commit. After a
 * failure the writer is closed, and ingest->writer NULL. */
bool window_store(struct ingest *ingest, struct window *window, struct error *err);

/* ---- where a run can go on: checkpoint.c ---- */

/* With the window's commit: everything up to its place is stored. Behind the last window there is
 * nothing to go on with. */
bool checkpoint_write(struct ingest *ingest, const struct window *window, struct error *err);

/* The reader goes to the place of the run that was broken off, where there is one and it is asked
 * for. *resumed_out tells. */
bool checkpoint_read(struct ingest *ingest, struct reader *reader, bool resume, bool *resumed_out,
                     struct error *err);

/* ---- all of them at once: run.c ---- */

/* Everything the reader has, or up to the stop. */
bool run_stages(struct ingest *ingest, struct reader *reader, struct progress *progress,
                struct error *err);

#endif
