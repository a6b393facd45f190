/* The first stage: rows into a window. */
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "ingest/stages.h"

enum {
    /* A window: enough rows that batches of like length come out of it and that its fsync is
     * shared by many, and few enough that a commit follows every 20 seconds or so and the token
     * vectors of all of them fit in memory (384 dimensions in f32: 1.5 kB a token, some 250 MB for
     * a window of 150,000 tokens). */
    WINDOW_ROWS = 4096,
    WINDOW_BYTES = 512 << 10,
    /* What a row counts for at most in a window: its text is cut to length_max tokens. */
    TOKEN_BYTES = 8,
    /* Stored text is held whole, however little of it is encoded, and so are unchanged rows. One
     * row may be larger (SOURCE_LINE_BYTES_MAX): it ends its window. */
    WINDOW_HELD_BYTES = 32 << 20,
};

size_t piece_read_bytes(const struct ingest *ingest, const struct piece *piece) {
    size_t read_max = (size_t)ingest->settings.length_max * TOKEN_BYTES;
    return piece->text.len < read_max ? piece->text.len : read_max;
}

void window_begin(const struct ingest *ingest, struct window *window) {
    if (!window->rows) {
        window->rows = mem_alloc(WINDOW_ROWS, sizeof *window->rows);
        window->states = mem_alloc(WINDOW_ROWS, sizeof *window->states);
        window->notes = mem_alloc(WINDOW_ROWS, sizeof *window->notes);
        window->verdicts = mem_alloc(WINDOW_ROWS, sizeof *window->verdicts);
        window->spans = mem_alloc(WINDOW_ROWS, sizeof *window->spans);
        window->encodings = mem_alloc(WINDOW_ROWS, sizeof *window->encodings);
        window->hashes = mem_alloc(WINDOW_ROWS, sizeof *window->hashes);
        window->origins = mem_alloc(WINDOW_ROWS, sizeof *window->origins);
    }
    arena_reset(&window->texts);
    window_again(window);
    window->stored_n = window->read_bytes = window->held_bytes = 0;
    window->is_last = window->at_end = window->has_place = false;
    window->rows_max = ingest->window_rows ? ingest->window_rows : WINDOW_ROWS;
}

void window_again(struct window *window) {
    window->stored_n += window->n;
    window->n = window->pieces_n = 0;
    window->is_lent = false;
    map_clear(&window->newest);
    arena_reset(&window->vectors);
}

void window_end(struct window *window) {
    snapshot_close(window->stored);
    window->stored = NULL;
}

void window_done(struct window *window) {
    window_end(window);
    free(window->rows);
    free(window->states);
    free(window->notes);
    free(window->verdicts);
    free(window->spans);
    free(window->pieces);
    free(window->encodings);
    free(window->hashes);
    free(window->origins);
    map_done(&window->newest);
    arena_done(&window->texts);
    arena_done(&window->vectors);
    *window = (struct window){0};
}

bool window_is_full(const struct window *window) {
    return window->stored_n + window->n == window->rows_max || window->read_bytes >= WINDOW_BYTES ||
           window->held_bytes >= WINDOW_HELD_BYTES;
}

static size_t add(struct window *window, const struct row *row) {
    size_t i = window->n++;
    if (i == 0)
        window->began_ms = clock_now_ms();
    window->rows[i] = *row;
    window->states[i] = ROW_SETTLED;
    window->notes[i] = 0;
    window->origins[i] = (struct reader_origin){0};
    window->verdicts[i] = (struct ingest_verdict){INGEST_STORED, {0}};
    return i;
}

/* The last row of a key wins, so an earlier one in the same window is never computed. Its verdict
 * says "stored": it was, and was replaced at once. */
static void supersede(struct window *window, size_t i) {
    const struct row *row = &window->rows[i];
    bool is_new;
    uint32_t *newest = map_put(&window->newest, row->key, row->key_len, (uint32_t)i, &is_new);
    if (!is_new)
        window->states[*newest] = ROW_SETTLED;
    *newest = (uint32_t)i;
}

/* Whether a window that was handed on, and may not be stored yet, has a row of this key. */
static bool is_in_flight(const struct ingest *ingest, const struct window *window,
                         const struct row *row) {
    for (size_t w = 0; w < WINDOWS_N; w++)
        if (&ingest->windows[w] != window &&
            map_find(&ingest->windows[w].newest, row->key, row->key_len))
            return true;
    return false;
}

/* What a row brought itself needs no encoding either; its words may be left to be counted. */
static bool add_ready(struct ingest *ingest, struct window *window, size_t i, struct error *err) {
    const struct ready *ready = window->rows[i].ready;
    window->held_bytes += ready_bytes(ready);
    return ready_encoding(ready, &ingest->settings, &window->texts, &window->encodings[i], err) &&
           (ready->has_sparse || count_words(ingest, window, i, err));
}

/* A text, in an index without a model. */
static bool add_words(struct ingest *ingest, struct window *window, size_t i, struct error *err) {
    const struct index_settings *settings = &ingest->settings;
    if (settings->dense_dim || settings->multi_dim || settings->lexical != INDEX_LEXICAL_BM25)
        return error_set(err, ERROR_INVALID,
                         "the index has no model to encode it: bring %s ready-made",
                         settings->dense_dim   ? "\"dense\""
                         : settings->multi_dim ? "\"multi\""
                                               : "\"sparse\"");
    window->encodings[i] = (struct encoding){0};
    return count_words(ingest, window, i, err);
}

bool window_add(struct ingest *ingest, struct window *window, const struct row *row,
                struct error *err) {
    uint64_t there;
    if (!window->stored && !snapshot_open(ingest->index, &window->stored, err))
        return false;
    size_t i = add(window, row);
    window->hashes[i] = row_hash(row);
    window->held_bytes += row->title_len + row->text_len + row->fields_len;
    supersede(window, i);
    if (is_in_flight(ingest, window, row)) {
        window->notes[i] |= ROW_IN_FLIGHT;
    } else if (document_hash(window->stored, row->key, row->key_len, &there) &&
               there == window->hashes[i]) {
        window->verdicts[i].outcome = INGEST_UNCHANGED;
        return true;
    }
    struct ingest_verdict *verdict = &window->verdicts[i];
    bool ok = row->ready        ? add_ready(ingest, window, i, &verdict->err)
              : ingest->encoder ? cut_row(ingest, window, i, &verdict->err)
                                : add_words(ingest, window, i, &verdict->err);
    if (ok)
        window->states[i] = row->ready || !ingest->encoder ? ROW_ENCODED : ROW_WAITING;
    else
        verdict->outcome = INGEST_BAD;
    return true;
}

void window_add_bad(struct window *window, const struct row *row, const struct error *why) {
    size_t i = add(window, row);
    window->rows[i].key = arena_text(&window->texts, row->key, row->key_len);
    window->notes[i] |= ROW_NO_ROW;
    window->verdicts[i] = (struct ingest_verdict){INGEST_BAD, *why};
}

void window_add_same(struct window *window, const struct row *file) {
    size_t i = add(window, file);
    window->notes[i] |= ROW_SAME_FILE;
    window->verdicts[i].outcome = INGEST_UNCHANGED;
}
