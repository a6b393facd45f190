/* follow.h - documents that came from a path in an earlier run, and are not there any more, go.
 *
 * While a run goes on, what it meets is ticked off; at its end what came from the same path
 * (origins.h) and was not met is deleted. Not met is not gone: a file with a bad row keeps all its
 * documents, a bad document the one there was, and where a folder could not be read nothing is
 * deleted at all. Most of a path's documents gone at once look like a disk that is not mounted, and
 * are kept unless forced.
 * Memory: a bit for each docid there was. */
#ifndef TERCET_INGEST_FOLLOW_H
#define TERCET_INGEST_FOLLOW_H

#include "ingest/origins.h"
#include "ingest/pipeline.h"

/* So few may go as long as any stays; more only up to half of a path's documents. */
enum { FOLLOW_FEW = 20 };

struct follow {
    uint32_t docid_end;   /* docids below it were there before the run */
    uint64_t *met;        /* a bit for each of them */
    uint64_t *kept_files; /* [kept_files_n] reader_origin.file: bad rows, or not read */
    size_t kept_files_n, kept_files_cap;
};

bool follow_begin(struct follow *follow, struct index *index, struct error *err);
void follow_done(struct follow *follow);

void follow_meet(struct follow *follow, uint32_t docid);
void follow_keep_file(struct follow *follow, struct reader_origin origin);

/* Behind the run, everything committed. ERROR_INVALID: most would go; nothing was deleted. */
bool follow_delete(struct follow *follow, struct index *index, struct writer *writer,
                   const struct reader *reader, const struct ingest_options *options,
                   const struct ingest_callbacks *callbacks, struct ingest_stats *stats,
                   struct error *err);

#endif
