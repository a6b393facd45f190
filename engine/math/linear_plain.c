/* The kernels of linear.h in plain C: the oracle of the others, and the ones of processors without
 * AVX2. Compiled with -ffp-contract=off: where a product and a sum are rounded once, fmaf says so,
 * and the SIMD kinds do the same. */
#include <math.h>
#include <string.h>

#include "engine/math/linear_gelu.h"
#include "engine/math/linear_parts.h"

enum {
    ROWS_MAX = 4, /* a tile's sums fit the registers of 128-bit SIMD, more or less */
    GROUPS_CHUNK = 128,
};

/* Nearest, ties to even, |v| < 2^22; no undefined conversion whatever v is. */
static int32_t rounded(float v) {
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves no fraction bits */
    const int32_t round_bits = 0x4b400000;
    int32_t bits;
    v += round;
    memcpy(&bits, &v, sizeof bits);
    return bits - round_bits;
}

static float input_row(const float *x, size_t n, enum linear_form form, void *to) {
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    bool any = most >= LINEAR_SMALLEST;
    float factor = any ? 127.0f / most : 0;
    for (size_t i = 0; i < n; i++)
        ((int8_t *)to)[i] = (int8_t)rounded(x[i] * factor);
    (void)form;
    return any ? most / 127.0f : 0;
}

static void sums_f32(const struct linear_tile *tile) {
    for (size_t p = 0; p < tile->panels_n; p++) {
        float acc[ROWS_MAX][LINEAR_PANEL] = {{0}};
        for (size_t r = 0; tile->more && r < tile->rows; r++)
            memcpy(acc[r], (float *)tile->sums + r * tile->sums_stride + p * LINEAR_PANEL,
                   sizeof acc[r]);
        const float *w = (const float *)(const void *)(tile->panel + p * tile->panel_bytes);
        for (size_t g = 0; g < tile->groups_n; g++, w += LINEAR_PANEL)
            for (size_t r = 0; r < tile->rows; r++) {
                float x = ((const float *)(const void *)(tile->x + r * tile->x_stride))[g];
                for (size_t c = 0; c < LINEAR_PANEL; c++)
                    acc[r][c] += x * w[c];
            }
        for (size_t r = 0; r < tile->rows; r++)
            memcpy((float *)tile->sums + r * tile->sums_stride + p * LINEAR_PANEL, acc[r],
                   sizeof acc[r]);
    }
}

static void sums_s8(const struct linear_tile *tile) {
    for (size_t p = 0; p < tile->panels_n; p++) {
        int32_t acc[ROWS_MAX][LINEAR_PANEL] = {{0}};
        for (size_t r = 0; tile->more && r < tile->rows; r++)
            memcpy(acc[r], (int32_t *)tile->sums + r * tile->sums_stride + p * LINEAR_PANEL,
                   sizeof acc[r]);
        const int8_t *w = (const int8_t *)(tile->panel + p * tile->panel_bytes);
        for (size_t g = 0; g < tile->groups_n; g++, w += LINEAR_PANEL_GROUP_BYTES)
            for (size_t r = 0; r < tile->rows; r++) {
                const int8_t *x = (const int8_t *)(tile->x + r * tile->x_stride) + 4 * g;
                for (size_t c = 0; c < LINEAR_PANEL; c++)
                    acc[r][c] += x[0] * w[4 * c] + x[1] * w[4 * c + 1] + x[2] * w[4 * c + 2] +
                                 x[3] * w[4 * c + 3];
            }
        for (size_t r = 0; r < tile->rows; r++)
            memcpy((int32_t *)tile->sums + r * tile->sums_stride + p * LINEAR_PANEL, acc[r],
                   sizeof acc[r]);
    }
}

static float gelu(float v) {
    float t = fabsf(v) < LINEAR_GELU_END ? fabsf(v) : LINEAR_GELU_END;
    float s = fmaf(t, LINEAR_GELU_SLOPE, -1.0f);
    float p = linear_gelu_powers[LINEAR_GELU_DEGREE];
    for (size_t i = LINEAR_GELU_DEGREE; i-- > 0;)
        p = fmaf(p, s, linear_gelu_powers[i]);
    return (v > 0 ? v : 0) - p;
}

static void finish(const struct linear_finish *f) {
    for (size_t r = 0; r < f->rows; r++)
        for (size_t c = 0; c < f->channels_n; c++) {
            size_t at = r * f->sums_stride + c, to = r * f->out_stride + c;
            float v = f->row_scales
                          ? fmaf((float)((const int32_t *)f->sums)[at] * f->channel_scales[c],
                                 f->row_scales[r], f->bias[c])
                          : ((const float *)f->sums)[at] + f->bias[c];
            if (f->epilogue == LINEAR_GELU)
                v = gelu(v);
            if (f->to_bf16)
                ((uint16_t *)f->out)[to] = linear_bf16_of(v);
            else
                ((float *)f->out)[to] = v;
        }
}

const struct linear_kernels linear_plain_f32 = {
    .name = "plain",
    .kind = LINEAR_F32,
    .form = LINEAR_FORM_F32,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = ROWS_MAX,
    .rows_step = 1,
    .sums = sums_f32,
    .finish = finish,
};

const struct linear_kernels linear_plain_s8 = {
    .name = "plain",
    .kind = LINEAR_S8,
    .form = LINEAR_FORM_S8,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = ROWS_MAX,
    .rows_step = 1,
    .input_row = input_row,
    .sums = sums_s8,
    .finish = finish,
};
