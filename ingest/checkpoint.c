/* Where a run that is broken off can go on: a note that each window's commit moves on.
 *
 * The note has no checksum of its own (the store's is behind it) and is only ever a hint: a place
 * that does not fit the files any more is not gone to, and then everything is read again, which is
 * slower and as right. */
#include <string.h>
#include <time.h>

#include "ingest/stages.h"

static const char note_name[] = "checkpoint";

enum {
    CHECKPOINT_VERSION = 1,
    /* The clock of file times lags behind the other by some milliseconds. */
    CLOCK_MARGIN_NS = 1000000000,
};

/* On disk as it lies here, little-endian (64 bytes). */
struct checkpoint {
    uint64_t version;
    uint64_t began_ns; /* files changed since are read again */
    struct reader_place place;
};
_Static_assert(sizeof(struct checkpoint) == 64, "no padding");

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nothing moved on in the index: then neither does the note, so that a run over unchanged files
 * writes nothing. A row that waits was left behind by a stop. */
static bool is_worth_it(const struct window *window) {
    bool stored = false;
    for (size_t i = 0; i < window->n; i++) {
        if (window->states[i] == ROW_WAITING)
            return false;
        stored |= window->states[i] == ROW_ENCODED && window->verdicts[i].outcome == INGEST_STORED;
    }
    return stored;
}

bool checkpoint_write(struct ingest *ingest, const struct window *window, struct error *err) {
    struct checkpoint checkpoint = {CHECKPOINT_VERSION, ingest->began_ns, window->place};
    if (window->at_end && ingest->is_checkpoint_there) {
        ingest->is_checkpoint_there = false;
        return writer_note(ingest->writer, note_name, NULL, 0, err);
    }
    if (window->at_end || !window->has_place || !is_worth_it(window))
        return true;
    ingest->is_checkpoint_there = true;
    return writer_note(ingest->writer, note_name, &checkpoint, sizeof checkpoint, err);
}

bool checkpoint_read(struct ingest *ingest, struct reader *reader, bool resume, bool *resumed_out,
                     struct error *err) {
    struct checkpoint checkpoint;
    struct buf note = {0};
    struct snapshot *snapshot;
    *resumed_out = false;
    ingest->began_ns = now_ns() - CLOCK_MARGIN_NS;
    if (!snapshot_open(ingest->index, &snapshot, err))
        return false;
    bool ok = snapshot_note(snapshot, note_name, &note, err) || err->code == ERROR_CORRUPT;
    snapshot_close(snapshot);
    ingest->is_checkpoint_there = ok && note.len > 0;
    if (ok && resume && note.len == sizeof checkpoint) {
        memcpy(&checkpoint, note.data, sizeof checkpoint);
        *resumed_out = checkpoint.version == CHECKPOINT_VERSION &&
                       reader_go_on(reader, &checkpoint.place, checkpoint.began_ns);
        if (*resumed_out)
            ingest->began_ns = checkpoint.began_ns;
    }
    buf_done(&note);
    return ok;
}
