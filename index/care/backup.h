/* backup.h - a whole index as it is at one moment, somewhere else: snapshots and their return.
 *
 * A snapshot is an index: it can be searched where it lies. It has no free pages and is checked
 * (check.h) before it gets its name, so a damaged index gives no snapshot and a damaged snapshot is
 * not restored. A kill at any moment leaves the target as it was or whole (folder.h). */
#ifndef TERCET_INDEX_CARE_BACKUP_H
#define TERCET_INDEX_CARE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

struct backup_totals {
    uint64_t documents_n, bytes;
    uint64_t changed_n; /* backup_update: entries written or deleted */
};

/* Copies the newest commit of the index at `from`, while others read and write it, to a new index
 * at `to`. replace: an index that stands at `to` gives way, atomically; who has it open goes on
 * with the old one (ERROR_BUSY when somebody has it open for writing). Without replace,
 * ERROR_INVALID when anything is there. ERROR_CORRUPT when `from` is not sound. Neither may be open
 * in this process. */
bool backup_copy(const char *from, const char *to, bool replace, struct backup_totals *out,
                 struct error *err);

/* Brings an older copy of the same index up to date: the entries that differ are written in one
 * LMDB commit of the copy's own, so whatever befalls it the copy is what it was or what the index
 * is, who searches it goes on, and only what changed is written (docs/durability.md has figures).
 * Everything of both is read. The copy may keep free pages; backup_copy with replace leaves none.
 * ERROR_INVALID when `to` is no older copy; ERROR_CORRUPT when one of them is not sound; otherwise
 * as backup_copy. */
bool backup_update(const char *from, const char *to, struct backup_totals *out, struct error *err);

/* ---- for compact.c and backup_update.c ---- */

struct index;

/* data.mdb and the dense generation it names, fsynced, into a folder that has neither. */
bool backup_copy_into(struct index *index, const char *folder, struct error *err);

/* ERROR_CORRUPT with the first problem, when the index at `folder` has any. name: what to call it.
 */
bool backup_verify(const char *folder, const char *name, struct backup_totals *out,
                   struct error *err);

#endif
