#include "ingest/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/model.h"
#include "ingest/settings.h"
#include "ingest/stages.h"

/* A row of a slow stream is durable and found so late at most. */
enum { COMMIT_MS = 1000 };

/* ---- open and close ---- */

bool ingest_open(struct index *index, const struct model *model, struct pool *pool,
                 struct ingest **out, struct error *err) {
    const struct index_settings *settings = index_settings_of(index);
    struct encoder_options options = {
        .modes = (settings->dense_dim ? ENCODE_DENSE : 0u) |
                 (settings->lexical != INDEX_LEXICAL_NONE ? ENCODE_LEXICAL : 0u) |
                 (settings->multi_dim ? ENCODE_MULTI : 0u),
        .instruction = settings->passage_instruction,
        .one_pass = true, /* documents are too many to be read twice */
        .unit_length = true,
        .length_max = settings->length_max,
        .analyzer = settings->analyzer,
    };
    const struct ingest_choices any = {0};
    if (!ingest_settings_agree(index_folder(index), settings, model_info(model), &any, err))
        return false;
    struct ingest *ingest = mem_zalloc(1, sizeof *ingest);
    ingest->index = index;
    ingest->settings = *settings;
    if (!encoder_open(model, pool, &options, &ingest->encoder, err) ||
        !writer_open(index, &ingest->writer, err)) {
        ingest_close(ingest);
        return false;
    }
    *out = ingest;
    return true;
}

void ingest_close(struct ingest *ingest) {
    if (!ingest)
        return;
    writer_close(ingest->writer);
    encoder_close(ingest->encoder);
    arena_done(&ingest->rows);
    arena_done(&ingest->encodings);
    arena_done(&ingest->scratch);
    map_done(&ingest->newest);
    free(ingest);
}

bool ingest_suits(const struct ingest *ingest, const struct index *index) {
    const struct index_settings *a = &ingest->settings, *b = index_settings_of(index);
    return strcmp(a->fingerprint, b->fingerprint) == 0 && strcmp(a->analyzer, b->analyzer) == 0 &&
           strcmp(a->passage_instruction, b->passage_instruction) == 0 &&
           a->length_max == b->length_max && a->dense_dim == b->dense_dim &&
           a->multi_dim == b->multi_dim && a->lexical == b->lexical;
}

void ingest_turn(struct ingest *ingest, struct index *index) {
    writer_close(ingest->writer);
    ingest->writer = NULL; /* writer_ready opens one */
    ingest->index = index;
}

/* ---- what the stages share ---- */

bool stop_asked(const struct progress *progress) {
    return progress->stop && atomic_load(progress->stop);
}

void progress_tell(struct progress *progress) {
    double encoded = progress->window_texts_bytes ? (double)progress->window_encoded_bytes /
                                                        (double)progress->window_texts_bytes
                                                  : 1;
    progress->stats->bytes_read =
        progress->window_begin +
        (uint64_t)(encoded * (double)(progress->window_end - progress->window_begin));
    progress->stats->seconds = clock_now_s() - progress->began;
    if (progress->callbacks && progress->callbacks->progress)
        progress->callbacks->progress(progress->callbacks->context, progress->stats);
}

bool is_rows_own_fault(const struct error *err) {
    return err->code == ERROR_INVALID || err->code == ERROR_LIMIT;
}

static bool window_store(struct ingest *ingest, struct window *window, struct progress *progress,
                         struct error *err) {
    bool ok = window_encode(ingest, window, progress, err) && window_put(ingest, window, err);
    arena_reset(&ingest->encodings);
    if (!ok) {
        /* Half a window must not go along with the next commit; and the transaction has to end on
         * the thread that began it, which need not be the one that calls ingest_close. */
        writer_close(ingest->writer);
        ingest->writer = NULL;
    }
    return ok;
}

/* ---- from a reader ---- */

static void tell_bad(const struct progress *progress, const struct row *row,
                     const struct error *err) {
    progress->stats->bad++;
    if (progress->callbacks && progress->callbacks->bad_row)
        progress->callbacks->bad_row(progress->callbacks->context, row, err);
}

static void window_count(const struct window *window, struct progress *progress) {
    for (size_t i = 0; i < window->n; i++) {
        const struct row *row = &window->rows[i];
        struct error err = window->verdicts[i].err;
        if (window->states[i] == ROW_WAITING)
            continue;
        switch (window->verdicts[i].outcome) {
        case INGEST_STORED: progress->stats->stored++; break;
        case INGEST_UNCHANGED: progress->stats->unchanged++; break;
        case INGEST_BAD:
            if (row->line)
                error_wrap(&err, "%s:%zu: ", row->file, row->line);
            else
                error_wrap(&err, "%s: ", row->file);
            tell_bad(progress, row, &err);
            break;
        }
    }
}

/* Between rows that are long in coming. */
struct waiting {
    struct ingest *ingest;
    struct window *window;
    struct progress *progress;
    bool failed;
    struct error *err;
};

/* The window is stored when its time has come, and begins again with the arena as it is: the reader
 * may be in the middle of a row. After that there is time for merging. */
static int while_waiting(void *context) {
    struct waiting *waiting = context;
    struct window *window = waiting->window;
    double left_ms = window->began_ms + COMMIT_MS - clock_now_ms();
    bool more = false;
    if (stop_asked(waiting->progress))
        return UNPACK_NO_MORE;
    if (window->n == 0) {
        waiting->failed = !writer_merge(waiting->ingest->writer, &more, waiting->err);
        return waiting->failed ? UNPACK_NO_MORE : more ? 0 : COMMIT_MS;
    }
    if (left_ms > 0)
        return (int)left_ms + 1;
    waiting->failed = !window_store(waiting->ingest, window, waiting->progress, waiting->err);
    if (waiting->failed)
        return UNPACK_NO_MORE;
    window_count(window, waiting->progress);
    progress_tell(waiting->progress);
    window_again(waiting->ingest, window);
    return 0;
}

/* Fills a window from the reader. *more_out false: there is no more to come. */
static bool window_read(struct ingest *ingest, struct reader *reader, struct progress *progress,
                        struct window *window, bool *more_out, struct error *err) {
    struct waiting waiting = {ingest, window, progress, false, err};
    reader_on_waiting(reader, (struct unpack_waiting){while_waiting, &waiting});
    enum reader_state state = READER_ROW;
    while (state != READER_END && !window_is_full(window) && !stop_asked(progress)) {
        struct row row;
        struct error bad;
        state = reader_next(reader, &ingest->rows, &row, &bad);
        if (state == READER_ROW)
            window_add(ingest, window, &row);
        else if (waiting.failed ||
                 (state == READER_BAD && bad.code == ERROR_STOPPED && stop_asked(progress)))
            break; /* the signal that asks us to stop broke a read off */
        else if (state == READER_BAD)
            tell_bad(progress, &row, &bad);
    }
    reader_on_waiting(reader, (struct unpack_waiting){0});
    *more_out = state != READER_END && !stop_asked(progress);
    return !waiting.failed;
}

/* After a failure the writer was closed with all it held; the next call begins afresh. */
static bool writer_ready(struct ingest *ingest, struct error *err) {
    return ingest->writer || writer_open(ingest->index, &ingest->writer, err);
}

bool ingest_run(struct ingest *ingest, struct reader *reader, const atomic_bool *stop,
                const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                struct error *err) {
    struct progress progress = {
        .callbacks = callbacks, .stop = stop, .stats = stats, .began = clock_now_s()};
    if (!writer_ready(ingest, err))
        return false;
    for (bool more = true; more;) {
        struct window window = window_new(ingest);
        bool ok = window_read(ingest, reader, &progress, &window, &more, err);
        progress.window_begin = progress.window_end;
        reader_progress(reader, &progress.window_end, &stats->bytes_total);
        ok = ok && window_store(ingest, &window, &progress, err);
        if (ok)
            window_count(&window, &progress);
        arena_reset(&ingest->rows);
        if (!ok)
            return false;
        progress_tell(&progress);
        more = more && !stop_asked(&progress);
    }
    if (stop_asked(&progress))
        return error_set(err, ERROR_STOPPED,
                         "stopped; what was stored so far is committed, and the same command goes "
                         "on from there");
    for (bool more = true; more && !stop_asked(&progress);)
        if (!writer_merge(ingest->writer, &more, err))
            return false;
    if (!writer_build_dense(ingest->writer, 0, err))
        return false;
    progress_tell(&progress);
    return true;
}

/* ---- from a request ---- */

bool ingest_merge(struct ingest *ingest, bool *more_out, struct error *err) {
    return writer_ready(ingest, err) && writer_merge(ingest->writer, more_out, err);
}

bool ingest_rows(struct ingest *ingest, const struct row *rows, size_t n,
                 struct ingest_verdict *verdicts_out, struct error *err) {
    struct ingest_stats stats = {0};
    struct progress progress = {.stats = &stats, .began = clock_now_s()};
    bool ok = writer_ready(ingest, err);
    for (size_t from = 0; ok && from < n;) {
        struct window window = window_new(ingest);
        size_t at = from;
        while (at < n && !window_is_full(&window))
            window_add(ingest, &window, &rows[at++]);
        ok = window_store(ingest, &window, &progress, err);
        if (ok)
            memcpy(verdicts_out + from, window.verdicts, window.n * sizeof *verdicts_out);
        from = at;
        arena_reset(&ingest->rows);
    }
    if (ok)
        index_tend(ingest->index); /* a request does not wait for a dense generation */
    return ok;
}
