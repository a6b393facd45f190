/* Every kind of the row-wise functions and products against plain doubles. */
#include "engine/base/cpu.h"
#include "engine/base/mem.h"
#include "engine/math/nn_kernels.h"
#include "tests/check.h"

static unsigned long long seed = 42;

static float *random_floats(size_t n, float scale) {
    float *values = mem_alloc(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = scale * check_random_float(&seed);
    return values;
}

/* The largest |found - expected| / max(1, |expected|). */
static double worst(const float *found, const double *expected, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)found[i] - expected[i]);
        most = fmax(most, difference / fmax(1, fabs(expected[i])));
        if (!isfinite(found[i]))
            return INFINITY;
    }
    return most;
}

static void norm_oracle(double *x, size_t n, const struct nn_norm *norm) {
    double mean = 0, variance = 0;
    for (size_t j = 0; j < n; j++)
        mean += x[j] / (double)n;
    for (size_t j = 0; j < n; j++)
        variance += (x[j] - mean) * (x[j] - mean) / (double)n;
    for (size_t j = 0; j < n; j++)
        x[j] = (x[j] - mean) / sqrt(variance + (double)norm->epsilon) * (double)norm->gain[j] +
               (double)norm->shift[j];
}

static void softmax_oracle(double *x, size_t n) {
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++)
        max = fmax(max, x[j]);
    for (size_t j = 0; j < n; j++)
        sum += x[j] = exp(x[j] - max);
    for (size_t j = 0; j < n; j++)
        x[j] /= sum;
}

static void rows_agree(const struct nn_kernels *kernels, size_t rows, size_t n, float scale) {
    float *x = random_floats(rows * n, scale), *y = random_floats(rows * n, scale);
    float *bias = random_floats(n, 1), *gain = random_floats(n, 1), *shift = random_floats(n, 1);
    float *found = mem_alloc(rows * n, sizeof *found);
    double *expected = mem_alloc(rows * n, sizeof *expected);
    const struct nn_norm norm = {gain, shift, 1e-5f};
    size_t bytes = rows * n * sizeof *found;

    memcpy(found, x, bytes);
    kernels->add_bias(found, rows, n, bias);
    for (size_t i = 0; i < rows * n; i++)
        expected[i] = (double)x[i] + (double)bias[i % n];
    CHECK(worst(found, expected, rows * n) < 1e-6);

    memcpy(found, x, bytes);
    kernels->layer_norm(found, rows, n, &norm, NULL);
    for (size_t i = 0; i < rows * n; i++)
        expected[i] = (double)x[i];
    for (size_t i = 0; i < rows; i++)
        norm_oracle(expected + i * n, n, &norm);
    CHECK(worst(found, expected, rows * n) < 1e-5);

    memcpy(found, x, bytes);
    kernels->residual_norm(found, y, bias, rows, n, &norm, NULL);
    for (size_t i = 0; i < rows * n; i++)
        expected[i] = (double)x[i] + (double)y[i] + (double)bias[i % n];
    for (size_t i = 0; i < rows; i++)
        norm_oracle(expected + i * n, n, &norm);
    CHECK(worst(found, expected, rows * n) < 1e-5);

    memcpy(found, x, bytes);
    kernels->bias_gelu(found, rows, n, bias, NULL);
    for (size_t i = 0; i < rows * n; i++) {
        double v = (double)x[i] + (double)bias[i % n];
        expected[i] = v / 2 * (1 + erf(v / sqrt(2)));
    }
    CHECK(worst(found, expected, rows * n) < 1e-6);

    memcpy(found, x, bytes);
    size_t used = n - n / 3; /* the rest of each row must stay */
    kernels->softmax(found, rows, used, n);
    for (size_t i = 0; i < rows * n; i++)
        expected[i] = (double)x[i];
    for (size_t i = 0; i < rows; i++)
        softmax_oracle(expected + i * n, used);
    CHECK(worst(found, expected, rows * n) < 1e-6);

    free(x), free(y), free(bias), free(gain), free(shift), free(found), free(expected);
}

/* Codes of rows, against the definition in doubles; bytes between rows must stay. */
static void codes_are_of(const float *x, size_t rows, size_t n, const struct nn_codes *codes) {
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)codes->values + i * codes->stride_bytes;
        size_t width = codes->form == NN_BF16 ? 2 : 1;
        float size = 0;
        for (size_t j = 0; j < n; j++)
            size = fmaxf(size, fabsf(x[i * n + j]));
        bool any = size >= 0x1p-100f;
        if (codes->form != NN_BF16)
            CHECK(codes->scales[i] == (any ? size / 127.0f : 0));
        for (size_t j = 0; j < n; j++) {
            float value = x[i * n + j];
            if (codes->form == NN_BF16) {
                uint16_t found;
                uint32_t bits, cut;
                float near, below;
                memcpy(&found, row + 2 * j, sizeof found);
                bits = (uint32_t)found << 16;
                memcpy(&near, &bits, sizeof near);
                memcpy(&cut, &value, sizeof cut);
                cut &= 0xffff0000; /* toward 0; the other neighbour is one place further */
                memcpy(&below, &cut, sizeof below);
                cut += 0x10000;
                float above;
                memcpy(&above, &cut, sizeof above);
                double down = fabs((double)value - (double)below),
                       up = fabs((double)above - (double)value);
                CHECK(down == up ? found % 2 == 0 && (near == below || near == above)
                                 : near == (down < up ? below : above));
            } else {
                int offset = codes->form == NN_U8 ? 128 : 0;
                int found = codes->form == NN_U8 ? row[j] : (int8_t)row[j];
                CHECK_EQUAL(found - offset, any ? nearbyint((double)(value * (127.0f / size))) : 0);
            }
        }
        for (size_t j = n * width; j < codes->stride_bytes; j++)
            CHECK(row[j] == 0x5a);
    }
}

static void codes_agree(const struct nn_kernels *kernels, size_t rows, size_t n, float scale) {
    float *x = random_floats(rows * n, scale), *y = random_floats(rows * n, scale);
    float *bias = random_floats(n, 1), *gain = random_floats(n, 1), *shift = random_floats(n, 1);
    float *plain = mem_alloc(rows * n, sizeof *plain), *coded = mem_alloc(rows * n, sizeof *coded);
    const struct nn_norm norm = {gain, shift, 1e-5f};
    size_t stride = 2 * n + 6, bytes = rows * n * sizeof *x;
    for (enum nn_form form = NN_S8; form <= NN_BF16; form++) {
        struct nn_codes codes = {form, mem_alloc(rows, stride), stride,
                                 form == NN_BF16 ? NULL : mem_alloc(rows, sizeof(float))};
        memset(codes.values, 0x5a, rows * stride);
        kernels->code(x, rows, n, &codes);
        codes_are_of(x, rows, n, &codes);

        memcpy(plain, x, bytes), memcpy(coded, x, bytes);
        kernels->layer_norm(plain, rows, n, &norm, NULL);
        kernels->layer_norm(coded, rows, n, &norm, &codes);
        CHECK(memcmp(plain, coded, bytes) == 0);
        codes_are_of(plain, rows, n, &codes);

        memcpy(plain, x, bytes), memcpy(coded, x, bytes);
        kernels->residual_norm(plain, y, bias, rows, n, &norm, NULL);
        kernels->residual_norm(coded, y, bias, rows, n, &norm, &codes);
        CHECK(memcmp(plain, coded, bytes) == 0);
        codes_are_of(plain, rows, n, &codes);

        memcpy(plain, x, bytes), memcpy(coded, x, bytes);
        kernels->bias_gelu(plain, rows, n, bias, NULL);
        kernels->bias_gelu(coded, rows, n, bias, &codes);
        CHECK(memcmp(plain, coded, bytes) == 0);
        codes_are_of(plain, rows, n, &codes);
        free(codes.values), free(codes.scales);
    }
    free(x), free(y), free(bias), free(gain), free(shift), free(plain), free(coded);
}

/* Exact halves go to the even neighbour; a row of nothing has no scale. */
static void codes_of_edges(const struct nn_kernels *kernels) {
    enum { N = 40, ROWS = 3 };
    float x[ROWS * N] = {0}, scales[ROWS];
    int8_t values[ROWS * N];
    uint16_t bf16[ROWS * N];
    for (size_t j = 0; j < N; j++) {
        x[j] = j ? (float)j / 2 - 10 : 127; /* a factor of 1 */
        x[2 * N + j] = 0x1p-110f;
    }
    struct nn_codes codes = {NN_S8, values, N, scales};
    memset(values, 0x5a, sizeof values);
    kernels->code(x, ROWS, N, &codes);
    codes_are_of(x, ROWS, N, &codes);
    CHECK(values[1] == -10 && values[3] == -8 && values[0] == 127 && scales[0] == 1);
    CHECK(scales[1] == 0 && values[N] == 0 && scales[2] == 0 && values[2 * N] == 0);
    x[0] = 1 + 0x1p-8f, x[1] = 1 + 0x3p-8f, x[2] = -(1 + 0x1p-8f);
    codes = (struct nn_codes){NN_BF16, bf16, 2 * N, NULL};
    kernels->code(x, ROWS, N, &codes);
    codes_are_of(x, ROWS, N, &codes);
    CHECK(bf16[0] == 0x3f80 && bf16[1] == 0x3f82 && bf16[2] == 0xbf80);
}

static void every_kind_agrees(const struct nn_kernels *kernels) {
    static const size_t widths[] = {1, 2, 7, 8, 15, 16, 17, 64, 100, 384, 1023};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (float scale = 0.01f; scale < 200; scale *= 10)
            rows_agree(kernels, 3, widths[i], scale);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        codes_agree(kernels, 3, widths[i], 3);
    codes_of_edges(kernels);
}

/* exp as softmax uses it: relative error over its whole range, and what is far below is 0. */
static void softmax_tails_are_exact(const struct nn_kernels *kernels) {
    enum { N = 4000 };
    static float x[N];
    double most = 0;
    for (size_t i = 0; i < N; i++) {
        float pair[2] = {0, -86.0f * (float)i / N};
        double expected = exp((double)pair[1]) / (1 + exp((double)pair[1]));
        kernels->softmax(pair, 1, 2, 2);
        most = fmax(most, fabs((double)pair[1] - expected) / expected);
    }
    CHECK(most < 5e-7);
    for (size_t i = 0; i < N; i++)
        x[i] = i ? -1e30f : 1e30f;
    kernels->softmax(x, 1, N, N);
    CHECK(x[0] == 1.0f && x[1] < 1e-37f);
}

int main(void) {
    every_kind_agrees(&nn_kernels_plain);
    softmax_tails_are_exact(&nn_kernels_plain);
#if defined(__x86_64__)
    if (cpu_level() >= CPU_AVX2) {
        every_kind_agrees(&nn_kernels_avx2);
        softmax_tails_are_exact(&nn_kernels_avx2);
    }
    if (cpu_level() >= CPU_AVX512) {
        every_kind_agrees(&nn_kernels_avx512);
        softmax_tails_are_exact(&nn_kernels_avx512);
    }
#endif
    return check_result();
}
