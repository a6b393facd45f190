/* reader.h - the documents in files and folders, one row at a time.
 *
 *   corpus.jsonl, x.ndjson, x.jsonl.gz    a JSON object a line (row.h)
 *   a folder with corpus.jsonl[.gz]       BEIR's layout: that file; queries and qrels are not read
 *   any other folder                      walked by name: .jsonl and .ndjson as above,
 *                                         .txt and .md (.gz too) a document each: the key is the
 *                                         path below the folder, the title the first Markdown
 *                                         heading, else the file's name
 *   a text file                           one document
 *   -                                     standard input, a JSON object a line
 *
 * Hidden files, other extensions and links to folders are passed over. Memory is bounded by the
 * longest row. A bad row is reported and does not stop the rest. */
#ifndef TERCET_INGEST_READER_H
#define TERCET_INGEST_READER_H

#include "ingest/row.h"

struct reader;

enum reader_state {
    READER_ROW,
    READER_BAD, /* err names file and line; the next call goes on behind it */
    READER_END,
};

/* Looks at every path: one that is missing or holds nothing to read is an error at once. */
bool reader_open(const char *const *paths, size_t paths_n, struct reader **out, struct error *err);
void reader_close(struct reader *reader);

/* The row's strings go into the arena. */
enum reader_state reader_next(struct reader *reader, struct arena *arena, struct row *out,
                              struct error *err);

/* How far it is, in bytes of the files; total 0: not known (standard input). */
void reader_progress(const struct reader *reader, uint64_t *read_out, uint64_t *total_out);

#endif
