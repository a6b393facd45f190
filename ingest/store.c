/* The third stage: encodings become records, and a window a commit. */
#include <stdlib.h>

#include "ingest/stages.h"

enum {
    /* Longer words are no words, and cannot be a key in the dictionary. */
    WORD_BYTES_MAX = 200,
};

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

/* Vectors that a row brought, or that its text or its passages were given. */
static void give_vectors(struct ingest *ingest, const struct window *window, size_t i,
                         struct record *record) {
    const struct ready *ready = window->rows[i].ready;
    const struct encoding *encoding = &window->encodings[i];
    const struct span *span = &window->spans[i];
    if (ready && ready->passages_n > 0) {
        record->passages_n = ready->passages_n;
        record->passages = ready_passages(ready, &ingest->scratch);
        return;
    }
    record->dense = encoding->dense;
    record->multi = encoding->multi;
    record->multi_n = encoding->multi_n;
    record->multi_codes = ready ? ready->whole.multi_codes : NULL;
    record->multi_codes_len = ready ? ready->whole.multi_codes_len : 0;
    if (ready || ingest->settings.chunk_tokens == 0)
        return;
    struct record_passage *passages = ARENA_NEW(&ingest->scratch, struct record_passage, span->n);
    for (size_t p = 0; p < span->n; p++)
        passages[p] = window->pieces[span->first + p].made;
    if (span->n > 1) {
        record->passages = passages;
        record->passages_n = span->n;
    } else {
        record->dense = passages->dense;
        record->multi_codes = passages->multi_codes;
        record->multi_codes_len = passages->multi_codes_len;
    }
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
        .sparse_length = encoding->lexical.length,
    };
    arena_reset(&ingest->scratch);
    give_vectors(ingest, window, i, &record);
    return sparse_of(ingest, &encoding->lexical, &record.sparse, err) &&
           writer_put(ingest->writer, &record, err);
}

/* The key was in flight when its row was read, and what is stored is known only now. */
static bool is_unchanged(struct ingest *ingest, const struct window *window, size_t i) {
    const struct row *row = &window->rows[i];
    uint64_t there;
    return (window->notes[i] & ROW_IN_FLIGHT) &&
           writer_hash(ingest->writer, row->key, row->key_len, &there) &&
           there == window->hashes[i];
}

/* A row is there under some docid now, unless it was replaced by a later one of its window. */
static void note_origin(struct ingest *ingest, const struct window *window, size_t i) {
    const struct row *row = &window->rows[i];
    struct reader_origin origin = window->origins[i];
    bool bad = window->verdicts[i].outcome == INGEST_BAD;
    uint32_t docid;
    if (origin.root == 0 || (window->states[i] != ROW_ENCODED && !bad &&
                             window->verdicts[i].outcome != INGEST_UNCHANGED))
        return;
    bool whole = bad || (window->notes[i] & ROW_SAME_FILE);
    if (whole && ingest->follow)
        follow_keep_file(ingest->follow, origin);
    if ((window->notes[i] & ROW_SAME_FILE) && origin.file)
        return;
    if (!writer_docid(ingest->writer, row->key, row->key_len, &docid))
        return;
    if (!bad)
        origins_set(&ingest->origins, docid, origin);
    if (ingest->follow)
        follow_meet(ingest->follow, docid);
}

static bool put_rows(struct ingest *ingest, struct window *window, struct error *err) {
    for (size_t i = 0; i < window->n; i++) {
        struct ingest_verdict *verdict = &window->verdicts[i];
        if (window->states[i] != ROW_ENCODED)
            continue;
        if (is_unchanged(ingest, window, i)) {
            verdict->outcome = INGEST_UNCHANGED;
            continue;
        }
        if (put_row(ingest, window, i, &verdict->err))
            continue;
        verdict->outcome = INGEST_BAD;
        if (!is_rows_own_fault(&verdict->err)) {
            *err = verdict->err;
            return false;
        }
    }
    for (size_t i = 0; i < window->n; i++)
        note_origin(ingest, window, i);
    return origins_write(&ingest->origins, ingest->writer, err) &&
           checkpoint_write(ingest, window, err) && writer_commit(ingest->writer, err);
}

bool window_store(struct ingest *ingest, struct window *window, struct error *err) {
    bool ok = put_rows(ingest, window, err);
    arena_done(&window->vectors); /* while it is filled and read again, others need the memory */
    if (ok)
        return true;
    /* Half a window must not go along with the next commit; and the transaction has to end on the
     * thread that began it, which need not be the one that calls ingest_close. */
    ingest->origins.n = 0;
    writer_close(ingest->writer);
    ingest->writer = NULL;
    return false;
}
