/* The first stage: rows into a window. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/passage.h"
#include "ingest/stages.h"

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
};

size_t passage_read_bytes(const struct ingest *ingest, const struct encoder_text *passage) {
    size_t read_max = (size_t)index_settings_of(ingest->index)->length_max * TOKEN_BYTES;
    return passage->len < read_max ? passage->len : read_max;
}

struct window window_new(struct ingest *ingest) {
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

void window_again(struct ingest *ingest, struct window *window) {
    window->stored_n += window->n;
    window->n = 0;
    memset(window->states, 0, WINDOW_ROWS * sizeof *window->states);
    memset(window->verdicts, 0, WINDOW_ROWS * sizeof *window->verdicts);
    map_clear(&ingest->newest);
}

bool window_is_full(const struct window *window) {
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

void window_add(struct ingest *ingest, struct window *window, const struct row *row) {
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
    window->read_bytes += passage_read_bytes(ingest, &window->passages[i]);
}
