/* benches.h - what `tercet bench` measures, one file each. */
#ifndef TERCET_BENCH_BENCHES_H
#define TERCET_BENCH_BENCHES_H

#include "tools/options.h"

/* Named "bench NAME"; argv[0] of run is NAME. */
extern const struct command bench_dense, bench_encode, bench_ingest, bench_maxsim, bench_rerank,
    bench_search, bench_sparse;

#endif
