/* Attention's kinds at the shapes of models, beside the two f32 products and the softmax of whole
 * score rows that it replaced (OpenBLAS). One thread; all kinds take turns, and a row's figure is
 * the median of its turns. GFLOPS count 4 * n * n * hidden.
 *
 *     attention_bench [seconds a shape] [kind] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/math/attention_kernels.h"
#include "engine/math/matmul.h"
#include "engine/math/nn.h"

enum { TURNS_MAX = 301, KINDS_MAX = ATTENTION_KINDS_MAX + 1 };

static double cpu_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* scores: [64, n] */
static void attend_by_products(const float *qkv, size_t n, size_t hidden, size_t heads_n,
                               float *scores, float *out) {
    enum { TILE = 64 };
    size_t dim = hidden / heads_n, stride = 3 * hidden;
    for (size_t head = 0; head < heads_n; head++)
        for (size_t at = 0; at < n; at += TILE) {
            const float *q = qkv + head * dim, *k = q + hidden, *v = k + hidden;
            size_t rows = n - at < TILE ? n - at : TILE;
            matmul_transposed_f32((struct matmul_view){q + at * stride, stride},
                                  (struct matmul_view){k, stride}, rows, n, dim,
                                  1.0f / sqrtf((float)dim), scores, n);
            nn_softmax(scores, rows, n, n);
            matmul_plain_f32((struct matmul_view){scores, n}, (struct matmul_view){v, stride}, rows,
                             dim, n, out + at * hidden + head * dim, hidden);
        }
}

static void attend_by_kind(const struct attention_kernels *kind, const struct attention *in,
                           void *packed, void *scratch, float *out) {
    for (size_t head = 0; head < in->heads_n; head++) {
        kind->pack(in, head, packed);
        kind->attend(in, head, packed, 0, in->n, scratch, out);
    }
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(const char *name, const struct attention *in, double *seconds, size_t turns,
                   double *products_s) {
    qsort(seconds, turns, sizeof *seconds, ascending);
    double n = (double)in->n, median_s = seconds[turns / 2];
    if (*products_s == 0)
        *products_s = median_s;
    printf("%2zu x %-3zu %5zu tokens  %-12s %8.1f GFLOPS %9.1f ns/token  x%.2f\n", in->heads_n,
           in->hidden / in->heads_n, in->n, name, 4e-9 * n * n * (double)in->hidden / median_s,
           1e9 * median_s / n, *products_s / median_s);
}

static void bench(size_t heads_n, size_t dim, size_t n, double limit_s, const char *only) {
    const struct attention_kernels *kinds[KINDS_MAX];
    static double seconds[KINDS_MAX + 1][TURNS_MAX];
    size_t hidden = heads_n * dim, turns = 0, kinds_n = 0, packed_bytes = 0, scratch_bytes = 0;
    unsigned long long seed = 1;
    float *qkv = mem_alloc_aligned(n * 3 * hidden, sizeof *qkv);
    uint16_t *rounded = mem_alloc_aligned(n * 3 * hidden, sizeof *rounded);
    float *out = mem_alloc_aligned(n * hidden, sizeof *out);
    float *scores = mem_alloc_aligned(64 * n, sizeof *scores);
    for (size_t i = 0; i < n * 3 * hidden; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        rounded[i] = attention_bf16_of((float)(seed >> 40) / 0x1p23f - 1);
        qkv[i] = attention_f32_of(rounded[i]);
    }
    for (attention_kinds(true, kinds); kinds[kinds_n]; kinds_n++) {
        size_t bytes = kinds[kinds_n]->packed_bytes(n, dim);
        packed_bytes = bytes > packed_bytes ? bytes : packed_bytes;
        bytes = kinds[kinds_n]->scratch_bytes(dim);
        scratch_bytes = bytes > scratch_bytes ? bytes : scratch_bytes;
    }
    void *packed = mem_alloc_aligned(packed_bytes, 1);
    void *scratch = mem_alloc_aligned(scratch_bytes, 1);
    struct attention in = {.n = n, .hidden = hidden, .heads_n = heads_n};
    for (double start_s = cpu_now_s(); turns < TURNS_MAX; turns++) {
        double before_s = cpu_now_s();
        if (turns > 2 && before_s - start_s > limit_s)
            break;
        attend_by_products(qkv, n, hidden, heads_n, scores, out);
        seconds[0][turns] = cpu_now_s() - before_s;
        for (size_t i = 0; i < kinds_n; i++) {
            if (!strstr(kinds[i]->name, only))
                continue;
            bool is_bf16 = kinds[i]->name[0] == 'b';
            in.qkv_f32 = is_bf16 ? NULL : qkv;
            in.qkv_bf16 = is_bf16 ? rounded : NULL;
            before_s = cpu_now_s();
            attend_by_kind(kinds[i], &in, packed, scratch, out);
            seconds[i + 1][turns] = cpu_now_s() - before_s;
        }
    }
    double products_s = 0;
    report("products", &in, seconds[0], turns, &products_s);
    for (size_t i = 0; i < kinds_n; i++)
        if (strstr(kinds[i]->name, only))
            report(kinds[i]->name, &in, seconds[i + 1], turns, &products_s);
    free(qkv), free(rounded), free(out), free(scores), free(packed), free(scratch);
}

int main(int argc, char **argv) {
    static const size_t shapes[][3] = {{12, 32, 16},  {12, 32, 128},  {12, 32, 300},
                                       {12, 32, 512}, {16, 64, 16},   {16, 64, 128},
                                       {16, 64, 512}, {16, 64, 2048}, {16, 64, 8192}};
    matmul_choose_core(argv);
    double limit_s = argc > 1 ? atof(argv[1]) : 2;
    printf("cpu %s, products by %s\n", cpu_level_name(cpu_level()), matmul_core_name());
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench(shapes[i][0], shapes[i][1], shapes[i][2], limit_s, argc > 2 ? argv[2] : "");
    return 0;
}
