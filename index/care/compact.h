/* compact.h - an index without what is dead: one segment, no free pages.
 *
 * Documents, docids, scores and the dense generation stay as they are, to the bit. Two steps: one
 * ordinary commit that merges all segments and drops the postings of the dead; then a copy without
 * free pages, checked (check.h) and put in the index's place in one step (folder.h). A kill at any
 * moment leaves an index that is whole. Room for a second copy is needed meanwhile.
 * Readers go on: who has the index open keeps the old files and sees no later commit; who opens it
 * from then on has the new ones (index_is_current tells; a server looks at each request). */
#ifndef TERCET_INDEX_CARE_COMPACT_H
#define TERCET_INDEX_CARE_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

struct compact_totals {
    uint64_t documents_n, dead_n; /* dead_n: reclaimed */
    uint64_t bytes_before, bytes_after;
};

/* ERROR_BUSY when somebody writes to it for longer than a moment, or this process has it open;
 * ERROR_CORRUPT when it is not sound; ERROR_INVALID when its folder holds files of others. On
 * failure the index is as it was, perhaps merged. */
bool index_compact(const char *folder, struct compact_totals *out, struct error *err);

#endif
