#include "ingest/follow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "index/rows.h"

/* Deleted in one commit: bounds what a batch holds. */
enum { BATCH = 4096 };

bool follow_begin(struct follow *follow, struct index *index, struct error *err) {
    struct snapshot *snapshot;
    if (!snapshot_open(index, &snapshot, err))
        return false;
    *follow = (struct follow){.docid_end = snapshot_docid_end(snapshot)};
    follow->met = mem_zalloc(follow->docid_end / 64 + 1, sizeof *follow->met);
    snapshot_close(snapshot);
    return true;
}

void follow_done(struct follow *follow) {
    free(follow->met);
    free(follow->kept_files);
    *follow = (struct follow){0};
}

void follow_meet(struct follow *follow, uint32_t docid) {
    if (docid < follow->docid_end)
        follow->met[docid / 64] |= 1ull << docid % 64;
}

void follow_keep_file(struct follow *follow, struct reader_origin origin) {
    size_t n = follow->kept_files_n;
    if (origin.file == 0 || (n > 0 && follow->kept_files[n - 1] == origin.file))
        return; /* a document is kept by its id; a file's bad rows mostly come in a row */
    if (n == follow->kept_files_cap) {
        follow->kept_files_cap = n ? 2 * n : 64;
        follow->kept_files =
            mem_realloc(follow->kept_files, follow->kept_files_cap, sizeof(uint64_t));
    }
    follow->kept_files[follow->kept_files_n++] = origin.file;
}

/* ---- what is missing ---- */

struct search {
    const struct follow *follow;
    const struct reader *reader;
    struct snapshot *snapshot;
    struct arena arena;
    uint32_t *missing; /* [missing_n] docids */
    size_t missing_n, missing_cap;
    uint64_t kept_n;
};

static bool was_met(const struct follow *follow, uint32_t docid) {
    return docid >= follow->docid_end || (follow->met[docid / 64] >> docid % 64 & 1);
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_kept_file(const struct follow *follow, uint64_t file) {
    return file && follow->kept_files_n &&
           bsearch(&file, follow->kept_files, follow->kept_files_n, sizeof file, compare_u64);
}

/* False where the docid is dead. The document lies in the arena. */
static bool read_live(struct search *search, uint32_t docid, struct document *out) {
    struct error ignored;
    uint32_t live;
    return snapshot_is_live(search->snapshot, docid) &&
           document_get(search->snapshot, docid, &search->arena, out, &ignored) &&
           document_find(search->snapshot, out->key, out->key_len, &live, &ignored) &&
           live == docid;
}

static void push_missing(struct search *search, uint32_t docid) {
    if (search->missing_n == search->missing_cap) {
        search->missing_cap = search->missing_cap ? 2 * search->missing_cap : 1024;
        search->missing = mem_realloc(search->missing, search->missing_cap, sizeof docid);
    }
    search->missing[search->missing_n++] = docid;
}

static bool look_through(void *context, uint32_t begin, uint32_t end, struct reader_origin origin,
                         struct error *err) {
    struct search *search = context;
    (void)err;
    if (!reader_has_root(search->reader, origin.root))
        return true;
    for (uint32_t docid = begin; docid < end; docid++) {
        struct document document;
        if (was_met(search->follow, docid) || is_kept_file(search->follow, origin.file)) {
            search->kept_n++;
        } else if (read_live(search, docid, &document)) {
            push_missing(search, docid);
        }
        arena_reset(&search->arena);
    }
    return true;
}

static bool find_missing(struct search *search, struct index *index, struct error *err) {
    return snapshot_open(index, &search->snapshot, err) &&
           origins_each(search->snapshot, snapshot_docid_end(search->snapshot), look_through,
                        search, err);
}

/* ---- deleting it ---- */

static bool may_delete(const struct search *search, bool force, struct error *err) {
    uint64_t all = search->missing_n + search->kept_n;
    bool few = search->missing_n <= FOLLOW_FEW && search->kept_n > 0;
    if (force || few || search->missing_n <= all / 2)
        return true;
    return error_set(err, ERROR_INVALID,
                     "%zu of %" PRIu64 " documents that came from there are not there any more: is "
                     "a disk not mounted? Nothing was deleted; --force deletes them",
                     search->missing_n, all);
}

static bool delete_missing(struct search *search, struct writer *writer,
                           const struct ingest_options *options,
                           const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                           struct error *err) {
    for (size_t i = 0; i < search->missing_n; i++) {
        struct document document;
        bool found = false;
        if (options->stop && atomic_load(options->stop))
            break;
        if (read_live(search, search->missing[i], &document) &&
            !writer_delete(writer, document.key, document.key_len, &found, err))
            return false;
        stats->deleted += found;
        if (found && callbacks && callbacks->deleted)
            callbacks->deleted(callbacks->context, document.key);
        arena_reset(&search->arena);
        if ((i + 1) % BATCH == 0 && !writer_commit(writer, err))
            return false;
    }
    return writer_commit(writer, err);
}

bool follow_delete(struct follow *follow, struct index *index, struct writer *writer,
                   const struct reader *reader, const struct ingest_options *options,
                   const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                   struct error *err) {
    struct search search = {.follow = follow, .reader = reader};
    size_t unreadable = reader_files(reader)->unreadable_n;
    if (follow->kept_files_n)
        qsort(follow->kept_files, follow->kept_files_n, sizeof *follow->kept_files, compare_u64);
    bool ok = find_missing(&search, index, err);
    if (ok && search.missing_n && unreadable)
        ok = error_set(err, ERROR_INVALID,
                       "%zu folders or files could not be looked at, so nothing was deleted",
                       unreadable);
    ok = ok && may_delete(&search, options->force, err) &&
         delete_missing(&search, writer, options, callbacks, stats, err);
    snapshot_close(search.snapshot);
    free(search.missing);
    arena_done(&search.arena);
    return ok;
}
