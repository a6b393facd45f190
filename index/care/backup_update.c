/* An older copy brought up to date: what differs, table by table and entry by entry, in one commit
 * of its own. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "index/care/backup.h"
#include "index/dense/dense.h"
#include "index/store/folder.h"
#include "index/inside.h"

/* Changes gathered before they are made: bounds memory, whatever differs. */
enum { CHANGES_MAX = 1 << 16 };

/* ---- is it an older copy of the same index? ---- */

enum { RECORDS_COMPARED = 100 };

static bool same_meta(struct store_txn *from, struct store_txn *to, const char *name, bool *same,
                      struct error *err) {
    struct bytes a, b;
    if (!store_get(from, TABLE_META, name, strlen(name), &a, err) ||
        !store_get(to, TABLE_META, name, strlen(name), &b, err))
        return false;
    *same = *same && a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    return true;
}

/* A docid is one record for ever, so of one index those that both have are equal. */
static bool same_records(struct store_txn *from, struct store_txn *to, bool *same,
                         struct error *err) {
    struct store_cursor cursor = {0};
    bool ok = store_cursor_open(to, TABLE_DOCUMENTS, NULL, 0, &cursor, err);
    for (int i = 0; ok && *same && i < RECORDS_COMPARED && cursor.key.data; i++) {
        struct bytes value;
        ok = store_get(from, TABLE_DOCUMENTS, cursor.key.data, cursor.key.len, &value, err);
        *same = !value.data || (value.len == cursor.value.len &&
                                memcmp(value.data, cursor.value.data, value.len) == 0);
        ok = ok && store_cursor_next(&cursor, err);
    }
    store_cursor_close(&cursor);
    return ok;
}

static bool is_older(struct store_txn *from, struct store_txn *to, bool *out, struct error *err) {
    struct index_state new, old;
    bool same = true;
    if (!index_state_read(from, &new, err) || !index_state_read(to, &old, err) ||
        !same_meta(from, to, "settings", &same, err) || !same_records(from, to, &same, err))
        return false;
    *out = same && old.docid_next <= new.docid_next &&old.term_next <=
                       new.term_next &&old.segment_next <=
                       new.segment_next &&old.generation_number <= new.generation_number;
    return true;
}

/* ---- entries ---- */

struct update {
    struct store_txn *from, *to;
    struct buf keys; /* of the changes, one behind the other */
    struct change {
        size_t key_len;
        bool gone;
    } * changes; /* [changes_n] */
    size_t changes_n;
    uint64_t changed_n; /* in all */
};

static int compare(struct bytes a, struct bytes b) {
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void note(struct update *update, struct bytes key, bool gone) {
    buf_append(&update->keys, key.data, key.len);
    update->changes[update->changes_n++] = (struct change){key.len, gone};
}

/* From the key `begin` on, until there are CHANGES_MAX. What follows is left in *begin; nothing:
 * the table is through. */
static bool gather(struct update *update, enum store_table table, struct buf *begin,
                   struct error *err) {
    struct store_cursor a = {0}, b = {0};
    bool ok = store_cursor_open(update->from, table, begin->data, begin->len, &a, err) &&
              store_cursor_open(update->to, table, begin->data, begin->len, &b, err);
    while (ok && (a.key.data || b.key.data) && update->changes_n < CHANGES_MAX) {
        int order = !a.key.data ? 1 : !b.key.data ? -1 : compare(a.key, b.key);
        if (order > 0)
            note(update, b.key, true);
        else if (order < 0 || compare(a.value, b.value) != 0)
            note(update, a.key, false);
        ok = (order > 0 || store_cursor_next(&a, err)) && (order < 0 || store_cursor_next(&b, err));
    }
    buf_clear(begin);
    if (ok && (a.key.data || b.key.data)) {
        bool first = !b.key.data || (a.key.data && compare(a.key, b.key) < 0);
        buf_append(begin, first ? a.key.data : b.key.data, first ? a.key.len : b.key.len);
    }
    store_cursor_close(&a);
    store_cursor_close(&b);
    return ok;
}

static bool apply(struct update *update, enum store_table table, struct error *err) {
    const char *key = update->keys.data;
    bool ok = true;
    for (size_t i = 0; ok && i < update->changes_n; i++) {
        const struct change *change = &update->changes[i];
        struct bytes value;
        if (change->gone)
            ok = store_delete(update->to, table, key, change->key_len, NULL, err);
        else
            ok = store_get(update->from, table, key, change->key_len, &value, err) &&
                 store_put(update->to, table, key, change->key_len, value.data, value.len, err);
        key += change->key_len;
    }
    update->changed_n += update->changes_n;
    update->changes_n = 0;
    buf_clear(&update->keys);
    return ok;
}

static bool update_tables(struct update *update, struct error *err) {
    struct buf begin = {0};
    bool ok = true;
    update->changes = mem_alloc(CHANGES_MAX, sizeof *update->changes);
    for (int table = 0; ok && table < TABLES_N; table++) {
        buf_clear(&begin);
        do
            ok = gather(update, (enum store_table)table, &begin, err) &&
                 apply(update, (enum store_table)table, err);
        while (ok && begin.len > 0);
    }
    free(update->changes);
    buf_done(&update->keys);
    buf_done(&begin);
    return ok;
}

/* ---- the dense generation ---- */

static bool same_bytes(const char *a, const char *b) {
    struct error ignored;
    struct file_map x, y;
    bool same = false;
    if (!file_map_open(a, &x, &ignored))
        return false;
    if (file_map_open(b, &y, &ignored)) {
        same = x.len == y.len && x.len > 0 && memcmp(x.data, y.data, x.len) == 0;
        file_map_close(&y);
    }
    file_map_close(&x);
    return same;
}

/* In place before the commit that names it. */
static bool update_generation(const struct index *from, const struct index *to, uint64_t number,
                              struct error *err) {
    struct buf source = {0}, place = {0}, temporary = {0};
    const char *folder = dense_folder(to->dense);
    dense_path(from->dense, number, &source);
    dense_path(to->dense, number, &place);
    buf_format(&temporary, "%s.tmp", place.data);
    bool ok = file_make_folder(folder, err);
    if (ok && !same_bytes(source.data, place.data)) {
        unlink(temporary.data); /* of a killed one */
        ok = folder_copy_file(source.data, temporary.data, err) &&
             (rename(temporary.data, place.data) == 0 || error_set_errno(err, "%s", place.data)) &&
             file_sync_folder(folder, err) && file_sync_folder(to->folder, err);
    }
    buf_done(&source);
    buf_done(&place);
    buf_done(&temporary);
    return ok;
}

/* ---- all of it ---- */

static bool update_opened(struct index *from, struct index *to, struct backup_totals *out,
                          struct error *err) {
    struct update update = {0};
    struct index_state state;
    bool older = false;
    if (!store_begin_read(from->store, &update.from, err))
        return false;
    bool ok = store_begin_write(to->store, &update.to, err);
    ok = ok && is_older(update.from, update.to, &older, err) &&
         (older || error_set(err, ERROR_INVALID,
                             "%s: is no older copy of %s; with --force it gives way all the same",
                             to->folder, from->folder)) &&
         index_state_read(update.from, &state, err) &&
         (state.generation_number == 0 || !to->dense ||
          update_generation(from, to, state.generation_number, err)) &&
         update_tables(&update, err);
    if (ok)
        ok = store_commit(update.to, err);
    else
        store_abort(update.to);
    store_abort(update.from);
    if (ok && to->dense)
        dense_remove_others(to->dense, state.generation_number);
    out->changed_n = update.changed_n;
    return ok;
}

bool backup_update(const char *from, const char *to, struct backup_totals *out, struct error *err) {
    struct index *source = NULL, *copy = NULL;
    struct backup_totals totals = {0}, changed = {0};
    uint64_t pages_n;
    bool ok = backup_verify(from, from, &totals, err) && store_check_pages(to, &pages_n, err) &&
              index_open(from, INDEX_READ, &source, err) &&
              index_open(to, INDEX_WRITE, &copy, err) && update_opened(source, copy, &changed, err);
    index_close(source);
    index_close(copy);
    if (!ok || !backup_verify(to, to, &totals, err))
        return false;
    *out = totals;
    out->changed_n = changed.changed_n;
    return true;
}
