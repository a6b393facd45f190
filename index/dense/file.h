/* dense/file.h - one generation of dense search as a file: written once, mapped, checked as it is
 * read.
 *
 * Bytes of FOLDER/dense/<number>.lists, little-endian:
 *   OFFSET  SIZE     MEANING
 *   0       8        "TERCETDL"
 *   8       4        version, 2
 *   12      4        dim of the index
 *   16      8        generation number
 *   24      4        covered_end
 *   28      4        rows_n
 *   32      4        lists_n
 *   36      4        rows_n when the centres were trained
 *   40      8        two f32: breadths (dense/lists.h)
 *   48      4        f32 row_length (dense/lists.h)
 *   52      4        documents_n
 *   56      8        XXH3-64 of the sums
 *   64      8        XXH3-64 of bytes 0 .. 63
 *   72      8 p      sums: XXH3-64 of each piece of the body (checked_map.h), of which there are p
 *   ..      ..       zeros up to a multiple of 4,096; from there on the body:
 * the tables of struct dense_lists in their order there, each from a multiple of 4,096 on, zeros
 * between. D = dim rounded up to 64:
 *   centres         D lists_n            centre_scales  8 lists_n
 *   begins          4 (lists_n + 1)      docids         4 rows_n
 *   firsts          4 (covered_end + 1)  places         4 rows_n
 *   guesses         12 rows_n            scales         8 rows_n
 *   signs           D / 8 rows_n         bytes          D rows_n
 *
 * Threads: an open file is read-only and may be shared, but see checked_map.h. */
#ifndef TERCET_INDEX_DENSE_FILE_H
#define TERCET_INDEX_DENSE_FILE_H

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "index/dense/checked_map.h"
#include "index/dense/lists.h"
#include "index/rows.h"

struct dense_file {
    struct file_map map;
    struct checked_map checked;
    struct dense_lists lists;
    uint32_t dim; /* of the index */
    uint32_t trained_rows_n;
};

/* Reads the header, the sums, the centres and where lists begin; the rest when it is asked for.
 * ERROR_CORRUPT: not the named generation, or damaged so far. */
bool dense_file_open(const char *path, uint32_t dim, struct index_generation named,
                     struct dense_file *out, struct error *err);
void dense_file_close(struct dense_file *file); /* a zeroed one is fine */

/* Reads all of it. */
bool dense_file_is_sound(struct dense_file *file);

/* ---- writing ---- */

/* Shape first; then every table, in any order and in parts; then the end. */
struct dense_file_writer {
    int fd;
    char *path;
    uint32_t dim, trained_rows_n;
    uint64_t number;
    struct dense_lists shape;
};

/* At path, empty. shape: the five numbers and row_length; its tables are not looked at. */
bool dense_file_create(const char *path, uint32_t dim, uint64_t number,
                       const struct dense_lists *shape, uint32_t trained_rows_n,
                       struct dense_file_writer *out, struct error *err);

enum dense_table {
    DENSE_CENTRES,
    DENSE_CENTRE_SCALES,
    DENSE_BEGINS,
    DENSE_DOCIDS,
    DENSE_FIRSTS,
    DENSE_PLACES,
    DENSE_GUESSES,
    DENSE_SCALES,
    DENSE_SIGNS,
    DENSE_BYTES,
    DENSE_TABLES_N,
};

/* Entries [first, first + n) of a table. Any number of threads at once, for different entries. */
bool dense_file_put(struct dense_file_writer *writer, enum dense_table table, size_t first,
                    size_t n, const void *entries, struct error *err);

/* The tables that were put so far, mapped, unchecked; until the writer is gone. */
bool dense_file_peek(const struct dense_file_writer *writer, struct dense_file *out,
                     struct error *err);

/* Sums, header, fsync: the file is whole, and waits for its name.
 * breadths: measured by now, on the file as it stands (dense_file_peek). */
bool dense_file_finish(struct dense_file_writer *writer, const float breadths[DENSE_BREADTHS_N],
                       struct error *err);

/* Removes what was not finished. A zeroed one is fine. */
void dense_file_abandon(struct dense_file_writer *writer);

/* Rename and fsync of the folder. */
bool dense_file_place(const char *from, const char *to, struct error *err);

#endif
