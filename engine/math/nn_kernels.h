/* nn_kernels.h - the kinds of nn.h's functions; only nn.c and nn_kernels.c include this. */
#ifndef TERCET_MATH_NN_KERNELS_H
#define TERCET_MATH_NN_KERNELS_H

#include <stddef.h>

#include "engine/math/nn.h"

/* codes may be NULL, but not code's. */
struct nn_kernels {
    void (*add_bias)(float *x, size_t rows, size_t n, const float *bias);
    void (*layer_norm)(float *x, size_t rows, size_t n, const struct nn_norm *norm,
                       const struct nn_codes *codes);
    void (*residual_norm)(float *x, const float *y, const float *bias, size_t rows, size_t n,
                          const struct nn_norm *norm, const struct nn_codes *codes);
    void (*bias_gelu)(float *x, size_t rows, size_t n, const float *bias,
                      const struct nn_codes *codes);
    void (*softmax)(float *x, size_t rows, size_t n, size_t stride);
    void (*code)(const float *x, size_t rows, size_t n, const struct nn_codes *codes);
};

extern const struct nn_kernels nn_kernels_plain;
#if defined(__x86_64__)
extern const struct nn_kernels nn_kernels_avx2, nn_kernels_avx512;
#endif

#endif
