/* reader.h - the documents in files and folders, one row at a time. The manual: docs/ingest.md.
 *
 *   x.jsonl, x.csv, ..      rows of the formats in format.c, packed (.gz, .zst) or not
 *   x.txt, x.md, ..         a document each: its key is the path below the folder walked
 *   a folder with corpus.jsonl[.gz|.zst]    BEIR's and MLDR's layout: that file alone
 *   a folder with docs-0.jsonl[.gz|.zst]    MIRACL's layout: docs-0, docs-1, .. by number
 *   any other folder        walked by name: every file of a known format (walk.h)
 *   -                       standard input, JSON lines unless told otherwise
 *
 * Memory is bounded by the longest row. A bad row is reported and does not stop the rest. */
#ifndef TERCET_INGEST_READER_H
#define TERCET_INGEST_READER_H

#include "ingest/format.h"
#include "ingest/row.h"
#include "ingest/unpack.h"
#include "ingest/walk.h"

struct reader;

/* A file as it was at some moment: hashes of its path, and of its size and times. */
struct reader_file {
    uint64_t name, stamp;
};

struct reader_options {
    const char *format;      /* format.h; NULL: by each file's name, JSON lines for "-" */
    const char *encoding;    /* of bytes that are not UTF-8; NULL: those are refused */
    const char *columns;     /* "id,text": of tables whose first line has no names; NULL: it has */
    struct row_names names;  /* of JSON members and of columns */
    struct walk_filter walk; /* which files of a folder */
    /* [known_n] by name: files that are as they were are not read (READER_SAME). */
    const struct reader_file *known;
    size_t known_n;
    bool may_be_empty; /* a folder that holds nothing to read is no error */
    /* Remember which keys came by, for reader_is_repeated; beyond the first SEEN_KEYS_MAX (seen.h)
     * they are not remembered. */
    bool note_repeated;
};

/* Looks at every path: one that is missing or holds nothing to read is an error at once. options
 * (NULL: the defaults) and what they point to stay the caller's, and must live as long. */
bool reader_open_with(const char *const *paths, size_t paths_n,
                      const struct reader_options *options, struct reader **out, struct error *err);
bool reader_open(const char *const *paths, size_t paths_n, struct reader **out, struct error *err);
void reader_close(struct reader *reader);

/* The row's strings go into the arena. READER_BAD: out->file, ->line and ->key ("" when unknown)
 * tell which row it was; the key is good until the next call. */
enum reader_state reader_next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err);

/* What the first reader_next will hand out: for who must know it beforehand. Before that, and not
 * with reader_go_on. *out stays until reader_close. */
enum reader_state reader_peek(struct reader *reader, const struct row **out, struct error *err);

/* The key of the row handed out last came before in this run. */
bool reader_is_repeated(const struct reader *reader);

/* Where the row handed out last, bad ones too, came from. root: the path that was given (walk.h);
 * 0: a pipe, which cannot be followed. file: of a file with rows; 0: the document is the file. */
struct reader_origin {
    uint64_t root, file;
};
struct reader_origin reader_origin_of(const struct reader *reader);

/* The files to be read as they were when the reader was opened, by name; to be freed. */
struct reader_file *reader_list_files(const struct reader *reader, size_t *n_out);

/* Whether one of the paths given is this (walk_root). */
bool reader_has_root(const struct reader *reader, uint64_t root);

/* There is no pipe among the paths: they can be asked again. */
bool reader_can_be_followed(const struct reader *reader);

/* Behind the row handed out last. */
struct reader_place {
    uint64_t identity; /* of the paths, and of how they are read */
    uint64_t file;     /* its name's hash; UINT64_MAX: behind the last one */
    uint64_t bytes, written_ns;
    uint64_t offset, line; /* format.h */
};
/* False: there is a pipe, and no way to go back to a place. */
bool reader_tell(const struct reader *reader, struct reader_place *out);

/* Before the first row: what stands before the place is passed over, but files that were changed
 * (or came) since began_ns. The place's own file is read from its beginning when it was changed.
 * False: the place is none of this reader's, and it begins at the beginning. */
bool reader_go_on(struct reader *reader, const struct reader_place *place, uint64_t began_ns);

/* Asked whenever the next row is long in coming (unpack.h); rows handed out so far are whole, and
 * the arena of the one under way must not be reset. */
void reader_on_waiting(struct reader *reader, struct unpack_waiting waiting);

/* How far it is, in bytes of the files; total 0: not known (standard input). */
void reader_progress(const struct reader *reader, uint64_t *read_out, uint64_t *total_out);

/* The files to be read, and those passed over in folders. */
const struct walk *reader_files(const struct reader *reader);

#endif
