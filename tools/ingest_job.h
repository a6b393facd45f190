/* ingest_job.h - an ingest as a person runs it: opens or makes the index, shows progress, reports
 * bad rows on stderr, stops well on SIGINT and SIGTERM. What ingest, eval and demo share. */
#ifndef TERCET_INGEST_JOB_H
#define TERCET_INGEST_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "ingest/pipeline.h"
#include "ingest/reader.h"
#include "ingest/settings.h"

struct index;
struct model;

struct ingest_job {
    const char *folder;       /* of the index */
    const char *const *paths; /* [paths_n] files and folders */
    size_t paths_n;
    struct reader_options reader;  /* how they are read; repeated ids are always told */
    const char *errors;            /* the file for bad rows; NULL: none */
    struct ingest_choices choices; /* for a new index; an existing one must agree */
    uint32_t threads;              /* 0: all cores */
    struct ingest_options run;     /* its stop is the job's own */
    bool quiet_if_same;            /* says nothing of a run that changed nothing */
    bool json;                     /* progress and summary as JSON lines instead */
};

struct ingest_totals {
    size_t documents_n; /* alive in the index afterwards */
    size_t bad_n;
    double seconds, tokens_per_s;
};

/* On success the index is open for writing and the caller closes it. ERROR_STOPPED when a signal
 * ended it early: everything up to then is committed. */
bool ingest_job_run(const struct ingest_job *job, const struct model *model,
                    struct index **index_out, struct ingest_totals *totals_out, struct error *err);

/* ingest --watch: a run with delete_missing, and one more whenever a file has changed, until SIGINT
 * or SIGTERM. The index is open only while a run goes on, so that others may write between. */
bool ingest_watch(const struct ingest_job *job, const struct model *model, struct error *err);

#endif
