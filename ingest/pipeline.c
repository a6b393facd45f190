#include "ingest/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/model.h"
#include "ingest/settings.h"
#include "ingest/stages.h"

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
    if (!ingest_settings_agree(index_folder(index), settings, model ? model_info(model) : NULL,
                               &any, err))
        return false;
    struct ingest *ingest = mem_zalloc(1, sizeof *ingest);
    ingest->index = index;
    ingest->settings = *settings;
    if ((model && !encoder_open(model, pool, &options, &ingest->encoder, err)) ||
        !cutter_open(&ingest->cutter, model, settings, err) ||
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
    cutter_close(&ingest->cutter);
    arena_done(&ingest->batch);
    arena_done(&ingest->scratch);
    origins_done(&ingest->origins);
    for (size_t w = 0; w < WINDOWS_N; w++)
        window_done(&ingest->windows[w]);
    free(ingest);
}

bool ingest_suits(const struct ingest *ingest, const struct index *index) {
    const struct index_settings *a = &ingest->settings, *b = index_settings_of(index);
    return strcmp(a->fingerprint, b->fingerprint) == 0 && strcmp(a->analyzer, b->analyzer) == 0 &&
           strcmp(a->passage_instruction, b->passage_instruction) == 0 &&
           a->length_max == b->length_max && a->dense_dim == b->dense_dim &&
           a->multi_dim == b->multi_dim && a->pool_tokens == b->pool_tokens &&
           a->lexical == b->lexical;
}

/* Between requests no more is held than a usual one needs, however large one was. */
static void rest(struct ingest *ingest) {
    enum { KEEP_BYTES_MAX = 1 << 20 };
    for (size_t w = 0; w < WINDOWS_N; w++)
        arena_trim(&ingest->windows[w].texts, KEEP_BYTES_MAX);
    arena_trim(&ingest->batch, KEEP_BYTES_MAX);
    arena_trim(&ingest->scratch, KEEP_BYTES_MAX);
    arena_trim(&ingest->cutter.scratch, KEEP_BYTES_MAX);
}

void ingest_turn(struct ingest *ingest, struct index *index) {
    writer_close(ingest->writer);
    ingest->writer = NULL; /* writer_ready opens one */
    if (!index)
        rest(ingest);
    ingest->index = index;
    if (index)
        ingest->settings = *index_settings_of(index); /* of another, texts are cut otherwise */
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

/* ---- from a reader ---- */

/* After a failure the writer was closed with all it held; the next call begins afresh. */
static bool writer_ready(struct ingest *ingest, struct error *err) {
    return ingest->writer || writer_open(ingest->index, &ingest->writer, err);
}

static bool run_and_delete(struct ingest *ingest, struct reader *reader,
                           const struct ingest_options *options, struct progress *progress,
                           struct error *err) {
    struct follow follow = {0};
    bool ok = !options->delete_missing || follow_begin(&follow, ingest->index, err);
    ingest->follow = options->delete_missing ? &follow : NULL;
    ok = ok && run_stages(ingest, reader, progress, err);
    ingest->follow = NULL;
    if (ok && stop_asked(progress))
        ok = error_set(err, ERROR_STOPPED,
                       "stopped; what was stored so far is committed, and the same command goes "
                       "on from there");
    ok = ok && (!options->delete_missing ||
                follow_delete(&follow, ingest->index, ingest->writer, reader, options,
                              progress->callbacks, progress->stats, err));
    follow_done(&follow);
    return ok;
}

bool ingest_run(struct ingest *ingest, struct reader *reader, const struct ingest_options *options,
                const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                struct error *err) {
    static const struct ingest_options usual;
    options = options ? options : &usual;
    struct progress progress = {
        .callbacks = callbacks, .stop = options->stop, .stats = stats, .began = clock_now_s()};
    if (options->delete_missing && !reader_can_be_followed(reader))
        return error_set(err, ERROR_INVALID,
                         "what is missing cannot be told of standard input or a pipe");
    if (!writer_ready(ingest, err) ||
        !checkpoint_read(ingest, reader, options->resume && !options->delete_missing,
                         &stats->resumed, err) ||
        !run_and_delete(ingest, reader, options, &progress, err))
        return false;
    for (bool more = true; more && !stop_asked(&progress); index_let_go(ingest->index))
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
    struct window *window = &ingest->windows[0];
    for (size_t at = 0; ok && at < n;) {
        size_t from = at;
        window_begin(ingest, window);
        while (ok && at < n && !window_is_full(window))
            ok = window_add(ingest, window, &rows[at++], err);
        window_end(window);
        ok = ok && window_encode(ingest, window, &progress, err) &&
             window_store(ingest, window, err);
        if (ok)
            memcpy(verdicts_out + from, window->verdicts, window->n * sizeof *verdicts_out);
    }
    if (ok)
        index_tend(ingest->index); /* a request does not wait for a dense generation */
    return ok;
}
