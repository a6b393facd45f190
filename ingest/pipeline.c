#include "ingest/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/map.h"
#include "engine/base/mem.h"
#include "engine/encoder.h"
#include "engine/model.h"
#include "engine/passage.h"
#include "index/writer.h"
#include "ingest/settings.h"

enum {
    /* A window: enough rows that batches of like length come out of it, and few enough that a
     * commit follows every 20 seconds or so and the token vectors of all of them fit in memory
     * (384 dimensions in f32: 1.5 kB a token, some 250 MB for a window of 150,000 tokens). */
    WINDOW_ROWS = 1024,
    WINDOW_BYTES = 512 << 10,
    /* What a row counts for at most in a window: its text is cut to length_max tokens. */
    TOKEN_BYTES = 8,
    /* Stored text is held whole, however little of it is encoded, and so are unchanged rows. One
     * row may be larger (SOURCE_LINE_BYTES_MAX): it ends its window. */
    WINDOW_HELD_BYTES = 32 << 20,
    /* A row of a slow stream is durable and found so late at most. */
    COMMIT_MS = 1000,
    /* One call of the encoder: enough runs for every core. */
    BATCH_ROWS = 64,
    BATCH_BYTES = 64 << 10,
    /* Longer words are no words, and cannot be a key in the dictionary. */
    WORD_BYTES_MAX = 200,
};

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

static struct window window_new(struct ingest *ingest) {
    enum { n = WINDOW_ROWS };
    struct arena *arena = &ingest->rows;
    map_clear(&ingest->newest);
    return (struct window){
        .rows = ARENA_ZERO(arena, struct row, n),
        .states = ARENA_ZERO(arena, enum row_state, n),
        .verdicts = ARENA_ZERO(arena, struct ingest_verdict, n),
        .passages = ARENA_ZERO(arena, struct encoder_text, n),
        .encodings = ARENA_ZERO(arena, struct encoding, n),
        .hashes = ARENA_ZERO(arena, uint64_t, n),
    };
}

static bool window_is_full(const struct window *window) {
    return window->stored_n + window->n == WINDOW_ROWS || window->read_bytes >= WINDOW_BYTES ||
           window->held_bytes >= WINDOW_HELD_BYTES;
}

/* The last row of a key wins, so an earlier one in the same window is never computed. Its verdict
 * says "stored": it was, and was replaced at once. */
static void window_supersede(struct ingest *ingest, struct window *window, size_t i) {
    const struct row *row = &window->rows[i];
    bool is_new;
    uint32_t *newest = map_put(&ingest->newest, row->key, row->key_len, (uint32_t)i, &is_new);
    if (!is_new)
        window->states[*newest] = ROW_SETTLED;
    *newest = (uint32_t)i;
}

/* Bytes of a row that the encoder will read, about. */
static size_t read_bytes(const struct ingest *ingest, const struct encoder_text *passage) {
    size_t read_max = (size_t)index_settings_of(ingest->index)->length_max * TOKEN_BYTES;
    return passage->len < read_max ? passage->len : read_max;
}

/* What a row brought itself needs no encoding either. */
static void window_add_ready(struct ingest *ingest, struct window *window, size_t i) {
    const struct ready *ready = window->rows[i].ready;
    struct ingest_verdict *verdict = &window->verdicts[i];
    window->held_bytes += ready_bytes(ready);
    if (ready_encoding(ready, index_settings_of(ingest->index), &ingest->rows,
                       &window->encodings[i], &verdict->err))
        window->states[i] = ROW_ENCODED;
    else
        verdict->outcome = INGEST_BAD;
}

/* Unchanged rows need no encoding; the others get their passage. */
static void window_add(struct ingest *ingest, struct window *window, const struct row *row) {
    size_t i = window->n++;
    uint64_t there;
    if (i == 0)
        window->began_ms = clock_now_ms();
    window->rows[i] = *row;
    window->hashes[i] = row_hash(row);
    window->held_bytes += row->title_len + row->text_len + row->fields_len;
    window_supersede(ingest, window, i);
    if (writer_hash(ingest->writer, row->key, row->key_len, &there) && there == window->hashes[i]) {
        window->verdicts[i].outcome = INGEST_UNCHANGED;
        return;
    }
    if (row->ready) {
        window_add_ready(ingest, window, i);
        return;
    }
    struct passage passage =
        passage_of(row->title, row->title_len, row->text, row->text_len, &ingest->rows);
    window->passages[i] = (struct encoder_text){.text = passage.text, .len = passage.len};
    window->states[i] = ROW_WAITING;
    window->held_bytes += passage.len;
    window->read_bytes += read_bytes(ingest, &window->passages[i]);
}

struct sized_row {
    size_t bytes, i;
};

static int compare_sizes(const void *a, const void *b) {
    const struct sized_row *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

struct progress {
    const struct ingest_callbacks *callbacks;
    const atomic_bool *stop; /* may be NULL */
    struct ingest_stats *stats;
    double began;
    /* The window's part of the input, which counts as read as far as it is encoded. */
    uint64_t window_begin, window_end;
    size_t window_texts_bytes, window_encoded_bytes;
};

static bool stop_asked(const struct progress *progress) {
    return progress->stop && atomic_load(progress->stop);
}

static void progress_tell(struct progress *progress) {
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

/* A row that cannot be stored is bad and the rest goes on; a disk that fails is everybody's. */
static bool is_rows_own_fault(const struct error *err) {
    return err->code == ERROR_INVALID || err->code == ERROR_LIMIT;
}

/* Texts gathered from the window, encodings spread back to it. */
static bool encode_texts(struct ingest *ingest, struct window *window,
                         const struct sized_row *batch, size_t n, struct progress *progress,
                         struct error *err) {
    struct encoder_text texts[BATCH_ROWS];
    struct encoding encodings[BATCH_ROWS];
    double began = clock_now_s();
    for (size_t i = 0; i < n; i++)
        texts[i] = window->passages[batch[i].i];
    if (!encoder_encode(ingest->encoder, texts, n, &ingest->encodings, encodings, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        window->encodings[batch[i].i] = encodings[i];
        window->states[batch[i].i] = ROW_ENCODED;
        progress->stats->tokens += encodings[i].tokens_n;
        progress->window_encoded_bytes += batch[i].bytes;
    }
    progress->stats->encoded += n;
    progress->stats->encode_seconds += clock_now_s() - began;
    progress_tell(progress);
    return true;
}

/* When the encoder refuses a batch, its texts go one by one, to find whose fault it is. */
static bool encode_batch(struct ingest *ingest, struct window *window,
                         const struct sized_row *batch, size_t n, struct progress *progress,
                         struct error *err) {
    if (encode_texts(ingest, window, batch, n, progress, err))
        return true;
    if (!is_rows_own_fault(err))
        return false;
    if (n == 1) {
        window->states[batch->i] = ROW_SETTLED;
        window->verdicts[batch->i] = (struct ingest_verdict){INGEST_BAD, *err};
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!encode_batch(ingest, window, batch + i, 1, progress, err))
            return false;
    return true;
}

/* Shortest first. A stop leaves the rest of the window waiting. */
static bool window_encode(struct ingest *ingest, struct window *window, struct progress *progress,
                          struct error *err) {
    struct sized_row *order = ARENA_NEW(&ingest->encodings, struct sized_row, window->n);
    size_t n = 0;
    for (size_t i = 0; i < window->n; i++)
        if (window->states[i] == ROW_WAITING)
            order[n++] = (struct sized_row){read_bytes(ingest, &window->passages[i]), i};
    progress->window_texts_bytes = progress->window_encoded_bytes = 0;
    for (size_t i = 0; i < n; i++)
        progress->window_texts_bytes += order[i].bytes;
    if (n)
        qsort(order, n, sizeof *order, compare_sizes);
    for (size_t from = 0; from < n && !stop_asked(progress);) {
        size_t to = from, bytes = 0;
        while (to < n && to - from < BATCH_ROWS && (to == from || bytes < BATCH_BYTES))
            bytes += order[to++].bytes;
        if (!encode_batch(ingest, window, order + from, to - from, progress, err))
            return false;
        from = to;
    }
    return true;
}

struct numbered {
    uint32_t id;
    float weight;
};

static int compare_numbered(const void *a, const void *b) {
    uint32_t x = ((const struct numbered *)a)->id, y = ((const struct numbered *)b)->id;
    return (x > y) - (x < y);
}

/* Words get their numbers from the index's dictionary; token ids are numbers already. */
static bool sparse_of(struct ingest *ingest, const struct lexical *lexical,
                      struct sparse_vector *out, struct error *err) {
    struct numbered *terms = ARENA_NEW(&ingest->scratch, struct numbered, lexical->n);
    uint32_t *ids = ARENA_NEW(&ingest->scratch, uint32_t, lexical->n);
    float *weights = ARENA_NEW(&ingest->scratch, float, lexical->n);
    size_t n = 0;
    for (size_t i = 0; i < lexical->n; i++) {
        const struct lexical_term *term = &lexical->terms[i];
        uint32_t id = term->id;
        if (term->word && term->word_len > WORD_BYTES_MAX)
            continue;
        if (term->word && !writer_term_id(ingest->writer, term->word, term->word_len, &id, err))
            return false;
        terms[n++] = (struct numbered){id, term->weight};
    }
    if (n)
        qsort(terms, n, sizeof *terms, compare_numbered);
    for (size_t i = 0; i < n; i++) {
        ids[i] = terms[i].id;
        weights[i] = terms[i].weight;
    }
    *out = (struct sparse_vector){.ids = ids, .weights = weights, .n = n};
    return true;
}

static bool put_row(struct ingest *ingest, const struct window *window, size_t i,
                    struct error *err) {
    const struct row *row = &window->rows[i];
    const struct encoding *encoding = &window->encodings[i];
    struct record record = {
        .key = row->key,
        .key_len = row->key_len,
        .title = row->title,
        .title_len = row->title_len,
        .text = row->text,
        .text_len = row->text_len,
        .fields = row->fields,
        .fields_len = row->fields_len,
        .content_hash = window->hashes[i],
        .dense = encoding->dense,
        .sparse_length = encoding->lexical.length,
        .multi = encoding->multi,
        .multi_n = encoding->multi_n,
        .multi_codes = row->ready ? row->ready->multi_codes : NULL,
        .multi_codes_len = row->ready ? row->ready->multi_codes_len : 0,
    };
    arena_reset(&ingest->scratch);
    return sparse_of(ingest, &encoding->lexical, &record.sparse, err) &&
           writer_put(ingest->writer, &record, err);
}

/* In the order they were read, so that docids do not depend on lengths. */
static bool window_put(struct ingest *ingest, struct window *window, struct error *err) {
    for (size_t i = 0; i < window->n; i++) {
        struct ingest_verdict *verdict = &window->verdicts[i];
        if (window->states[i] != ROW_ENCODED || put_row(ingest, window, i, &verdict->err))
            continue;
        verdict->outcome = INGEST_BAD;
        if (!is_rows_own_fault(&verdict->err)) {
            *err = verdict->err;
            return false;
        }
    }
    return writer_commit(ingest->writer, err);
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
    window->stored_n += window->n;
    window->n = 0;
    memset(window->states, 0, WINDOW_ROWS * sizeof *window->states);
    memset(window->verdicts, 0, WINDOW_ROWS * sizeof *window->verdicts);
    map_clear(&waiting->ingest->newest);
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
