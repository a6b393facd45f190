#include "engine/math/matmul.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "engine/base/cpu.h"
#include "engine/math/nn.h"

static void use_one_thread(void) {
    openblas_set_num_threads(1);
}

static void prepare(size_t m, size_t n, size_t k) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, use_one_thread);
    assert(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX);
}

void matmul_f32(const float *x, size_t m, size_t k, const float *w, size_t n, const float *bias,
                float *out) {
    matmul_transposed_f32((struct matmul_view){x, k}, (struct matmul_view){w, k}, m, n, k, 1.0f,
                          out, n);
    if (bias)
        nn_add_bias(out, m, n, bias);
}

void matmul_transposed_f32(struct matmul_view a, struct matmul_view b, size_t m, size_t n, size_t k,
                           float scale, float *out, size_t out_stride) {
    prepare(m, n, k);
    if (m == 0 || n == 0)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, scale, a.data,
                (int)a.stride, b.data, (int)b.stride, 0.0f, out, (int)out_stride);
}

void matmul_plain_f32(struct matmul_view a, struct matmul_view b, size_t m, size_t n, size_t k,
                      float *out, size_t out_stride) {
    prepare(m, n, k);
    if (m == 0 || n == 0)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a.data,
                (int)a.stride, b.data, (int)b.stride, 0.0f, out, (int)out_stride);
}

const char *matmul_core_name(void) {
    return openblas_get_corename();
}

static bool core_has_avx512(const char *core) {
    static const char *const names[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(core, names[i]) == 0)
            return true;
    return false;
}

void matmul_choose_core(char **argv) {
    /* SKYLAKEX: the AVX-512 kernels that every OpenBLAS since 0.3 has. */
    static const char *const core = "SKYLAKEX", *const guard = "TERCET_CORE_CHOSEN";
    if (cpu_level() != CPU_AVX512 || getenv(guard) || getenv("OPENBLAS_CORETYPE") ||
        core_has_avx512(openblas_get_corename()))
        return;
    if (setenv(guard, "1", 1) != 0 || setenv("OPENBLAS_CORETYPE", core, 1) != 0)
        return;
    execv("/proc/self/exe", argv);
    /* Still here: the slower kernels do the same work. The children of this process should not
     * inherit a choice that was not made. */
    unsetenv(guard);
    unsetenv("OPENBLAS_CORETYPE");
}
