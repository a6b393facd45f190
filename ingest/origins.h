/* origins.h - which documents came from which path that was given, and which file below it.
 *
 * Kept with the index as notes (writer.h), "origins:<n>" for docids [n ORIGINS_CHUNK, (n + 1)
 * ORIGINS_CHUNK): runs of neighbours that came from the same file, which is how they are stored.
 * A docid is never used again, so a run about the dead says nothing false. A damaged note is as
 * none: nobody follows those documents any more, and none is deleted for it.
 *
 *   OFFSET  SIZE  MEANING of a run, 20 bytes, little-endian
 *   0       2     u16 first docid, in the chunk
 *   2       2     u16 docids
 *   4       8     u64 root: XXH3-64 of the real path that was given
 *   12      8     u64 file: hash of the path below it; 0: each document is its own file */
#ifndef TERCET_INGEST_ORIGINS_H
#define TERCET_INGEST_ORIGINS_H

#include "engine/base/buf.h"
#include "index/writer.h"
#include "ingest/reader.h"

enum { ORIGINS_CHUNK = 2048 };

struct origin_change {
    uint32_t docid;
    struct reader_origin origin;
};

/* What changed since the last commit. All zeros is a valid empty one. */
struct origins {
    struct origin_change *changes;
    size_t n, cap;
    struct buf note, before;
};
void origins_done(struct origins *origins);

/* Of a docid that was set twice the last origin counts. */
void origins_set(struct origins *origins, uint32_t docid, struct reader_origin origin);

/* Into the writer's batch; what is so already is not written again. Empties them. */
bool origins_write(struct origins *origins, struct writer *writer, struct error *err);

/* The runs of docids below docid_end, ascending. False from `run` stops. */
typedef bool origins_run(void *context, uint32_t docid_begin, uint32_t docid_end,
                         struct reader_origin origin, struct error *err);
bool origins_each(struct snapshot *snapshot, uint32_t docid_end, origins_run *run, void *context,
                  struct error *err);

#endif
