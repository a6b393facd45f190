/* walk.h - paths as a person gives them become the list of files to read.
 *
 * Folders are walked by name, bytewise, so that the same folder is the same input everywhere.
 * Hidden files, links to folders and files of no known format are passed over, and counted. */
#ifndef TERCET_INGEST_WALK_H
#define TERCET_INGEST_WALK_H

#include "ingest/format.h"

struct walk_file {
    char *path, *key; /* key: the path below the folder given, or the file's name */
    const struct format *format;
    uint64_t bytes;
    uint64_t root;                   /* the path given that it came from (walk_root); 0: a pipe */
    uint64_t written_ns, changed_ns; /* mtime; ctime, which also moving and renaming sets */
    bool is_folder;                  /* that cannot be read: a bad row is told in its place */
};

/* Patterns of glob.h, asked for files found in folders. A folder that `exclude` matches is not
 * looked into. With `include`, files that match none of it are left out. With any of them a folder
 * is walked as a plain one, whatever layout it has. */
struct walk_filter {
    const char *const *include, *const *exclude;
    size_t include_n, exclude_n;
};

/* Why a file found in a folder is not read. */
struct walk_passed {
    char what[32]; /* its ending (".png"), or "excluded" */
    size_t n;
};

enum { WALK_PASSED_MAX = 32 };

struct walk {
    struct walk_file *files;
    size_t files_n, files_cap;
    uint64_t bytes_total;
    struct walk_passed passed[WALK_PASSED_MAX]; /* the last one: all others */
    size_t passed_n;
    uint64_t root;       /* of the path at hand */
    size_t unreadable_n; /* folders and files that could not be looked at: more may be there */
    bool may_be_empty;   /* a folder with nothing to read is no error */
};

/* What a path is called wherever it is seen from: a hash of its real one; 0 when there is none. */
uint64_t walk_root(const char *path);

/* forced: the format of every file, whatever its name; NULL: by name. A walk of zeros is ready. */
bool walk_add(struct walk *walk, const char *path, const struct format *forced,
              const struct walk_filter *filter, struct error *err);
void walk_done(struct walk *walk);

#endif
