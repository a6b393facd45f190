#include "engine/math/nn.h"

#include "engine/base/cpu.h"
#include "engine/math/nn_kernels.h"

static const struct nn_kernels *kernels(void) {
#if defined(__x86_64__)
    switch (cpu_level()) {
    case CPU_AVX512: return &nn_kernels_avx512;
    case CPU_AVX2: return &nn_kernels_avx2;
    case CPU_PLAIN: break;
    }
#endif
    return &nn_kernels_plain;
}

void nn_add_bias(float *x, size_t rows, size_t n, const float *bias) {
    kernels()->add_bias(x, rows, n, bias);
}

void nn_layer_norm(float *x, size_t rows, size_t n, const struct nn_norm *norm) {
    kernels()->layer_norm(x, rows, n, norm, NULL);
}

void nn_residual_norm(float *x, const float *y, const float *bias, size_t rows, size_t n,
                      const struct nn_norm *norm) {
    kernels()->residual_norm(x, y, bias, rows, n, norm, NULL);
}

void nn_bias_gelu(float *x, size_t rows, size_t n, const float *bias) {
    kernels()->bias_gelu(x, rows, n, bias, NULL);
}

void nn_softmax(float *x, size_t rows, size_t n, size_t stride) {
    kernels()->softmax(x, rows, n, stride);
}

void nn_layer_norm_coded(float *x, size_t rows, size_t n, const struct nn_norm *norm,
                         const struct nn_codes *codes) {
    kernels()->layer_norm(x, rows, n, norm, codes);
}

void nn_residual_norm_coded(float *x, const float *y, const float *bias, size_t rows, size_t n,
                            const struct nn_norm *norm, const struct nn_codes *codes) {
    kernels()->residual_norm(x, y, bias, rows, n, norm, codes);
}

void nn_bias_gelu_coded(float *x, size_t rows, size_t n, const float *bias,
                        const struct nn_codes *codes) {
    kernels()->bias_gelu(x, rows, n, bias, codes);
}

void nn_code(const float *x, size_t rows, size_t n, const struct nn_codes *codes) {
    kernels()->code(x, rows, n, codes);
}
