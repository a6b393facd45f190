#include "index/care/backup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "index/care/check.h"
#include "index/store/folder.h"
#include "index/inside.h"

/* A writer that publishes generation after generation while we copy the one before. */
enum { TRIES = 4 };

/* ---- verify ---- */

struct first_problem {
    char what[ERROR_MESSAGE_MAX];
};

static void keep_first(void *context, const char *what) {
    struct first_problem *first = context;
    if (first->what[0] == '\0')
        snprintf(first->what, sizeof first->what, "%s", what);
}

static bool count_bytes(const char *folder, struct backup_totals *out, struct error *err) {
    struct index *index;
    struct index_counts counts;
    if (!index_open(folder, INDEX_READ, &index, err))
        return false;
    bool ok = index_count(index, &counts, err);
    index_close(index);
    if (ok)
        *out = (struct backup_totals){.documents_n = counts.documents_n,
                                      .bytes = counts.bytes_on_disk};
    return ok;
}

bool backup_verify(const char *folder, const char *name, struct backup_totals *out,
                   struct error *err) {
    struct first_problem first = {""};
    struct check_listener listener = {&first, keep_first};
    struct check_totals totals;
    if (!index_check(folder, &listener, &totals, err))
        return false;
    if (totals.problems_n > 0)
        return error_set(err, ERROR_CORRUPT, "%.200s: is not sound: %.400s", name, first.what);
    return count_bytes(folder, out, err);
}

/* ---- copy ---- */

static bool named_generation(const char *folder, uint64_t *number_out, struct error *err) {
    struct index *index;
    struct snapshot *snapshot;
    if (!index_open(folder, INDEX_READ, &index, err))
        return false;
    bool ok = snapshot_open(index, &snapshot, err);
    if (ok) {
        *number_out = snapshot->state.generation_number;
        snapshot_close(snapshot);
    }
    index_close(index);
    return ok;
}

/* False and ERROR_NOT_FOUND when the file is gone. */
static bool copy_generation(const char *from, const char *to, uint64_t number, struct error *err) {
    struct buf source = {0}, copy = {0};
    unsigned long long n = number;
    buf_format(&source, "%s/dense/%llu.lists", from, n);
    buf_format(&copy, "%s/dense", to);
    bool ok = file_make_folder(copy.data, err);
    buf_format(&copy, "/%llu.lists", n);
    ok = ok && folder_copy_file(source.data, copy.data, err);
    buf_done(&source);
    buf_done(&copy);
    return ok;
}

bool backup_copy_into(struct index *index, const char *folder, struct error *err) {
    struct buf path = {0};
    uint64_t number = 0;
    bool ok = false;
    buf_format(&path, "%s/data.mdb", folder);
    for (int i = 0; i < TRIES; i++) {
        if (unlink(path.data) != 0 && errno != ENOENT) {
            error_set_errno(err, "%s", path.data);
            break;
        }
        ok = store_copy(index->store, path.data, err) && named_generation(folder, &number, err) &&
             (number == 0 || copy_generation(index->folder, folder, number, err));
        if (ok || err->code != ERROR_NOT_FOUND) /* else: a newer one took its place */
            break;
    }
    buf_done(&path);
    return ok;
}

static bool make_copy(const char *from, const char *making, struct backup_totals *out,
                      struct error *err) {
    struct index *index;
    uint64_t pages_n;
    if (!index_exists(from))
        return error_set(err, ERROR_NOT_FOUND, "%s: there is no index (no data.mdb)", from);
    if (!store_check_pages(from, &pages_n, err) || !index_open(from, INDEX_READ, &index, err))
        return false;
    bool ok = backup_copy_into(index, making, err);
    index_close(index);
    return ok && backup_verify(making, from, out, err);
}

bool backup_copy(const char *from, const char *to, bool replace, struct backup_totals *out,
                 struct error *err) {
    struct folder folder = {.lock = -1};
    struct backup_totals totals;
    int old_lock = -1;
    bool ok = folder_begin(to, replace, &folder, err) &&
              folder_lock_target(&folder, &old_lock, err) &&
              make_copy(from, folder.making, &totals, err) && folder_place(&folder, err);
    folder_end(&folder);
    if (old_lock >= 0)
        close(old_lock);
    if (ok)
        *out = totals;
    return ok;
}
