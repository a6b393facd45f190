/* Every kind of linear.h's kernels against plain C and against doubles. */
#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/math/linear_parts.h"
#include "tests/check.h"

static unsigned long long seed = 7;

static size_t random_below(size_t n) {
    return (size_t)(check_random(&seed) % n);
}

static float *random_floats(size_t n, float scale) {
    float *values = mem_alloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = scale * check_random_float(&seed);
    return values;
}

struct product {
    size_t rows, in_n, out_n;
    float *x, *weight, *bias; /* [rows, in_n], [out_n, in_n], [out_n] */
};

static struct product product_random(size_t rows, size_t in_n, size_t out_n) {
    return (struct product){rows,
                            in_n,
                            out_n,
                            random_floats(rows * in_n, 3),
                            random_floats(out_n * in_n, 1),
                            random_floats(out_n, 1)};
}

static void product_done(struct product *p) {
    free(p->x), free(p->weight), free(p->bias);
}

static double gelu(double v) {
    return v / 2 * (1 + erf(v / sqrt(2)));
}

/* What the kind's rounding makes of n values: the same steps, in doubles where it is no matter. */
static void rounded(enum linear_kind kind, const float *from, size_t n, double *to) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(from[i]));
    for (size_t i = 0; i < n; i++) {
        to[i] = (double)from[i];
        if (kind == LINEAR_S8)
            to[i] = most < 0x1p-100f
                        ? 0
                        : nearbyint((double)(from[i] * (127.0f / most))) * (double)(most / 127.0f);
        if (kind == LINEAR_BF16) {
            uint32_t bits = (uint32_t)linear_bf16_of(from[i]) << 16;
            float wide;
            memcpy(&wide, &bits, sizeof wide);
            to[i] = (double)wide;
        }
    }
}

/* out: [rows, out_n]; sizes: the same, 1 + the sum of |x w|, by which errors are measured. */
static void oracle(enum linear_kind kind, const struct product *p, enum linear_epilogue epilogue,
                   double *out, double *sizes) {
    double *x = mem_alloc(p->rows * p->in_n, sizeof *x), *w = mem_alloc(p->in_n, sizeof *w);
    for (size_t r = 0; r < p->rows; r++)
        rounded(kind, p->x + r * p->in_n, p->in_n, x + r * p->in_n);
    for (size_t c = 0; c < p->out_n; c++) {
        rounded(kind, p->weight + c * p->in_n, p->in_n, w);
        for (size_t r = 0; r < p->rows; r++) {
            double sum = p->bias ? (double)p->bias[c] : 0, size = 1;
            for (size_t k = 0; k < p->in_n; k++) {
                sum += x[r * p->in_n + k] * w[k];
                size += fabs(x[r * p->in_n + k] * w[k]);
            }
            out[r * p->out_n + c] = epilogue == LINEAR_GELU ? gelu(sum) : sum;
            sizes[r * p->out_n + c] = size;
        }
    }
    free(x), free(w);
}

enum { GUARD = 3 }; /* columns beyond each row that must stay as they were */

/* The product by `kernels` in the channel ranges of step channels (0: one range). [rows, out_n] */
static float *run(const struct linear_kernels *kernels, const struct product *p,
                  enum linear_epilogue epilogue, size_t step) {
    struct linear *linear = linear_pack_for(kernels, p->weight, p->bias, p->out_n, p->in_n, NULL);
    void *scratch = mem_alloc_aligned(linear_input_bytes(linear, p->rows) + 1, 1);
    struct linear_input input = linear_input_from_f32(linear, p->x, p->in_n, p->rows, scratch);
    size_t stride = p->out_n + GUARD;
    float *wide = mem_alloc(p->rows * stride, sizeof *wide);
    float *out = mem_alloc(p->rows * p->out_n, sizeof *out);
    for (size_t i = 0; i < p->rows * stride; i++)
        wide[i] = 12345;
    step = step ? step : p->out_n;
    for (size_t begin = 0; begin < p->out_n; begin += step)
        linear_run(linear, &input, begin, begin + step < p->out_n ? begin + step : p->out_n,
                   epilogue, wide, stride);
    bool kept = true;
    for (size_t r = 0; r < p->rows; r++) {
        memcpy(out + r * p->out_n, wide + r * stride, p->out_n * sizeof *out);
        for (size_t i = p->out_n; i < stride; i++)
            kept &= wide[r * stride + i] == 12345.0f;
    }
    CHECK(kept);
    CHECK(linear_kind(linear) == kernels->kind);
    CHECK(linear_bytes(linear) > p->out_n * p->in_n);
    linear_free(linear);
    free(scratch), free(wide);
    return out;
}

static bool same(const float *a, const float *b, size_t n) {
    return memcmp(a, b, n * sizeof *a) == 0;
}

/* The largest |found - expected| / size. */
static double worst(const float *found, const double *expected, const double *sizes, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(found[i]))
            return INFINITY;
        most = fmax(most, fabs((double)found[i] - expected[i]) / sizes[i]);
    }
    return most;
}

static void kernels_agree(const struct linear_kernels *kernels, const struct product *p) {
    size_t n = p->rows * p->out_n;
    double *expected = mem_alloc(n, sizeof *expected), *sizes = mem_alloc(n, sizeof *sizes);
    const struct linear_kernels *list[LINEAR_KERNELS_MAX];
    size_t list_n = linear_kernels_list(kernels->kind, list);
    for (int e = LINEAR_NONE; e <= LINEAR_GELU; e++) {
        oracle(kernels->kind, p, (enum linear_epilogue)e, expected, sizes);
        float *whole = run(kernels, p, (enum linear_epilogue)e, 0);
        CHECK(worst(whole, expected, sizes, n) < 3e-6);
        float *split = run(kernels, p, (enum linear_epilogue)e, LINEAR_CHANNELS_BLOCK);
        CHECK(same(whole, split, n));
        struct product alone = *p; /* its last row, in no company */
        alone.rows = 1;
        alone.x = p->x + (p->rows - 1) * p->in_n;
        float *last = run(kernels, &alone, (enum linear_epilogue)e, 0);
        CHECK(same(last, whole + (p->rows - 1) * p->out_n, p->out_n));
        if (kernels->kind == LINEAR_S8) { /* the plain kernels end the list */
            float *plain = run(list[list_n - 1], p, (enum linear_epilogue)e, 0);
            CHECK(same(whole, plain, n));
            free(plain);
        }
        free(whole), free(split), free(last);
    }
    free(expected), free(sizes);
}

static void shapes_agree(const struct linear_kernels *kernels) {
    static const size_t shapes[][3] = {{1, 1, 1},    {2, 3, 5},     {1, 4096, 40}, {3, 384, 33},
                                       {12, 63, 64}, {13, 65, 31},  {70, 7, 97},   {48, 200, 321},
                                       {33, 128, 5}, {17, 1030, 70}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct product p = product_random(shapes[i][0], shapes[i][1], shapes[i][2]);
        kernels_agree(kernels, &p);
        product_done(&p);
    }
    for (size_t rows = 1; rows <= 70; rows++) {
        struct product p = product_random(rows, 1 + random_below(150), 1 + random_below(100));
        if (rows % 4 == 0) {
            free(p.bias);
            p.bias = NULL;
        }
        kernels_agree(kernels, &p);
        product_done(&p);
    }
}

/* Integers at their ends, rows and channels of zeros, an outlier, the smallest and the largest. */
static void extremes_agree(const struct linear_kernels *kernels) {
    struct product p = product_random(20, 260, 70);
    for (size_t i = 0; i < p.in_n; i++) {
        p.x[i] = 2;                             /* 127 everywhere */
        p.x[p.in_n + i] = i % 2 ? 2.0f : -2.0f; /* and -127 */
        p.x[2 * p.in_n + i] = 0;
        p.x[4 * p.in_n + i] = -1e-30f;
        p.weight[i] = -1;
        p.weight[p.in_n + i] = i % 2 ? -1.0f : 1.0f;
        p.weight[2 * p.in_n + i] = 0;
    }
    p.x[3 * p.in_n + 100] = 1e6f;
    kernels_agree(kernels, &p);
    for (size_t i = 0; i < p.in_n; i++) {
        p.x[5 * p.in_n + i] = 1e-38f;
        p.x[6 * p.in_n + i] = i % 2 ? 3e38f : -3e38f;
        p.x[7 * p.in_n + i] = 1e-45f;
    }
    for (int e = LINEAR_NONE; e <= LINEAR_GELU; e++) {
        float *out = run(kernels, &p, (enum linear_epilogue)e, 0);
        bool numbers = true;
        for (size_t i = 0; i < p.rows * p.out_n; i++)
            numbers &= !isnan(out[i]) && (i / p.out_n == 6 || isfinite(out[i]));
        CHECK(kernels->kind != LINEAR_S8 || numbers);
        free(out);
    }
    product_done(&p);
}

/* A product of one input and weight 1 shows the epilogue alone: [-9, 9], and far out. */
static void gelu_is_close(const struct linear_kernels *kernels) {
    enum { N = 18001 };
    float *bias = mem_alloc(N, sizeof *bias), *weight = mem_zalloc(N, sizeof *weight), x = 1;
    double *expected = mem_alloc(N, sizeof *expected), *sizes = mem_alloc(N, sizeof *sizes);
    for (size_t i = 0; i < N; i++) {
        bias[i] = ((float)i - 9000) / 1000;
        if (i >= N - 3)
            bias[i] = i == N - 1 ? 1e30f : i == N - 2 ? -1e30f : -0.0f;
        expected[i] = gelu((double)bias[i]);
        sizes[i] = fmax(1, fabs(expected[i]));
    }
    struct product p = {1, 1, N, &x, weight, bias};
    float *out = run(kernels, &p, LINEAR_GELU, 0);
    double error = worst(out, expected, sizes, N);
    CHECK(error < 8e-7);
    printf("%s: GELU within %.2g\n", kernels->name, error);
    free(bias), free(weight), free(expected), free(sizes), free(out);
}

static void bf16_is_the_f32_rounded(const struct linear_kernels *kernels) {
    struct product p = product_random(19, 96, 75);
    float *wide = run(kernels, &p, LINEAR_GELU, 0);
    struct linear *linear = linear_pack_for(kernels, p.weight, p.bias, p.out_n, p.in_n, NULL);
    void *scratch = mem_alloc_aligned(linear_input_bytes(linear, p.rows) + 1, 1);
    struct linear_input input = linear_input_from_f32(linear, p.x, p.in_n, p.rows, scratch);
    uint16_t *out = mem_alloc(p.rows * p.out_n, sizeof *out);
    linear_run_bf16(linear, &input, 0, p.out_n, LINEAR_GELU, out, p.out_n);
    bool equal = true;
    for (size_t i = 0; i < p.rows * p.out_n; i++)
        equal &= out[i] == linear_bf16_of(wide[i]);
    CHECK(equal);
    linear_free(linear);
    free(scratch), free(out), free(wide);
    product_done(&p);
}

/* f32 rows of 4096 bytes are copied apart, or borrowed where there is no scratch: the same bits. */
static void borrowed_is_copied(const struct linear_kernels *kernels) {
    struct product p = product_random(14, 1024, 37);
    float *copied = run(kernels, &p, LINEAR_NONE, 0);
    float *borrowed = mem_alloc(p.rows * p.out_n, sizeof *borrowed);
    struct linear *linear = linear_pack_for(kernels, p.weight, p.bias, p.out_n, p.in_n, NULL);
    struct linear_input input = linear_input_from_f32(linear, p.x, p.in_n, p.rows, NULL);
    CHECK(linear_input_bytes(linear, p.rows) > 0 && input.values == p.x);
    linear_run(linear, &input, 0, p.out_n, LINEAR_NONE, borrowed, p.out_n);
    CHECK(same(borrowed, copied, p.rows * p.out_n));
    linear_free(linear);
    free(copied), free(borrowed);
    product_done(&p);
}

/* What linear_pack chooses runs, also where the kind is not there. */
static void choice_runs(enum linear_kind kind) {
    struct product p = product_random(3, 50, 40);
    struct linear *linear = linear_pack(kind, p.weight, p.bias, p.out_n, p.in_n, NULL);
    printf("kind %d: kind %d on %s\n", kind, linear_kind(linear), linear_kernels_name(linear));
    CHECK(linear_kind(linear) == kind ||
          (kind == LINEAR_BF16 && linear_kind(linear) == LINEAR_F32));
    CHECK((linear_input_bytes(linear, 9) == 0) == (linear_kind(linear) == LINEAR_F32));
    linear_free(linear);
    product_done(&p);
}

/* Rows that nn.h leaves in a layer's form are the bytes that the layer makes itself. */
static void coded_is_the_same(enum linear_kind kind) {
    static const size_t widths[] = {1, 5, 64, 80, 384, 1027};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        enum { ROWS = 21, OUT = 7 };
        size_t n = widths[w];
        struct product p = product_random(ROWS, n, OUT);
        struct linear *linear = linear_pack(kind, p.weight, p.bias, OUT, n, NULL);
        size_t bytes = linear_input_bytes(linear, ROWS);
        void *own = mem_alloc_aligned(bytes + 1, 1), *coded = mem_alloc_aligned(bytes + 1, 1);
        struct linear_input expected = linear_input_from_f32(linear, p.x, n, ROWS, own), found;
        struct nn_codes codes;
        if (linear_input_coded(linear, ROWS, coded, &codes, &found)) {
            float a[ROWS * OUT], b[ROWS * OUT];
            nn_code(p.x, ROWS, n, &codes);
            for (size_t i = 0; i < ROWS; i++)
                CHECK(memcmp((const char *)expected.values + i * expected.stride_bytes,
                             (const char *)found.values + i * found.stride_bytes,
                             expected.stride_bytes) == 0);
            linear_run(linear, &expected, 0, OUT, LINEAR_NONE, a, OUT);
            linear_run(linear, &found, 0, OUT, LINEAR_NONE, b, OUT);
            CHECK(memcmp(a, b, sizeof a) == 0);
        } else {
            CHECK(linear_kind(linear) == LINEAR_F32 || cpu_level() < CPU_AVX512);
        }
        free(own);
        free(coded);
        linear_free(linear);
        product_done(&p);
    }
}

int main(void) {
    for (int kind = LINEAR_F32; kind <= LINEAR_S8; kind++) {
        const struct linear_kernels *list[LINEAR_KERNELS_MAX];
        size_t list_n = linear_kernels_list((enum linear_kind)kind, list);
        for (size_t i = 0; i < list_n; i++) {
            shapes_agree(list[i]);
            extremes_agree(list[i]);
            gelu_is_close(list[i]);
            bf16_is_the_f32_rounded(list[i]);
            if (kind == LINEAR_F32)
                borrowed_is_copied(list[i]);
        }
        choice_runs((enum linear_kind)kind);
        coded_is_the_same((enum linear_kind)kind);
    }
    linear_free(NULL);
    return check_result();
}
