/* The second stage: what waits in a window is encoded in batches of like length. */
#include <stdlib.h>

#include "engine/base/clock.h"
#include "ingest/stages.h"

enum {
    /* One call of the encoder: enough runs for every core. */
    BATCH_ROWS = 64,
    BATCH_BYTES = 64 << 10,
};

struct sized_row {
    size_t bytes, i;
};

static int compare_sizes(const void *a, const void *b) {
    const struct sized_row *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->i < y->i ? -1 : 1;
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
    if (!encoder_encode(ingest->encoder, texts, n, &window->vectors, encodings, err))
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
    if (progress->between)
        progress->between(progress->between_context);
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

bool window_encode(struct ingest *ingest, struct window *window, struct progress *progress,
                   struct error *err) {
    struct sized_row *order = ARENA_NEW(&window->vectors, struct sized_row, window->n);
    size_t n = 0;
    for (size_t i = 0; i < window->n; i++)
        if (window->states[i] == ROW_WAITING)
            order[n++] = (struct sized_row){passage_read_bytes(ingest, &window->passages[i]), i};
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
