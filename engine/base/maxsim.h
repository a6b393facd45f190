/* maxsim.h - the kernels of late interaction (ColBERT; Khattab & Zaharia 2020): of a document's
 * rows the best for each query vector.
 *
 * A row is a string of 4-bit codes. A code is the number of one of sixteen points of `pack`
 * dimensions, whose coordinates are small whole numbers, and query vectors are int8, so a product
 * is integer arithmetic and the same on every processor, to the bit. Each kind turns a row's codes
 * into bytes (a look-up within a register) and multiplies these; maxsim_test.c compares all kinds
 * with plain arithmetic. */
#ifndef TERCET_BASE_MAXSIM_H
#define TERCET_BASE_MAXSIM_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAXSIM_LANES = 16,      /* query vectors served together: a zmm of s32, a tile's width */
    MAXSIM_DIM_MAX = 16384, /* the index's own limit */
    MAXSIM_STEP_DIMS = 64,  /* dimensions come in such steps: a tile's row of bytes */
    MAXSIM_POINTS = 16,
    MAXSIM_PACK_MAX = 4,
    MAXSIM_LEVEL_MAX = 15,  /* coordinates are within +-15 and stored with 15 added */
    MAXSIM_BLOCK_ROWS = 32, /* decoded at a time */
};

/* Bytes from one decoded row to the next: one cache line more than the dimensions, since rows that
 * lie powers of 2 apart would drive each other out of the first cache. */
#define MAXSIM_SCRATCH_STRIDE(steps_n) (((steps_n) + 1) * MAXSIM_STEP_DIMS)

/* Query vectors as int8, four dimensions of sixteen vectors side by side, so that each 32-bit lane
 * of a register gathers one vector's product and nothing is ever summed across lanes. Dimensions
 * beyond the vector's and lanes beyond the last vector hold 0. All aligned to 64 bytes.
 * scratch: any content; one thread at a time. */
struct maxsim_query {
    const int8_t *values;  /* [groups_n, steps_n * MAXSIM_STEP_DIMS / 4, MAXSIM_LANES, 4] */
    const int32_t *begins; /* [groups_n, MAXSIM_LANES]: -15 x the sum of a vector's values, which
                             * takes the 15 of the stored coordinates away again */
    size_t groups_n;       /* of MAXSIM_LANES query vectors */
    size_t steps_n;        /* of MAXSIM_STEP_DIMS dimensions */
    uint8_t *scratch;      /* [MAXSIM_BLOCK_ROWS, MAXSIM_SCRATCH_STRIDE] */
};

/* Byte i of a row holds code i in its low half and code row_bytes + i in its high half; code c is
 * the point of dimensions c, c + 2 row_bytes, c + 4 row_bytes ...: each coordinate of all points
 * together is a run of dimensions. */
struct maxsim_rows {
    const uint8_t *codes; /* [n, row_bytes], perhaps unaligned; not one byte beyond
                                           * them is read */
    const uint8_t (*points)[MAXSIM_POINTS]; /* [pack]: coordinate + 15, 0 .. 30 */
    const float *scales;                    /* [n]: what a row's products are worth */
    size_t n, row_bytes, pack;              /* 2 row_bytes pack <= steps_n * MAXSIM_STEP_DIMS */
};

/* best[groups_n * MAXSIM_LANES]: raised to the largest, over the rows, of
 *     scale * (float)(sum over dimensions of value x coordinate) */
void maxsim_best(const struct maxsim_query *query, const struct maxsim_rows *rows, float *best);

/* ---- one kind at a time, for tests and benchmarks ---- */

enum maxsim_kind {
    MAXSIM_PLAIN,
    MAXSIM_AVX2,
    MAXSIM_AVXVNNI,
    MAXSIM_AVX512,
    MAXSIM_AMX,
    MAXSIM_KINDS
};

typedef void maxsim_function(const struct maxsim_query *query, const struct maxsim_rows *rows,
                             float *best);

/* NULL when this processor (or TERCET_CPU) rules the kind out. */
maxsim_function *maxsim_kind_of(enum maxsim_kind kind);
const char *maxsim_kind_name(enum maxsim_kind kind);

#endif
