/* folder.h - inside index/: a whole new folder of an index, made beside the place it is meant for
 * and put there in one step.
 *
 * The place is TARGET, the making goes on in ".NAME.making" beside it. A kill at any moment leaves
 * TARGET as it was or new and whole, and at most a hidden folder that the next making clears.
 * Whoever has the old folder open goes on with it: files that were removed live on while they are
 * open. Only files of an index are ever removed; a folder that holds others is refused.
 * Threads: a struct folder belongs to one. */
#ifndef TERCET_INDEX_STORE_FOLDER_H
#define TERCET_INDEX_STORE_FOLDER_H

#include <limits.h>
#include <stdbool.h>

#include "engine/base/error.h"

/* What a repair keeps of the file that it could not carry over whole. Nobody reads it. */
#define FOLDER_DAMAGED "data.mdb.damaged"

struct folder {
    char parent[PATH_MAX], target[PATH_MAX], making[PATH_MAX]; /* no symlinks in them */
    int lock; /* the making's writer.lock, held; nobody writes before the caller is done */
};

/* An empty folder beside the target. replace: the target may be there, if it is an index or empty;
 * ERROR_INVALID otherwise. ERROR_BUSY when somebody else makes the same at this moment. */
bool folder_begin(const char *target, bool replace, struct folder *out, struct error *err);

/* The writer.lock of the index at the target, which may be too damaged to be opened; *fd_out is to
 * be closed, -1: there is none. ERROR_BUSY: somebody writes to it. */
bool folder_lock_target(const struct folder *folder, int *fd_out, struct error *err);

/* For a making that is itself an index open for writing: gives its lock to that, and takes it back
 * afterwards. ERROR_BUSY: somebody else began to make the same in between; nothing is lost by it
 * but the making, so whatever was made is to be verified behind it. */
void folder_release(struct folder *folder);
bool folder_retake(struct folder *folder, struct error *err);

/* fsyncs what was made, puts it at the target and removes what stood there. The caller holds the
 * old one's writer.lock, if there is an old one. */
bool folder_place(struct folder *folder, struct error *err);

/* Removes the index at the target, whole: in one step it is gone from there, then its files are.
 * The caller holds its writer.lock, or nobody writes. Who has it open goes on reading. */
bool folder_discard(const char *target, struct error *err);

/* Ends it; what was made and not placed is removed. A zeroed one is fine. One that was released
 * and not retaken leaves its files, hidden, for the next making to clear. */
void folder_end(struct folder *folder);

/* Copies a file and fsyncs the copy. */
bool folder_copy_file(const char *from, const char *to, struct error *err);

#endif
