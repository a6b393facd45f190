/* fuse_runs.h - several systems' runs made one, where all that is known is their lists.
 *
 * A search of ours scores each candidate in each mode (query/fuse.h); another system's run does not
 * tell what a document that it leaves out would have scored. So here, per query and run:
 *   rrf       1 / (60 + rank); left out: 0 (Cormack, Clarke & Buettcher, SIGIR 2009)
 *   weighted  the score; left out: 0, as FlagEmbedding's scripts do
 *   minmax    0 to 1 over the list; left out: 0
 *   zscore    by mean and deviation over the list; left out: the list's lowest
 *   dbsf      mean - 3 deviations to mean + 3 deviations as 0 to 1; left out: 0 */
#ifndef TERCET_EVAL_FUSE_RUNS_H
#define TERCET_EVAL_FUSE_RUNS_H

#include "query/fuse.h"
#include "tools/eval/trec.h"

enum { FUSE_RUNS_MAX = 16 };

/* weights: [runs_n]. Keeps the best `depth` of each query. All in the arena. */
struct run fuse_runs(const struct run *runs, const float *weights, size_t runs_n,
                     enum fuse_method method, size_t depth, struct arena *arena);

#endif
