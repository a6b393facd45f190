/* linear.h - the products of a network's linear layers: out = x . W^T + bias.
 *
 * W is packed once, when the model is loaded; a product then only reads. Three kinds:
 *
 *   LINEAR_F32   sums of f32.
 *   LINEAR_BF16  weights and activations rounded to bf16, sums in f32: half the bytes. Where the
 *                processor has no bf16 products (neither AVX512_BF16 nor AMX), linear_pack makes
 *                LINEAR_F32 of it: the results are then more exact, not faster. Intel's AVX512_BF16
 *                without AMX is slower than f32 (measured on Sapphire Rapids: half).
 *   LINEAR_S8    weights rounded to 8 bits by output channel (scale = max |w| / 127), activations
 *                by row (scale = max |x| / 127), both symmetric; the sums are exact integers, so
 *                the result is the same bit for bit on every processor.
 *
 * One binary has kernels for plain C, AVX2, AVX-VNNI, AVX-512 (VNNI, BF16) and AMX; cpu.h chooses.
 * An element of the output is summed in the same order however many rows the batch has and however
 * the channels are split, so a text's vector does not depend on its company.
 * GELU is within 8e-7 of v / 2 * (1 + erf(v / sqrt 2)), absolute, before the last rounding.
 *
 * Rows: hand over some 64 to 256 at a time, so that outputs stay in the second cache. Writing them
 * is what s8 on AMX waits for: 1152 x 384 makes 2900 GOPS at 128 rows and 2000 at 512.
 *
 * Threads: a struct linear is immutable and shared. A run allocates nothing and takes no lock; the
 * input and the output are the caller's. Finite input gives finite output as far as the true
 * result fits an f32, and never NaN. */
#ifndef TERCET_MATH_LINEAR_H
#define TERCET_MATH_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/pages.h"
#include "engine/math/nn.h"

enum {
    LINEAR_CHANNELS_BLOCK = 32, /* channel ranges begin at multiples of it */
    LINEAR_IN_MAX = 65536,      /* columns of W; 127 * 127 * 65536 < 2^31 keeps s8 sums exact */
};

enum linear_kind { LINEAR_F32, LINEAR_BF16, LINEAR_S8 };

enum linear_epilogue {
    LINEAR_NONE,
    LINEAR_GELU, /* with erf, not the tanh form */
};

struct linear;

/* weight: [out_n, in_n] row-major, finite; bias: [out_n] or NULL. Both are copied.
 * 1 <= in_n <= LINEAR_IN_MAX, 1 <= out_n. Release with linear_free, which accepts NULL.
 * pages: where the packed matrix goes (base/pages.h), for the layers of a model; it must outlive
 * the layer. NULL: memory of its own. */
struct linear *linear_pack(enum linear_kind kind, const float *weight, const float *bias,
                           size_t out_n, size_t in_n, struct pages *pages);
void linear_free(struct linear *linear);

/* Heap bytes of the packed form. */
size_t linear_bytes(const struct linear *linear);

/* The kind that is really used (LINEAR_BF16 may be LINEAR_F32), and the kernels' name: "amx". */
enum linear_kind linear_kind(const struct linear *linear);
const char *linear_kernels_name(const struct linear *linear);

/* Activations in the form that a layer reads; made by linear_input_from_f32. One input serves all
 * layers of one kind and one in_n. */
struct linear_input {
    const void *values; /* row i begins at byte i * stride_bytes */
    size_t stride_bytes;
    const float *scales; /* [rows] of LINEAR_S8; else NULL */
    size_t rows;
};

/* Bytes of scratch that linear_input_from_f32 wants for so many rows; 0 where it borrows x: for
 * LINEAR_F32, unless rows of in_n floats would all meet in the same sets of the first cache. */
size_t linear_input_bytes(const struct linear *linear, size_t rows);

/* x: [rows, in_n], row i at x + i * x_stride. scratch: linear_input_bytes() bytes aligned to 64
 * (mem_alloc_aligned), or NULL for LINEAR_F32, which then borrows x in any case. The scratch, and x
 * where it is borrowed, must live as long as the input.
 * LINEAR_S8: values of a row that are all below 2^-100 become 0. */
struct linear_input linear_input_from_f32(const struct linear *linear, const float *x,
                                          size_t x_stride, size_t rows, void *scratch);

/* For rows that nn.h's ..._coded functions leave in the layer's form: where they go, in `scratch`
 * as above, and the input that they are then: the bytes that linear_input_from_f32 makes. False
 * where the kernels read a form that nn.h does not write. */
bool linear_input_coded(const struct linear *linear, size_t rows, void *scratch,
                        struct nn_codes *codes_out, struct linear_input *out);

/* For the channels c of [begin, end): out[i * out_stride + c] = epilogue(x_i . W_c + bias_c).
 * begin is a multiple of LINEAR_CHANNELS_BLOCK; end is one too, or out_n. Several threads may run
 * ranges of one product at once. Nothing outside [begin, end) of a row is written. */
void linear_run(const struct linear *linear, const struct linear_input *input, size_t begin,
                size_t end, enum linear_epilogue epilogue, float *out, size_t out_stride);

/* The same, rounded to bf16 (nearest, ties to even). */
void linear_run_bf16(const struct linear *linear, const struct linear_input *input, size_t begin,
                     size_t end, enum linear_epilogue epilogue, uint16_t *out, size_t out_stride);

#endif
