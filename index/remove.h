/* remove.h - documents out of an index, by their keys or by a filter; or an index as a whole.
 *
 * Their rows go at once; their postings stay behind tombstones until a merge or index_compact. The
 * index must be open with INDEX_WRITE, and no writer (writer.h) on it: ERROR_BUSY. */
#ifndef TERCET_INDEX_REMOVE_H
#define TERCET_INDEX_REMOVE_H

#include "index/index.h"

struct filter;

struct index_key {
    const char *data;
    size_t len;
};

/* All in one commit: durable when true; on failure nothing was deleted. found_out: [n], which keys
 * there were (a key given twice is there once). A key that cannot be one (empty, too long) is not
 * there. */
bool index_remove(struct index *index, const struct index_key *keys, size_t n, bool *found_out,
                  struct error *err);

/* A commit each: bounds what a batch holds in memory, and what a search that began before it keeps
 * from being used again. */
enum { REMOVE_BATCH = 4096 };

/* Every document that passes now (filter.h), REMOVE_BATCH to a commit. *removed_n_out: how many are
 * gone, durably, also when it fails in between; the same call again removes the rest. A filter that
 * passes every document empties the index: ask filter_passes_all first. */
bool index_remove_passing(struct index *index, const struct filter *filter, uint64_t *removed_n_out,
                          struct error *err);

/* Removes the index's folder: all of it or nothing. The index stays open, for reading what is gone,
 * until index_close. ERROR_INVALID when files of others lie in the folder. */
bool index_destroy(struct index *index, struct error *err);

#endif
