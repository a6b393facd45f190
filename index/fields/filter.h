/* filter.h - which documents a search may find, said in JSON: {"lang":"en","year":{"$gte":2020}}.
 *
 * Language and meaning: docs/filters.md. A filter is read once and run on one snapshot.
 * Memory:  a filter and what it finds lie in the arenas they were asked from.
 * Threads: a filter is read-only once it was parsed; a run is for the snapshot's thread. */
#ifndef TERCET_INDEX_FIELDS_FILTER_H
#define TERCET_INDEX_FIELDS_FILTER_H

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "index/fields/docid_set.h"
#include "index/index.h"

enum {
    FILTER_DEPTH_MAX = 16,   /* conditions within conditions: each costs a bitmap while it runs */
    FILTER_TERMS_MAX = 1000, /* conditions and values together: each costs a look into a table */
};

struct filter;

/* ERROR_INVALID and ERROR_LIMIT name the place: "filter.year.$gte: ...". */
bool filter_parse(const struct json *json, struct arena *arena, struct filter **out,
                  struct error *err);

/* It names no condition, as {} or {"$and":[{}]} do: every document passes. What deletes by filter
 * asks, so that nobody empties an index by leaving a condition out. */
bool filter_passes_all(const struct filter *filter);

/* The live documents that pass. */
bool filter_run(const struct filter *filter, struct snapshot *snapshot, struct arena *arena,
                struct docid_set *out, struct error *err);

/* How many that are in the newest commit. */
bool filter_count(const struct filter *filter, struct index *index, uint64_t *out,
                  struct error *err);

#endif
