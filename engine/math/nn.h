/* nn.h - what a transformer layer does between its matrix products.
 *
 * Row-wise functions on row-major f32 matrices, in place. Each has a kind for plain C, AVX2 and
 * AVX-512 (one source, nn_kernels.c, compiled once for each), chosen once by cpu_level(). Those
 * named _coded leave the finished rows a second time as the next product reads them, while they
 * are in the first cache.
 * Accuracy, measured by nn_test.c against doubles: exp within 3e-7 relative, erf within 4e-7
 * absolute, GELU within 1e-6 * max(1, |x|). */
#ifndef TERCET_MATH_NN_H
#define TERCET_MATH_NN_H

#include <stddef.h>
#include <stdint.h>

/* x [rows, n] += bias [n] */
void nn_add_bias(float *x, size_t rows, size_t n, const float *bias);

/* The learned part of a layer norm. */
struct nn_norm {
    const float *gain, *shift; /* [n] */
    float epsilon;
};

/* x [rows, n] = LayerNorm(x) = (x - mean) / sqrt(variance + epsilon) * gain + shift, by row */
void nn_layer_norm(float *x, size_t rows, size_t n, const struct nn_norm *norm);

/* x [rows, n] = LayerNorm(x + y + bias): a residual connection and its norm in one pass.
 * y: [rows, n]; bias: [n], that of the product that made y. */
void nn_residual_norm(float *x, const float *y, const float *bias, size_t rows, size_t n,
                      const struct nn_norm *norm);

/* x [rows, n] = GELU(x + bias), with erf and not the tanh form: v / 2 * (1 + erf(v / sqrt 2)) */
void nn_bias_gelu(float *x, size_t rows, size_t n, const float *bias);

/* Softmax of each row's first n values; row i begins at x + i * stride. */
void nn_softmax(float *x, size_t rows, size_t n, size_t stride);

/* How a product with 8-bit or bf16 weights reads its rows. */
enum nn_form {
    NN_S8,   /* round(x * 127 / max |x|), ties to even, and scale = max |x| / 127, by row */
    NN_U8,   /* the same + 128 */
    NN_BF16, /* nearest, ties to even; no scales */
};

/* Where coded rows go: row i begins at byte i * stride_bytes and is n values long; what is between
 * it and the next row stays. scales: [rows], NULL for NN_BF16. A row whose values are all below
 * 2^-100 becomes zeros with the scale 0. Values are finite. */
struct nn_codes {
    enum nn_form form;
    void *values;
    size_t stride_bytes;
    float *scales;
};

void nn_layer_norm_coded(float *x, size_t rows, size_t n, const struct nn_norm *norm,
                         const struct nn_codes *codes);
void nn_residual_norm_coded(float *x, const float *y, const float *bias, size_t rows, size_t n,
                            const struct nn_norm *norm, const struct nn_codes *codes);
void nn_bias_gelu_coded(float *x, size_t rows, size_t n, const float *bias,
                        const struct nn_codes *codes);

/* x [rows, n] as codes only */
void nn_code(const float *x, size_t rows, size_t n, const struct nn_codes *codes);

#endif
