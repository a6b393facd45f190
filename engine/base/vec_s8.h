/* vec_s8.h - products with rows of bytes and rows of signs: what dense search scans.
 *
 * A row of bytes holds value + 128 in each byte, value in -127 .. 127; a row of signs a bit a
 * dimension, 1 for +. Dimensions are padded with zeros to a multiple of VEC_S8_STEP, so no kernel
 * has a rest. All sums are whole numbers: every kind gives the same ones (vec_s8_test.c).
 * As in vec.h, a kind is chosen once by cpu_level(). */
#ifndef TERCET_BASE_VEC_S8_H
#define TERCET_BASE_VEC_S8_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/cpu.h"

enum {
    VEC_S8_STEP = 64,       /* a zmm of bytes; a u64 of signs */
    VEC_S8_DIM_MAX = 16384, /* the index's own limit; up to it no 32-bit sum overflows */
    /* A query's largest whole number: 13 bits, of which 7 go to `high` and 6 to `low`. */
    VEC_S8_QUERY_MAX = 8096,
    VEC_S8_BIAS = 128,
};

/* value = scale * (64 * high + low), each [dim]. For products with signs a byte is enough:
 * value = about byte_scale * byte. */
struct vec_s8_query {
    int8_t *high, *low, *byte; /* [dim] the caller's, aligned to 64 bytes */
    int16_t *whole;            /* [dim] 64 * high + low */
    size_t dim;                /* a multiple of VEC_S8_STEP */
    int64_t sum;               /* of whole */
    int32_t byte_sum;
    float scale, byte_scale;
    float error; /* the length of what rounding to whole changed */
};

/* Memory for dim dimensions; release with vec_s8_query_done. */
struct vec_s8_query vec_s8_query_new(size_t dim);
void vec_s8_query_done(struct vec_s8_query *query);

/* Fills what the query's pointers and dim say. in: [dim]. */
void vec_s8_query_set(struct vec_s8_query *query, const float *in);

/* out: [dim] bytes; in = about *scale_out * (out - 128), and *error_out is the length of the
 * difference. A row of zeros has scale 0. */
void vec_s8_encode(const float *in, size_t dim, uint8_t *out, float *scale_out, float *error_out);

/* sums_out[i] = sum of (row - 128) * query->whole, for rows `which[i]` of rows: [.., dim]. */
void vec_s8_dots(const struct vec_s8_query *query, const uint8_t *rows, const uint32_t *which,
                 size_t n, float *sums_out);

/* sums_out[i] = sum of +byte where the sign is + and -byte where it is -, for rows `which[i]` of
 * signs: [.., dim / 8]. */
void vec_s8_signs(const struct vec_s8_query *query, const uint8_t *signs, const uint32_t *which,
                  size_t n, float *sums_out);

/* ---- one kind at a time, for tests and benchmarks ---- */

struct vec_s8_kind {
    void (*dots)(const struct vec_s8_query *query, const uint8_t *rows, const uint32_t *which,
                 size_t n, float *sums_out);
    void (*signs)(const struct vec_s8_query *query, const uint8_t *signs, const uint32_t *which,
                  size_t n, float *sums_out);
};

/* NULL when this CPU (or TERCET_CPU) rules the level out. */
const struct vec_s8_kind *vec_s8_kind_of(enum cpu_level level);

#endif
