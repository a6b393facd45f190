/* An ingest from a reader: every stage at once.
 *
 *   intake thread    reads, hashes, makes passages: the next window
 *   this thread      encodes this one, by the pool; tells what was stored
 *   store thread     puts and commits the last one; merges while the input is waited for
 *
 * Windows stay in the order they were read from stage to stage, so the index is the same as if one
 * thread had done it all: what a row compares itself with may be in a window on its way (intake.c),
 * and then the store asks again (store.c). */
#include <signal.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "ingest/relay.h"
#include "ingest/stages.h"

enum {
    /* A row of a slow stream is durable and found so late at most. */
    COMMIT_MS = 1000,
    /* A stop is seen so late while the input is waited for. */
    STOP_SEEN_MS = 100,
};

struct run {
    struct ingest *ingest;
    struct reader *reader;
    struct progress *progress;
    struct relay relay;
    bool is_idle; /* the intake's: what it told the relay last */
};

/* ---- intake ---- */

static void set_idle(struct run *run, bool idle) {
    if (run->is_idle != idle)
        relay_set_idle(&run->relay, idle);
    run->is_idle = idle;
}

/* Between rows that are long in coming. */
struct waiting {
    struct run *run;
    struct window *window;
};

/* Behind its last row. */
static void window_hand_on(struct run *run, struct window *window) {
    window_end(window);
    reader_progress(run->reader, &window->input_end, &window->input_total);
    window->has_place = reader_tell(run->reader, &window->place);
}

/* The window is handed on when its time has come, and waited for: the reader may be in the middle
 * of a row in its arena. After that there is time for merging. */
static int while_waiting(void *context) {
    struct waiting *waiting = context;
    struct window *window = waiting->window;
    struct relay *relay = &waiting->run->relay;
    double left_ms = window->began_ms + COMMIT_MS - clock_now_ms();
    if (stop_asked(waiting->run->progress) || relay_is_broken(relay))
        return UNPACK_NO_MORE;
    if (window->n == 0) {
        set_idle(waiting->run, true);
        return STOP_SEEN_MS;
    }
    if (left_ms > 0)
        return left_ms < STOP_SEEN_MS ? (int)left_ms + 1 : STOP_SEEN_MS;
    window_hand_on(waiting->run, window);
    window->is_lent = true;
    relay_put(relay, RELAY_READ, window);
    if (!relay_take(relay, RELAY_LENT))
        return UNPACK_NO_MORE;
    window_again(window);
    return 0;
}

/* Fills a window from the reader. */
static bool window_read(struct run *run, struct window *window, struct error *err) {
    struct waiting waiting = {run, window};
    enum reader_state state = READER_ROW;
    bool ok = true;
    reader_on_waiting(run->reader, (struct unpack_waiting){while_waiting, &waiting});
    while (ok && state != READER_END && !window_is_full(window) && !stop_asked(run->progress)) {
        struct row row;
        struct error bad;
        state = reader_next(run->reader, &window->texts, &row, &bad);
        set_idle(run, false);
        if (state == READER_ROW) {
            ok = window_add(run->ingest, window, &row, err);
            if (ok && reader_is_repeated(run->reader))
                window->notes[window->n - 1] |= ROW_REPEATED;
        } else if (state == READER_BAD && bad.code == ERROR_STOPPED) {
            break; /* it was waiting for input */
        } else if (state == READER_SAME) {
            window_add_same(window, &row);
        } else if (state == READER_BAD) {
            window_add_bad(window, &row, &bad);
        }
        if (ok && state != READER_END)
            window->origins[window->n - 1] = reader_origin_of(run->reader);
    }
    reader_on_waiting(run->reader, (struct unpack_waiting){0});
    window_hand_on(run, window);
    window->at_end = state == READER_END;
    window->is_last = window->at_end || stop_asked(run->progress);
    return ok;
}

static void *intake(void *context) {
    struct run *run = context;
    struct window *window;
    struct error err;
    bool more = true;
    while (more && (window = relay_take(&run->relay, RELAY_FREE))) {
        window_begin(run->ingest, window);
        if (!window_read(run, window, &err))
            relay_break(&run->relay, &err);
        more = !window->is_last;
        relay_put(&run->relay, RELAY_READ, window);
    }
    return NULL;
}

/* ---- store ---- */

static void *store(void *context) {
    struct run *run = context;
    struct ingest *ingest = run->ingest;
    struct error err;
    bool ok = true, merging = true, more = true;
    while (ok && more) {
        if (merging && !relay_wait_busy(&run->relay, RELAY_ENCODED)) {
            ok = writer_merge(ingest->writer, &merging, &err);
            continue;
        }
        struct window *window = relay_take(&run->relay, RELAY_ENCODED);
        if (!window)
            break;
        more = !window->is_last;
        ok = window_store(ingest, window, &err);
        merging = true;
        index_let_go(ingest->index);
        if (ok)
            relay_put(&run->relay, RELAY_STORED, window);
    }
    if (!ok)
        relay_break(&run->relay, &err);
    return NULL;
}

/* ---- telling ---- */

static void tell_bad(const struct progress *progress, const struct row *row,
                     const struct error *err) {
    progress->stats->bad++;
    if (progress->callbacks && progress->callbacks->bad_row)
        progress->callbacks->bad_row(progress->callbacks->context, row, err);
}

static void window_tell(const struct window *window, struct progress *progress) {
    const struct ingest_callbacks *callbacks = progress->callbacks;
    for (size_t i = 0; i < window->n; i++) {
        const struct row *row = &window->rows[i];
        struct error err = window->verdicts[i].err;
        if ((window->notes[i] & ROW_REPEATED) && callbacks && callbacks->repeated_row)
            callbacks->repeated_row(callbacks->context, row);
        if (window->states[i] == ROW_WAITING)
            continue;
        switch (window->verdicts[i].outcome) {
        case INGEST_STORED: progress->stats->stored++; break;
        case INGEST_UNCHANGED:
            progress->stats->unchanged +=
                !(window->notes[i] & ROW_SAME_FILE) || window->origins[i].file == 0;
            break;
        case INGEST_BAD:
            if (!(window->notes[i] & ROW_NO_ROW)) {
                if (row->line)
                    error_wrap(&err, "%s:%zu: ", row->file, row->line);
                else
                    error_wrap(&err, "%s: ", row->file);
            }
            tell_bad(progress, row, &err);
            break;
        }
    }
}

/* False: it was the last one. */
static bool tell_and_free(struct run *run, struct window *window) {
    bool is_last = window->is_last;
    window_tell(window, run->progress);
    relay_put(&run->relay, window->is_lent ? RELAY_LENT : RELAY_FREE, window);
    return !is_last;
}

static void tell_stored(void *context) {
    struct run *run = context;
    struct window *window;
    while ((window = relay_try(&run->relay, RELAY_STORED)))
        tell_and_free(run, window);
}

/* ---- all of it ---- */

static bool encode_window(struct run *run, struct window *window, struct error *err) {
    struct progress *progress = run->progress;
    progress->window_begin = progress->window_end;
    progress->window_end = window->input_end;
    progress->stats->bytes_total = window->input_total;
    if (!window_encode(run->ingest, window, progress, err))
        return false;
    relay_put(&run->relay, RELAY_ENCODED, window);
    return true;
}

static void encode_and_tell(struct run *run) {
    struct window *window;
    enum relay_place place;
    struct error err;
    bool more = true;
    while (more && (window = relay_take_either(&run->relay, RELAY_STORED, RELAY_READ, &place))) {
        if (place == RELAY_STORED) {
            more = tell_and_free(run, window);
            progress_tell(run->progress);
        } else if (!encode_window(run, window, &err)) {
            relay_break(&run->relay, &err);
        }
    }
    relay_break(&run->relay, NULL);
}

/* Signals are for the thread that asked for the ingest. */
static bool start(pthread_t *thread, void *(*work)(void *), struct run *run, struct error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, work, run);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed || error_set(err, ERROR_IO, "no thread could be started for reading or storing");
}

bool run_stages(struct ingest *ingest, struct reader *reader, struct progress *progress,
                struct error *err) {
    struct run run = {.ingest = ingest, .reader = reader, .progress = progress};
    pthread_t intake_thread, store_thread;
    struct window *window;
    progress->between = tell_stored;
    progress->between_context = &run;
    relay_init(&run.relay);
    for (size_t w = 0; w < WINDOWS_N; w++) {
        window_begin(ingest, &ingest->windows[w]);
        relay_put(&run.relay, RELAY_FREE, &ingest->windows[w]);
    }
    bool storing = start(&store_thread, store, &run, err);
    bool reading = storing && start(&intake_thread, intake, &run, err);
    if (!reading)
        relay_break(&run.relay, err);
    else
        encode_and_tell(&run);
    if (reading)
        pthread_join(intake_thread, NULL);
    if (storing)
        pthread_join(store_thread, NULL);
    while ((window = relay_try(&run.relay, RELAY_STORED))) /* stored before a failure */
        window_tell(window, progress);
    bool ok = !run.relay.why.code;
    if (!ok)
        *err = run.relay.why;
    progress->between = NULL;
    progress->between_context = NULL;
    relay_done(&run.relay);
    for (size_t w = 0; w < WINDOWS_N; w++)
        window_done(&ingest->windows[w]);
    return ok;
}
