#include "ingest/origins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { RUN_BYTES = 20 };

struct chunk {
    struct reader_origin of[ORIGINS_CHUNK]; /* root 0: unknown */
};

struct note_name {
    char text[32];
};

static struct note_name name_of(uint32_t number) {
    struct note_name name;
    snprintf(name.text, sizeof name.text, "origins:%u", number);
    return name;
}

static bool same(struct reader_origin a, struct reader_origin b) {
    return a.root == b.root && a.file == b.file;
}

/* What does not fit is left out. */
static void unpack(const struct buf *note, struct chunk *out) {
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at + RUN_BYTES <= note->len; at += RUN_BYTES) {
        uint16_t begin, n;
        struct reader_origin origin;
        memcpy(&begin, note->data + at, 2);
        memcpy(&n, note->data + at + 2, 2);
        memcpy(&origin.root, note->data + at + 4, 8);
        memcpy(&origin.file, note->data + at + 12, 8);
        for (size_t i = begin; i < (size_t)begin + n && i < ORIGINS_CHUNK; i++)
            out->of[i] = origin;
    }
}

static void pack(const struct chunk *chunk, struct buf *out) {
    buf_clear(out);
    for (size_t i = 0; i < ORIGINS_CHUNK;) {
        size_t end = i + 1;
        while (end < ORIGINS_CHUNK && same(chunk->of[end], chunk->of[i]))
            end++;
        if (chunk->of[i].root) {
            char run[RUN_BYTES];
            memcpy(run, &(uint16_t){(uint16_t)i}, 2);
            memcpy(run + 2, &(uint16_t){(uint16_t)(end - i)}, 2);
            memcpy(run + 4, &chunk->of[i].root, 8);
            memcpy(run + 12, &chunk->of[i].file, 8);
            buf_append(out, run, sizeof run);
        }
        i = end;
    }
}

void origins_done(struct origins *origins) {
    free(origins->changes);
    buf_done(&origins->note);
    buf_done(&origins->before);
    *origins = (struct origins){0};
}

void origins_set(struct origins *origins, uint32_t docid, struct reader_origin origin) {
    if (origins->n == origins->cap) {
        origins->cap = origins->cap ? 2 * origins->cap : 1024;
        origins->changes = mem_realloc(origins->changes, origins->cap, sizeof *origins->changes);
    }
    origins->changes[origins->n++] = (struct origin_change){docid, origin};
}

/* The changes of one chunk: [begin, end), in the order they were made. */
static bool write_chunk(struct origins *origins, uint32_t number, const size_t *order, size_t n,
                        struct writer *writer, struct error *err) {
    struct note_name name = name_of(number);
    struct chunk chunk;
    if (!writer_note_read(writer, name.text, &origins->before, err)) {
        if (err->code != ERROR_CORRUPT)
            return false;
        buf_clear(&origins->before);
    }
    unpack(&origins->before, &chunk);
    for (size_t i = 0; i < n; i++) {
        const struct origin_change *change = &origins->changes[order[i]];
        chunk.of[change->docid % ORIGINS_CHUNK] = change->origin;
    }
    pack(&chunk, &origins->note);
    return (origins->note.len == origins->before.len &&
            (origins->note.len == 0 ||
             memcmp(origins->note.data, origins->before.data, origins->note.len) == 0)) ||
           writer_note(writer, name.text, origins->note.data, origins->note.len, err);
}

struct by_chunk {
    uint32_t chunk;
    size_t i;
};

static int compare_chunks(const void *a, const void *b) {
    const struct by_chunk *x = a, *y = b;
    if (x->chunk != y->chunk)
        return x->chunk < y->chunk ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

bool origins_write(struct origins *origins, struct writer *writer, struct error *err) {
    size_t n = origins->n;
    bool ok = true;
    if (n == 0)
        return true;
    struct by_chunk *sorted = mem_alloc(n, sizeof *sorted);
    size_t *order = mem_alloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct by_chunk){origins->changes[i].docid / ORIGINS_CHUNK, i};
    qsort(sorted, n, sizeof *sorted, compare_chunks);
    for (size_t i = 0; i < n; i++)
        order[i] = sorted[i].i;
    for (size_t from = 0, to; ok && from < n; from = to) {
        for (to = from + 1; to < n && sorted[to].chunk == sorted[from].chunk;)
            to++;
        ok = write_chunk(origins, sorted[from].chunk, order + from, to - from, writer, err);
    }
    free(sorted);
    free(order);
    origins->n = 0;
    return ok;
}

static bool each_of_chunk(uint32_t first, const struct chunk *chunk, uint32_t docid_end,
                          origins_run *run, void *context, struct error *err) {
    uint32_t n = docid_end - first < ORIGINS_CHUNK ? docid_end - first : ORIGINS_CHUNK;
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && same(chunk->of[end], chunk->of[i]);)
            end++;
        if (chunk->of[i].root && !run(context, first + i, first + end, chunk->of[i], err))
            return false;
    }
    return true;
}

bool origins_each(struct snapshot *snapshot, uint32_t docid_end, origins_run *run, void *context,
                  struct error *err) {
    struct buf note = {0};
    bool ok = true;
    for (uint64_t first = 0; ok && first < docid_end; first += ORIGINS_CHUNK) {
        struct chunk chunk;
        struct note_name name = name_of((uint32_t)(first / ORIGINS_CHUNK));
        if (!snapshot_note(snapshot, name.text, &note, err)) {
            ok = err->code == ERROR_CORRUPT;
            buf_clear(&note);
        }
        unpack(&note, &chunk);
        ok = ok && each_of_chunk((uint32_t)first, &chunk, docid_end, run, context, err);
    }
    buf_done(&note);
    return ok;
}
