/* tuned.h - how a collection wants its modes weighed, found out by `tercet tune` and kept in it as
 * the note TUNED_NOTE (index.h). It counts for searches of those modes that name neither fusion nor
 * weights. */
#ifndef TERCET_QUERY_TUNED_H
#define TERCET_QUERY_TUNED_H

#include "engine/base/buf.h"
#include "query/plan.h"

#define TUNED_NOTE "search"

/* {"modes":["dense",..],"fusion":"zscore","weights":{"dense":.2,..}} */
void tuned_print(const struct fuse_plan *plan, struct buf *out);
bool tuned_parse(const char *text, size_t len, struct fuse_plan *out, struct error *err);

/* The snapshot's own wish into the plan, where the request leaves room for it. A note that cannot
 * be read counts for nothing: newer programs may write more. */
bool tuned_apply(const struct search_request *request, struct snapshot *snapshot,
                 struct fuse_plan *plan, struct error *err);

#endif
