/* dense_set.h - vectors to search among, made up or read, with the true neighbours. */
#ifndef TERCET_BENCH_DENSE_SET_H
#define TERCET_BENCH_DENSE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "index/fields/docid_set.h"
#include "tools/bench/npy.h"

struct pool;

enum { DENSE_SET_TOP = 10 };

/* Zeros are a valid empty one. Rows and queries have length 1. */
struct dense_set {
    size_t rows_n, queries_n, dim;
    const float *rows, *queries; /* [rows_n, dim], [queries_n, dim] */
    int64_t *truth;              /* [queries_n, DENSE_SET_TOP] row numbers, best first */
    float *made_rows, *made_queries;
    struct npy read_rows, read_queries;
};

/* Clusters of very unequal sizes in a latent space with a falling spectrum, mapped to dim, some
 * noise in all directions; queries are rows, moved by half their length. uniform: directions
 * without any order instead, the hardest there is. */
void dense_set_make(size_t rows_n, size_t dim, size_t queries_n, bool uniform, struct pool *pool,
                    struct dense_set *out);

/* base.npy, queries.npy (f4) and truth.npy (i8) of a race's inputs. */
bool dense_set_read(const char *folder, struct dense_set *out, struct error *err);
void dense_set_done(struct dense_set *set);

/* The true neighbours of the first queries_n queries among the allowed rows; NULL: all.
 * truth_out: [queries_n, DENSE_SET_TOP], -1 where there are none. */
void dense_set_truth(const struct dense_set *set, const struct docid_set *allowed, size_t queries_n,
                     struct pool *pool, int64_t *truth_out);

#endif
