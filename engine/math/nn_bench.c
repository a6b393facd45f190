/* Each kind of nn.h's functions, in ns a row and values a ns, on rows that stay in the second cache
 * (32 of a base model's width, and of its intermediate width). One thread; medians.
 *
 *     nn_bench */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/math/nn_kernels.h"

enum { ROWS = 32, TURNS = 301, WIDTHS = 3 };

struct bench {
    const struct nn_kernels *kernels;
    size_t n;
    float *from, *x, *y, *bias;
    struct nn_norm norm;
    struct nn_codes codes;
};

static double cpu_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_norm(const struct bench *b) {
    b->kernels->residual_norm(b->x, b->y, b->bias, ROWS, b->n, &b->norm, NULL);
}

static void run_norm_s8(const struct bench *b) {
    b->kernels->residual_norm(b->x, b->y, b->bias, ROWS, b->n, &b->norm, &b->codes);
}

static void run_gelu(const struct bench *b) {
    b->kernels->bias_gelu(b->x, ROWS, b->n, b->bias, NULL);
}

static void run_gelu_s8(const struct bench *b) {
    b->kernels->bias_gelu(b->x, ROWS, b->n, b->bias, &b->codes);
}

static void run_code_s8(const struct bench *b) {
    b->kernels->code(b->x, ROWS, b->n, &b->codes);
}

static void run_softmax(const struct bench *b) {
    b->kernels->softmax(b->x, ROWS, b->n, b->n);
}

static const struct {
    const char *name;
    void (*run)(const struct bench *);
} cases[] = {
    {"residual + norm", run_norm}, {"residual + norm + s8", run_norm_s8},
    {"bias + gelu", run_gelu},     {"bias + gelu + s8", run_gelu_s8},
    {"s8", run_code_s8},           {"softmax", run_softmax},
};

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void time_cases(struct bench *b, const char *kind) {
    static double seconds[TURNS];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (size_t turn = 0; turn < TURNS; turn++) {
            for (size_t i = 0; i < ROWS * b->n; i++)
                b->x[i] = b->from[i];
            double before_s = cpu_now_s();
            cases[c].run(b);
            seconds[turn] = cpu_now_s() - before_s;
        }
        qsort(seconds, TURNS, sizeof *seconds, ascending);
        double row_ns = 1e9 * seconds[TURNS / 2] / ROWS;
        printf("%4zu wide  %-7s %-22s %8.1f ns/row %6.2f values/ns\n", b->n, kind, cases[c].name,
               row_ns, (double)b->n / row_ns);
    }
}

static float *random_floats(size_t n) {
    static unsigned long long seed = 1;
    float *values = mem_alloc_aligned(n, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        values[i] = (float)(seed >> 40) / 0x1p23f - 1;
    }
    return values;
}

static void bench_width(size_t n) {
    struct bench b = {.n = n, .from = random_floats(ROWS * n), .x = random_floats(ROWS * n)};
    float *gain = random_floats(n), *shift = random_floats(n), scales[ROWS];
    b.y = random_floats(ROWS * n), b.bias = random_floats(n);
    b.norm = (struct nn_norm){gain, shift, 1e-5f};
    b.codes = (struct nn_codes){NN_S8, mem_alloc_aligned(ROWS, n), n, scales};
    b.kernels = &nn_kernels_plain;
    time_cases(&b, "plain");
#if defined(__x86_64__)
    b.kernels = &nn_kernels_avx2;
    if (cpu_level() >= CPU_AVX2)
        time_cases(&b, "avx2");
    b.kernels = &nn_kernels_avx512;
    if (cpu_level() >= CPU_AVX512)
        time_cases(&b, "avx512");
#endif
    free(b.from), free(b.x), free(b.y), free(b.bias), free(gain), free(shift), free(b.codes.values);
}

int main(void) {
    static const size_t widths[WIDTHS] = {384, 1024, 4096};
    for (size_t i = 0; i < WIDTHS; i++)
        bench_width(widths[i]);
    return 0;
}
