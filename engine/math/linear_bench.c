/* The products of BGE's layers on one core: 1e9 operations a second (a product and a sum are two),
 * beside what the core can do in registers, measured in the same run, and beside OpenBLAS.
 *
 *     linear_bench [f32|bf16|s8] [small|base|m3]
 *
 * `run` is the product alone; `input` the part of the time that goes into rounding the activations
 * before it; both in CPU time, medians. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/math/linear_parts.h"
#include "engine/math/linear_peak.h"
#include "engine/math/matmul.h"

enum {
    ROWS_MAX = 1024,
    OUT_MAX = 4096,
    IN_MAX = 4096,
    REPEATS_MAX = 41,
};

static const double seconds_a_case = 0.15;

static const struct shape {
    const char *model;
    size_t out_n, in_n;
    enum linear_epilogue epilogue;
} shapes[] = {
    {"small", 384, 384, LINEAR_NONE},  {"small", 1152, 384, LINEAR_NONE},
    {"small", 1536, 384, LINEAR_GELU}, {"small", 384, 1536, LINEAR_NONE},
    {"base", 768, 768, LINEAR_NONE},   {"base", 2304, 768, LINEAR_NONE},
    {"base", 3072, 768, LINEAR_GELU},  {"base", 768, 3072, LINEAR_NONE},
    {"m3", 1024, 1024, LINEAR_NONE},   {"m3", 3072, 1024, LINEAR_NONE},
    {"m3", 4096, 1024, LINEAR_GELU},   {"m3", 1024, 4096, LINEAR_NONE},
};

static const size_t rows_of_case[] = {1, 16, 48, 128, 512, 1024};

struct bench {
    float *x, *weight, *bias, *out;
    struct linear *linear;
    void *scratch;
    const struct shape *shape;
    size_t rows;
};

static void step_input(const struct bench *b) {
    linear_input_from_f32(b->linear, b->x, b->shape->in_n, b->rows, b->scratch);
}

static void step_whole(const struct bench *b) {
    struct linear_input input =
        linear_input_from_f32(b->linear, b->x, b->shape->in_n, b->rows, b->scratch);
    linear_run(b->linear, &input, 0, b->shape->out_n, b->shape->epilogue, b->out, b->shape->out_n);
}

static void step_openblas(const struct bench *b) {
    matmul_f32(b->x, b->rows, b->shape->in_n, b->weight, b->shape->out_n, NULL, b->out);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Medians of the seconds of each step, taken in turns. */
static void measure(const struct bench *b, void (*const steps[])(const struct bench *),
                    size_t steps_n, double medians[]) {
    static double seconds[3][REPEATS_MAX];
    size_t repeats = 0;
    double begin = linear_cpu_s();
    while (repeats < 3 || (repeats < REPEATS_MAX && linear_cpu_s() - begin < seconds_a_case)) {
        for (size_t i = 0; i < steps_n; i++) {
            double at = linear_cpu_s();
            size_t n = 1; /* short steps several times, so that the clock does not count */
            steps[i](b);
            for (; linear_cpu_s() - at < 1e-3; n++)
                steps[i](b);
            seconds[i][repeats] = (linear_cpu_s() - at) / (double)n;
        }
        repeats++;
    }
    for (size_t i = 0; i < steps_n; i++) {
        qsort(seconds[i], repeats, sizeof **seconds, by_value);
        medians[i] = seconds[i][repeats / 2];
    }
}

static void case_of(struct bench *b, double peak) {
    void (*const steps[])(const struct bench *) = {step_whole, step_input, step_openblas};
    bool f32 = linear_kind(b->linear) == LINEAR_F32;
    double s[3] = {0};
    measure(b, steps, f32 ? 3 : 2, s);
    double run_s = s[0] - s[1];
    double operations = 2.0 * (double)b->rows * (double)b->shape->out_n * (double)b->shape->in_n;
    printf(
        "%-13s %-5s %4zu x %4zu%s %4zu rows %9.1f us %8.1f GOPS %5.1f %% of peak, input %4.1f %%",
        linear_kernels_name(b->linear), b->shape->model, b->shape->out_n, b->shape->in_n,
        b->shape->epilogue == LINEAR_GELU ? " gelu" : "     ", b->rows, 1e6 * run_s,
        operations / run_s / 1e9, 100 * operations / run_s / 1e9 / peak, 100 * s[1] / s[0]);
    if (f32)
        printf(", %.2f of OpenBLAS", s[2] / s[0]);
    printf("\n");
    fflush(stdout);
}

static float *random_floats(size_t n) {
    float *values = mem_alloc_aligned(n, sizeof *values);
    unsigned state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)state / 2147483648.0f - 1;
    }
    return values;
}

int main(int argc, char **argv) {
    static const char *const kinds[] = {"f32", "bf16", "s8"};
    matmul_choose_core(argv);
    struct bench b = {.x = random_floats((size_t)ROWS_MAX * IN_MAX),
                      .weight = random_floats((size_t)OUT_MAX * IN_MAX),
                      .bias = random_floats(OUT_MAX),
                      .out = random_floats((size_t)ROWS_MAX * OUT_MAX)};
    for (int kind = LINEAR_F32; kind <= LINEAR_S8; kind++) {
        const struct linear_kernels *list[LINEAR_KERNELS_MAX];
        if ((argc > 1 && strcmp(argv[1], kinds[kind]) != 0) ||
            !linear_kernels_list((enum linear_kind)kind, list))
            continue;
        double peak = linear_peak_gops((enum linear_kind)kind, list[0]->name);
        printf("%s on %s: %.1f GOPS in registers\n", kinds[kind], list[0]->name, peak);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            if (argc > 2 && strcmp(argv[2], shapes[i].model) != 0)
                continue;
            b.shape = &shapes[i];
            b.linear = linear_pack((enum linear_kind)kind, b.weight, b.bias, b.shape->out_n,
                                   b.shape->in_n, NULL);
            b.scratch = mem_alloc_aligned(linear_input_bytes(b.linear, ROWS_MAX) + 1, 1);
            for (size_t r = 0; r < sizeof rows_of_case / sizeof *rows_of_case; r++) {
                b.rows = rows_of_case[r];
                case_of(&b, peak);
            }
            linear_free(b.linear);
            free(b.scratch);
        }
    }
    free(b.x), free(b.weight), free(b.bias), free(b.out);
    return 0;
}
