#include "tools/bench/dense_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/base/topk.h"
#include "engine/base/vec.h"
#include "engine/base/random.h"

enum { LATENT_MAX = 128, CLUSTERS_MIN = 8 };

/* ---- made up ---- */

struct making {
    struct dense_set *set;
    size_t latent, clusters_n;
    float *falling;    /* [latent] deviation of each latent direction */
    float *centres;    /* [clusters_n, latent] */
    float *spread;     /* [latent, dim] rows of length 1, at right angles */
    uint32_t *members; /* [rows_n] clusters */
    uint64_t seed;
};

static void random_normals(uint64_t *seed, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)random_normal(seed);
}

/* Gram and Schmidt. */
static void make_spread(struct making *making, size_t dim) {
    random_normals(&making->seed, making->spread, making->latent * dim);
    for (size_t i = 0; i < making->latent; i++) {
        float *row = making->spread + i * dim;
        for (size_t j = 0; j < i; j++) {
            const float *before = making->spread + j * dim;
            float along = vec_dot_f32(row, before, dim);
            for (size_t d = 0; d < dim; d++)
                row[d] -= along * before[d];
        }
        vec_normalize(row, dim);
    }
}

/* Cluster c has a share of 1 / (c + 1)^1.6, as Zipf's law has it. */
static void make_members(struct making *making) {
    double *ends = mem_alloc(making->clusters_n, sizeof *ends), sum = 0;
    for (size_t c = 0; c < making->clusters_n; c++)
        ends[c] = sum += pow((double)(c + 1), -1.6);
    for (size_t i = 0; i < making->set->rows_n; i++) {
        double at = sum * random_uniform(&making->seed);
        uint32_t c = 0;
        while (c + 1 < making->clusters_n && ends[c] <= at)
            c++;
        making->members[i] = c;
    }
    free(ends);
}

static void to_dim(const struct making *making, const float *latent, float *out) {
    size_t dim = making->set->dim;
    for (size_t i = 0; i < making->latent; i++)
        for (size_t d = 0; d < dim; d++)
            out[d] += latent[i] * making->spread[i * dim + d];
}

static void make_row(void *context, size_t i, size_t worker) {
    struct making *making = context;
    size_t dim = making->set->dim;
    uint64_t seed = making->seed + 1000003 * (uint64_t)i;
    float *row = making->set->made_rows + i * dim, latent[LATENT_MAX];
    const float *centre = making->centres + making->members[i] * making->latent;
    (void)worker;
    for (size_t d = 0; d < dim; d++)
        row[d] = (float)(0.3 / sqrt((double)dim) * random_normal(&seed));
    for (size_t j = 0; j < making->latent; j++)
        latent[j] = centre[j] + 0.7f * making->falling[j] * (float)random_normal(&seed);
    to_dim(making, latent, row);
    vec_normalize(row, dim);
}

static void make_query(struct making *making, float *query) {
    const struct dense_set *set = making->set;
    const float *row = set->rows + random_below(&making->seed, (uint32_t)set->rows_n) * set->dim;
    float latent[LATENT_MAX];
    memset(query, 0, set->dim * sizeof *query);
    for (size_t j = 0; j < making->latent; j++)
        latent[j] = making->falling[j] * (float)random_normal(&making->seed);
    to_dim(making, latent, query);
    vec_normalize(query, set->dim);
    for (size_t d = 0; d < set->dim; d++)
        query[d] = row[d] + 0.5f * query[d];
    vec_normalize(query, set->dim);
}

static void make_clustered(struct dense_set *set, struct pool *pool) {
    size_t root = (size_t)sqrt((double)set->rows_n);
    struct making making = {
        .set = set,
        .latent = set->dim < LATENT_MAX ? set->dim : LATENT_MAX,
        .clusters_n = root > CLUSTERS_MIN ? root : CLUSTERS_MIN,
        .seed = 3,
    };
    making.falling = mem_alloc(making.latent, sizeof(float));
    making.centres = mem_alloc(making.clusters_n * making.latent, sizeof(float));
    making.spread = mem_alloc(making.latent * set->dim, sizeof(float));
    making.members = mem_alloc(set->rows_n, sizeof(uint32_t));
    for (size_t j = 0; j < making.latent; j++)
        making.falling[j] = 1 / sqrtf((float)(j + 1));
    for (size_t i = 0; i < making.clusters_n * making.latent; i++)
        making.centres[i] = making.falling[i % making.latent] * (float)random_normal(&making.seed);
    make_spread(&making, set->dim);
    make_members(&making);
    pool_run(pool, set->rows_n, make_row, &making);
    for (size_t q = 0; q < set->queries_n; q++)
        make_query(&making, set->made_queries + q * set->dim);
    free(making.falling);
    free(making.centres);
    free(making.spread);
    free(making.members);
}

static void make_uniform(float *out, size_t n, size_t dim, uint64_t seed) {
    random_normals(&seed, out, n * dim);
    for (size_t i = 0; i < n; i++)
        vec_normalize(out + i * dim, dim);
}

void dense_set_make(size_t rows_n, size_t dim, size_t queries_n, bool uniform, struct pool *pool,
                    struct dense_set *out) {
    *out = (struct dense_set){.rows_n = rows_n, .queries_n = queries_n, .dim = dim};
    out->rows = out->made_rows = mem_alloc(rows_n * dim, sizeof(float));
    out->queries = out->made_queries = mem_alloc(queries_n * dim, sizeof(float));
    if (uniform) {
        make_uniform(out->made_rows, rows_n, dim, 5);
        make_uniform(out->made_queries, queries_n, dim, 6);
    } else {
        make_clustered(out, pool);
    }
    out->truth = mem_alloc(queries_n * DENSE_SET_TOP, sizeof *out->truth);
    dense_set_truth(out, NULL, queries_n, pool, out->truth);
}

/* ---- read ---- */

bool dense_set_read(const char *folder, struct dense_set *out, struct error *err) {
    struct dense_set set = {0};
    struct npy truth = {0};
    bool ok = npy_open(folder, "base", "f4", &set.read_rows, err) &&
              npy_open(folder, "queries", "f4", &set.read_queries, err) &&
              npy_open(folder, "truth", "i8", &truth, err);
    if (ok && (set.read_rows.dimensions_n != 2 || set.read_queries.dimensions_n != 2 ||
               truth.dimensions_n != 2 || set.read_rows.shape[1] != set.read_queries.shape[1] ||
               truth.shape[0] != set.read_queries.shape[0] || truth.shape[1] < DENSE_SET_TOP))
        ok = error_set(err, ERROR_INVALID, "%s: base, queries and truth do not fit together",
                       folder);
    if (ok) {
        set.rows_n = set.read_rows.shape[0];
        set.dim = set.read_rows.shape[1];
        set.queries_n = set.read_queries.shape[0];
        set.rows = set.read_rows.data;
        set.queries = set.read_queries.data;
        set.truth = mem_alloc(set.queries_n * DENSE_SET_TOP, sizeof *set.truth);
        for (size_t q = 0; q < set.queries_n; q++)
            memcpy(set.truth + q * DENSE_SET_TOP, (const int64_t *)truth.data + q * truth.shape[1],
                   DENSE_SET_TOP * sizeof *set.truth);
        *out = set;
    } else {
        dense_set_done(&set);
    }
    npy_close(&truth);
    return ok;
}

void dense_set_done(struct dense_set *set) {
    free(set->made_rows);
    free(set->made_queries);
    free(set->truth);
    npy_close(&set->read_rows);
    npy_close(&set->read_queries);
    *set = (struct dense_set){0};
}

/* ---- truth ---- */

struct truth {
    const struct dense_set *set;
    const struct docid_set *allowed;
    int64_t *out;
};

static void truth_of(void *context, size_t q, size_t worker) {
    const struct truth *truth = context;
    const struct dense_set *set = truth->set;
    struct arena arena = {0};
    struct topk topk;
    (void)worker;
    topk_init(&topk, DENSE_SET_TOP, &arena);
    for (uint32_t i = 0; i < set->rows_n; i++)
        if (!truth->allowed || docid_set_has(truth->allowed, i))
            topk_push(&topk,
                      vec_dot_f32(set->queries + q * set->dim, set->rows + i * set->dim, set->dim),
                      i);
    topk_sort(&topk);
    for (size_t i = 0; i < DENSE_SET_TOP; i++)
        truth->out[q * DENSE_SET_TOP + i] = i < topk.n ? (int64_t)topk.heap[i].docid : -1;
    arena_done(&arena);
}

void dense_set_truth(const struct dense_set *set, const struct docid_set *allowed, size_t queries_n,
                     struct pool *pool, int64_t *truth_out) {
    struct truth truth = {set, allowed, truth_out};
    pool_run(pool, queries_n, truth_of, &truth);
}
