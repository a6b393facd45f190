/* settings_inside.h - what settings.c and settings_ready.c share. */
#ifndef TERCET_INGEST_SETTINGS_INSIDE_H
#define TERCET_INGEST_SETTINGS_INSIDE_H

#include "ingest/settings.h"

/* Lucene's, and those of the measured references. */
#define SETTINGS_BM25_K1 1.2f
#define SETTINGS_BM25_B .75f

/* Tokens that a passage shares with the one before. */
uint32_t settings_overlap(const struct ingest_choices *choices);

/* Of an index without a model. */
bool settings_without_model(const struct ingest_choices *choices, struct index_settings *out,
                            struct error *err);

#endif
