/* The second stage: what waits in a window is encoded in batches of like length. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "ingest/stages.h"
#include "ingest/token_pool.h"

enum {
    /* One call of the encoder: enough runs for every core. */
    BATCH_ROWS = 64,
    BATCH_BYTES = 64 << 10,
};

struct sized_piece {
    size_t bytes, i;
};

static int compare_sizes(const void *a, const void *b) {
    const struct sized_piece *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

/* ---- passages of a chunked index ---- */

static bool is_chunked(const struct ingest *ingest) {
    return ingest->settings.chunk_tokens > 0;
}

/* Words were counted over the whole text. */
static unsigned modes_of(const struct ingest *ingest) {
    const struct index_settings *settings = &ingest->settings;
    return (settings->dense_dim ? ENCODE_DENSE : 0u) | (settings->multi_dim ? ENCODE_MULTI : 0u) |
           (settings->lexical == INDEX_LEXICAL_LEARNED ? ENCODE_LEXICAL : 0u);
}

static int compare_ids(const void *a, const void *b) {
    uint32_t x = ((const struct lexical_term *)a)->id, y = ((const struct lexical_term *)b)->id;
    return (x > y) - (x < y);
}

/* Each token once, with the largest of its weights in the row's pieces. */
static void join_learned(struct window *window, size_t row) {
    const struct span *span = &window->spans[row];
    struct lexical joined = {0};
    size_t n = 0, kept = 0;
    for (size_t p = span->first; p < span->first + span->n; p++)
        n += window->pieces[p].lexical.n;
    joined.terms = ARENA_NEW(&window->vectors, struct lexical_term, n + 1);
    for (size_t p = span->first; p < span->first + span->n; p++) {
        const struct lexical *one = &window->pieces[p].lexical;
        if (one->n > 0)
            memcpy(joined.terms + joined.n, one->terms, one->n * sizeof *one->terms);
        joined.n += one->n;
    }
    qsort(joined.terms, joined.n, sizeof *joined.terms, compare_ids);
    for (size_t i = 0; i < joined.n; i++)
        if (i == 0 || joined.terms[i].id != joined.terms[kept - 1].id)
            joined.terms[kept++] = joined.terms[i];
        else if (joined.terms[i].weight > joined.terms[kept - 1].weight)
            joined.terms[kept - 1].weight = joined.terms[i].weight;
    joined.n = kept;
    window->encodings[row].lexical = joined;
}

/* What is to stay of a passage's encoding, out of the batch's arena. */
static bool keep(struct ingest *ingest, struct window *window, struct piece *piece,
                 const struct encoding *encoding, struct error *err) {
    const struct index_settings *settings = &ingest->settings;
    struct arena *arena = &window->vectors;
    if (encoding->dense) {
        float *dense = ARENA_NEW(arena, float, settings->dense_dim);
        memcpy(dense, encoding->dense, settings->dense_dim * sizeof *dense);
        piece->made.dense = dense;
    }
    if (encoding->multi_n > 0 &&
        !record_encode_multi(settings, encoding->multi, encoding->multi_n, arena,
                             &piece->made.multi_codes, &piece->made.multi_codes_len, err))
        return false;
    if (settings->lexical == INDEX_LEXICAL_LEARNED) {
        size_t n = piece->lexical.n = encoding->lexical.n;
        piece->lexical.terms = ARENA_NEW(arena, struct lexical_term, n + 1);
        if (n > 0)
            memcpy(piece->lexical.terms, encoding->lexical.terms,
                   n * sizeof *encoding->lexical.terms);
    }
    return true;
}

/* ---- batches ---- */

static bool encode(struct ingest *ingest, struct window *window, const struct encoder_text *texts,
                   size_t n, struct encoding *encodings, struct error *err) {
    if (!is_chunked(ingest))
        return encoder_encode(ingest->encoder, texts, n, &window->vectors, encodings, err);
    arena_reset(&ingest->batch);
    return encoder_encode_modes(ingest->encoder, modes_of(ingest), texts, n, &ingest->batch,
                                encodings, err);
}

/* As the index keeps them: those of so many neighbouring tokens as one. */
static void pool_tokens(struct ingest *ingest, struct window *window, struct encoding *encoding) {
    const struct index_settings *settings = &ingest->settings;
    if (settings->pool_tokens <= 1 || encoding->multi_n == 0)
        return;
    size_t pooled_n = encoding->multi_n / settings->pool_tokens + 1;
    float *pooled = ARENA_NEW(is_chunked(ingest) ? &ingest->batch : &window->vectors, float,
                              pooled_n * settings->multi_dim);
    encoding->multi_n = token_pool(encoding->multi, encoding->multi_n, settings->multi_dim,
                                   settings->pool_tokens, pooled);
    encoding->multi = pooled;
    encoding->multi_ranges = NULL; /* they were each token's */
}

/* Its row is done when no other piece of it is left. */
static void finish(struct ingest *ingest, struct window *window, size_t row,
                   struct progress *progress) {
    if (--window->spans[row].left > 0)
        return;
    if (is_chunked(ingest) && ingest->settings.lexical == INDEX_LEXICAL_LEARNED)
        join_learned(window, row);
    window->states[row] = ROW_ENCODED;
    progress->stats->encoded++;
}

/* Texts gathered from the window, encodings spread back to it. */
static bool encode_texts(struct ingest *ingest, struct window *window,
                         const struct sized_piece *batch, size_t n, struct progress *progress,
                         struct error *err) {
    struct encoder_text texts[BATCH_ROWS];
    struct encoding encodings[BATCH_ROWS];
    double began = clock_now_s();
    for (size_t i = 0; i < n; i++)
        texts[i] = window->pieces[batch[i].i].text;
    if (!encode(ingest, window, texts, n, encodings, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct piece *piece = &window->pieces[batch[i].i];
        pool_tokens(ingest, window, &encodings[i]);
        if (!is_chunked(ingest))
            window->encodings[piece->row] = encodings[i];
        else if (!keep(ingest, window, piece, &encodings[i], err))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        finish(ingest, window, window->pieces[batch[i].i].row, progress);
        progress->stats->tokens += encodings[i].tokens_n;
        progress->window_encoded_bytes += batch[i].bytes;
    }
    progress->stats->encode_seconds += clock_now_s() - began;
    progress_tell(progress);
    if (progress->between)
        progress->between(progress->between_context);
    return true;
}

/* When the encoder refuses a batch, its texts go one by one, to find whose fault it is. */
static bool encode_batch(struct ingest *ingest, struct window *window,
                         const struct sized_piece *batch, size_t n, struct progress *progress,
                         struct error *err) {
    if (encode_texts(ingest, window, batch, n, progress, err))
        return true;
    if (!is_rows_own_fault(err))
        return false;
    if (n == 1) {
        size_t row = window->pieces[batch->i].row;
        window->states[row] = ROW_SETTLED;
        window->verdicts[row] = (struct ingest_verdict){INGEST_BAD, *err};
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!encode_batch(ingest, window, batch + i, 1, progress, err))
            return false;
    return true;
}

static bool is_wanted(const struct window *window, const struct sized_piece *piece) {
    return window->states[window->pieces[piece->i].row] == ROW_WAITING;
}

bool window_encode(struct ingest *ingest, struct window *window, struct progress *progress,
                   struct error *err) {
    struct sized_piece *order = ARENA_NEW(&window->vectors, struct sized_piece, window->pieces_n);
    size_t n = 0;
    progress->window_texts_bytes = progress->window_encoded_bytes = 0;
    for (size_t i = 0; i < window->pieces_n; i++) {
        order[n] = (struct sized_piece){piece_read_bytes(ingest, &window->pieces[i]), i};
        if (!is_wanted(window, &order[n]))
            continue;
        progress->window_texts_bytes += order[n++].bytes;
    }
    if (n)
        qsort(order, n, sizeof *order, compare_sizes);
    for (size_t from = 0; from < n && !stop_asked(progress);) {
        struct sized_piece batch[BATCH_ROWS];
        size_t batch_n = 0, bytes = 0;
        while (from < n && batch_n < BATCH_ROWS && (batch_n == 0 || bytes < BATCH_BYTES)) {
            if (is_wanted(window, &order[from])) /* another piece of its row may have been bad */
                bytes += (batch[batch_n++] = order[from]).bytes;
            from++;
        }
        if (batch_n > 0 && !encode_batch(ingest, window, batch, batch_n, progress, err))
            return false;
    }
    return true;
}
