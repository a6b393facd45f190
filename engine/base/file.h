/* file.h - files: mapped, read whole, replaced atomically. Paths are C strings. */
#ifndef TERCET_BASE_FILE_H
#define TERCET_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

/* A read-only view of a whole file. data is NULL when the file is empty.
 * Trap: a file that somebody truncates while it is mapped raises SIGBUS on access; model folders
 * are replaced by rename, never rewritten in place. */
struct file_map {
    const uint8_t *data;
    size_t len;
};

bool file_map_open(const char *path, struct file_map *out, struct error *err);
void file_map_close(struct file_map *map);

/* The whole file, appended to *out; ERROR_LIMIT when it has more than bytes_max. */
bool file_read(const char *path, size_t bytes_max, struct buf *out, struct error *err);

/* Writes path.tmp, fsyncs, renames, fsyncs the folder: afterwards the file is whole on disk or
 * unchanged. */
bool file_write_atomic(const char *path, const void *data, size_t len, struct error *err);

/* fsync of a folder, so that a rename or a new file in it survives a power cut. */
bool file_sync_folder(const char *folder, struct error *err);

/* Makes the folder and its parents; fine when it is there. */
bool file_make_folder(const char *folder, struct error *err);

bool file_exists(const char *path);
bool file_is_folder(const char *path);

#endif
