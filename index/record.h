/* record.h - what a writer is given, looked at before anything of it is written. */
#ifndef TERCET_INDEX_RECORD_H
#define TERCET_INDEX_RECORD_H

#include "index/writer.h"

/* Whether the record fits an index of these settings. ERROR_INVALID, ERROR_LIMIT: it does not. */
bool record_fits(const struct index_settings *settings, const struct record *record,
                 struct error *err);

/* A record as its passages, whichever way it was given; *n_out >= 1. Borrows from the record;
 * *alone is the caller's room. */
const struct record_passage *record_passages(const struct record *record,
                                             struct record_passage *alone, size_t *n_out);

#endif
