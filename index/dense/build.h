/* dense/build.h - inside dense search: a snapshot's rows become a generation's file.
 *
 * Whole: centres are trained on a sample, then every row is assigned, then every row is written:
 * the rows are read three times from LMDB, and never held. Extended: the generation before gives
 * its centres and its rows as they stand in its file, without the dead; only newer rows are
 * assigned and encoded. Centres are kept until there are so many rows that other lists are due. */
#ifndef TERCET_INDEX_DENSE_BUILD_H
#define TERCET_INDEX_DENSE_BUILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "index/rows.h"

struct dense_build {
    const char *path;     /* of the new file, before it gets its name */
    const char *old_path; /* of the generation that the snapshot names; NULL: build whole */
    uint64_t number;      /* of the new one */
    uint32_t lists_rows_min;
    size_t threads_n; /* 0: all cores */
    const atomic_bool *stop;
    /* Nobody searches here meanwhile: pages that were read leave this process' memory as it goes,
     * which would else grow by the table. */
    bool alone;
};

/* Reads the snapshot; the file is whole and fsynced, or not there. ERROR_STOPPED when *stop was
 * set meanwhile. A generation before that is missing or damaged is no error: all is built then. */
bool dense_build(const struct dense_build *build, struct snapshot *snapshot,
                 struct index_generation *out, struct error *err);

#endif
