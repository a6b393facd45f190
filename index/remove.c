#include "index/remove.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/documents.h"
#include "index/fields/filter.h"
#include "index/store/folder.h"
#include "index/inside.h"
#include "index/writer.h"

/* ---- by keys ---- */

bool index_remove(struct index *index, const struct index_key *keys, size_t n, bool *found_out,
                  struct error *err) {
    struct writer *writer;
    if (!writer_open(index, &writer, err))
        return false;
    bool *found = mem_zalloc(n + 1, sizeof *found);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = writer_delete(writer, keys[i].data, keys[i].len, &found[i], err);
    ok = ok && writer_commit(writer, err);
    if (ok)
        memcpy(found_out, found, n * sizeof *found);
    free(found);
    writer_close(writer);
    return ok;
}

/* ---- by filter ---- */

/* The keys of up to REMOVE_BATCH docids of the set, from *at on, copied: the writer changes the
 * pages they lie in. A docid is one document for ever and nobody else writes, so a set that was
 * found before the first batch is right to the last. */
static bool read_keys(struct index *index, const struct docid_set *set, uint32_t *at,
                      struct arena *arena, struct index_key *keys, size_t *n_out,
                      struct error *err) {
    struct snapshot *snapshot;
    struct bytes key;
    bool ok = true;
    size_t n = 0;
    if (!snapshot_open(index, &snapshot, err))
        return false;
    while (n < REMOVE_BATCH && (*at = docid_set_next(set, *at)) != UINT32_MAX) {
        if (!(ok = document_key(snapshot->txn, *at, &key, err)))
            break;
        keys[n++] = (struct index_key){arena_text(arena, key.data, key.len), key.len};
        (*at)++;
    }
    snapshot_close(snapshot);
    *n_out = n;
    return ok;
}

static bool remove_keys(struct writer *writer, const struct index_key *keys, size_t n,
                        struct error *err) {
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        if (!writer_delete(writer, keys[i].data, keys[i].len, &found, err))
            return false;
        if (!found)
            return error_set(err, ERROR_CORRUPT,
                             "%s: the document \"%.100s\" is not in table keys (tercet check tells "
                             "more)",
                             index_folder(writer_index(writer)), keys[i].data);
    }
    return writer_commit(writer, err);
}

static bool remove_set(struct index *index, struct writer *writer, const struct docid_set *set,
                       uint64_t *removed_n, struct error *err) {
    struct index_key *keys = mem_alloc(REMOVE_BATCH, sizeof *keys);
    struct arena arena = {0};
    uint32_t at = 0;
    bool ok;
    for (size_t n = 1; (ok = read_keys(index, set, &at, &arena, keys, &n, err)) && n > 0;) {
        if (!(ok = remove_keys(writer, keys, n, err)))
            break;
        *removed_n += n;
        arena_reset(&arena);
    }
    arena_done(&arena);
    free(keys);
    return ok;
}

bool index_remove_passing(struct index *index, const struct filter *filter, uint64_t *removed_n_out,
                          struct error *err) {
    struct writer *writer;
    struct snapshot *snapshot;
    struct arena arena = {0};
    struct docid_set set = {0};
    *removed_n_out = 0;
    if (!writer_open(index, &writer, err)) /* first: from here on nobody else writes */
        return false;
    bool ok = snapshot_open(index, &snapshot, err);
    if (ok) {
        ok = filter_run(filter, snapshot, &arena, &set, err);
        snapshot_close(snapshot);
    }
    ok = ok && remove_set(index, writer, &set, removed_n_out, err);
    writer_close(writer);
    arena_done(&arena);
    return ok;
}

/* ---- all of it ---- */

bool index_destroy(struct index *index, struct error *err) {
    if (!store_is_writable(index->store))
        return error_set(err, ERROR_INVALID, "%s: not open for writing", index->folder);
    return folder_discard(index->folder, err);
}
