#include "ingest/token_pool.h"

#include <string.h>

#include "engine/base/vec.h"

/* Sums of runs shorter than this have no direction to speak of. */
static const float length_min = 1e-3f;

static void pool_run(const float *vectors, uint32_t n, uint32_t dim, float *out) {
    memcpy(out, vectors, dim * sizeof *out);
    for (size_t v = 1; v < n; v++)
        for (size_t i = 0; i < dim; i++)
            out[i] += vectors[v * dim + i];
    if (vec_dot_f32(out, out, dim) < length_min * length_min)
        memcpy(out, vectors, dim * sizeof *out);
    vec_normalize(out, dim);
}

uint32_t token_pool(const float *vectors, uint32_t n, uint32_t dim, uint32_t factor, float *out) {
    uint32_t pooled_n = 0;
    for (uint32_t at = 0; at < n; pooled_n++) {
        uint32_t run = n - at < factor ? n - at : factor;
        pool_run(vectors + (size_t)at * dim, run, dim, out + (size_t)pooled_n * dim);
        at += run;
    }
    return pooled_n;
}
