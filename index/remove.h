/* remove.h - documents out of an index by their keys, all in one commit.
 *
 * Their rows go at once; their postings stay behind tombstones until a merge or index_compact. */
#ifndef TERCET_INDEX_REMOVE_H
#define TERCET_INDEX_REMOVE_H

#include "index/index.h"

struct index_key {
    const char *data;
    size_t len;
};

/* Durable when true; on failure nothing was deleted. found_out: [n], which keys there were (a key
 * given twice is there once). A key that cannot be one (empty, too long) is not there. The index
 * must be open with INDEX_WRITE, and no writer (writer.h) on it: ERROR_BUSY. */
bool index_remove(struct index *index, const struct index_key *keys, size_t n, bool *found_out,
                  struct error *err);

#endif
