/* matmul.h - OpenBLAS's f32 products, for benchmarks to stand beside ours (linear.h, attention.h).
 *
 * The one home of cblas.h. Until linear.h packed its weights, all products were these; they pack
 * theirs anew at every call. Every product runs on the thread that asks for it.
 * All matrices are row-major; dimensions up to INT_MAX. */
#ifndef TERCET_MATH_MATMUL_H
#define TERCET_MATH_MATMUL_H

#include <stddef.h>

/* out [m, n] = x [m, k] . w [n, k]^T + bias [n]; bias may be NULL. */
void matmul_f32(const float *x, size_t m, size_t k, const float *w, size_t n, const float *bias,
                float *out);

/* A matrix inside a wider one: row i begins at data + i * stride. */
struct matmul_view {
    const float *data;
    size_t stride;
};

/* out [m, n] = scale * a [m, k] . b [n, k]^T */
void matmul_transposed_f32(struct matmul_view a, struct matmul_view b, size_t m, size_t n, size_t k,
                           float scale, float *out, size_t out_stride);

/* out [m, n] = a [m, k] . b [k, n] */
void matmul_plain_f32(struct matmul_view a, struct matmul_view b, size_t m, size_t n, size_t k,
                      float *out, size_t out_stride);

/* Call it first in main. OpenBLAS chooses its kernels while it is loaded, and 0.3.21 takes CPUs
 * younger than itself for an old one (Zen 5 for Haswell: half the speed). Where this CPU has
 * AVX-512 and OpenBLAS chose a kernel without it, this sets OPENBLAS_CORETYPE and starts the
 * program again from /proc/self/exe, once; a no-op anywhere else, when the user has set
 * OPENBLAS_CORETYPE, and when the start fails. */
void matmul_choose_core(char **argv);

/* The kernel family OpenBLAS uses ("SkylakeX"), for reports. */
const char *matmul_core_name(void);

#endif
