/* The kernels of linear.h for AVX-512 with VNNI, and what all kinds on such processors share: the
 * rounding of activations and the finish of a tile. */
#include "engine/math/linear_avx512.h"
#include "engine/math/linear_gelu.h"

enum {
    GROUPS_CHUNK = 256, /* 32 KiB of a panel, up to 12 KiB of rows */
    AT_ONCE = 4,        /* rows of a finish whose steps alternate */
};

LINEAR_INLINE __m512i dot_f32(__m512i sums, __m512i weights, __m512i x) {
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(weights), _mm512_castsi512_ps(x),
                                               _mm512_castsi512_ps(sums)));
}

LINEAR_INLINE __m512i dot_u8s8(__m512i sums, __m512i weights, __m512i x) {
    return _mm512_dpbusd_epi32(sums, x, weights);
}

static void sums_f32(const struct linear_tile *tile) {
    linear_avx512_sums(tile, dot_f32);
}

static void sums_s8(const struct linear_tile *tile) {
    linear_avx512_sums(tile, dot_u8s8);
}

/* The first n lanes, n >= 0. */
static __mmask16 lanes(size_t n) {
    return (__mmask16)(n >= LINEAR_LINE_SUMS ? 0xffff : (1u << n) - 1);
}

static __m256i bf16_of(__m512 v) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}

static void input_row_bf16(const float *x, size_t n, uint16_t *to) {
    size_t i = 0;
    for (; i + LINEAR_LINE_SUMS <= n; i += LINEAR_LINE_SUMS)
        _mm256_storeu_si256((__m256i *)(void *)(to + i), bf16_of(_mm512_loadu_ps(x + i)));
    for (; i < n; i += LINEAR_LINE_SUMS) {
        __mmask16 mask = lanes(n - i);
        _mm256_mask_storeu_epi16(to + i, mask, bf16_of(_mm512_maskz_loadu_ps(mask, x + i)));
    }
}

static float row_most(const float *x, size_t n) {
    __m512 most[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                      _mm512_setzero_ps()};
    size_t i = 0;
    for (; i + 4 * LINEAR_LINE_SUMS <= n; i += 4 * LINEAR_LINE_SUMS)
        for (size_t v = 0; v < 4; v++)
            most[v] = _mm512_max_ps(most[v],
                                    _mm512_abs_ps(_mm512_loadu_ps(x + i + v * LINEAR_LINE_SUMS)));
    for (; i < n; i += LINEAR_LINE_SUMS)
        most[0] = _mm512_max_ps(most[0], _mm512_abs_ps(_mm512_maskz_loadu_ps(lanes(n - i), x + i)));
    return _mm512_reduce_max_ps(
        _mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3])));
}

/* x [i, i + 16) * factor, rounded to whole numbers: nearest, ties to even. */
LINEAR_INLINE __m512i whole_numbers(const float *x, size_t i, __m512 factor) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), factor));
}

/* 64 values to bytes. Packing works within each 16 bytes; one shuffle puts their 4s in order. */
LINEAR_INLINE __m512i bytes_of(const float *x, size_t i, __m512 factor) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i first = _mm512_packs_epi32(whole_numbers(x, i, factor),
                                       whole_numbers(x, i + LINEAR_LINE_SUMS, factor));
    __m512i second = _mm512_packs_epi32(whole_numbers(x, i + 2 * LINEAR_LINE_SUMS, factor),
                                        whole_numbers(x, i + 3 * LINEAR_LINE_SUMS, factor));
    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
}

float linear_avx512_input_row(const float *x, size_t n, enum linear_form form, void *to) {
    if (form == LINEAR_FORM_BF16) {
        input_row_bf16(x, n, to);
        return 1;
    }
    float most = row_most(x, n);
    bool any = most >= LINEAR_SMALLEST;
    const __m512 factor = _mm512_set1_ps(any ? 127.0f / most : 0);
    const __m512i flip = _mm512_set1_epi8(form == LINEAR_FORM_U8 ? -128 : 0);
    size_t i = 0;
    for (; i + LINEAR_LINE_BYTES <= n; i += LINEAR_LINE_BYTES)
        _mm512_storeu_si512((int8_t *)to + i, _mm512_xor_si512(bytes_of(x, i, factor), flip));
    for (; i < n; i += LINEAR_LINE_SUMS) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        __m128i q = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
        q = _mm_xor_si128(q, _mm512_castsi512_si128(flip));
        _mm_mask_storeu_epi8((int8_t *)to + i, mask, q);
    }
    return any ? most / 127.0f : 0;
}

/* GELU of n registers, step by step together: the chain of one is 70 cycles long, and the processor
 * looks only some 100 operations ahead for others to fill the time. */
LINEAR_INLINE void gelu(__m512 *v, int n) {
    __m512 s[AT_ONCE], p[AT_ONCE];
    for (int k = 0; k < n; k++) {
        __m512 t = _mm512_min_ps(_mm512_abs_ps(v[k]), _mm512_set1_ps(LINEAR_GELU_END));
        s[k] = _mm512_fmadd_ps(t, _mm512_set1_ps(LINEAR_GELU_SLOPE), _mm512_set1_ps(-1.0f));
        p[k] = _mm512_set1_ps(linear_gelu_powers[LINEAR_GELU_DEGREE]);
    }
    for (int i = LINEAR_GELU_DEGREE - 1; i >= 0; i--)
        for (int k = 0; k < n; k++)
            p[k] = _mm512_fmadd_ps(p[k], s[k], _mm512_set1_ps(linear_gelu_powers[i]));
    for (int k = 0; k < n; k++)
        v[k] = _mm512_sub_ps(_mm512_max_ps(v[k], _mm512_setzero_ps()), p[k]);
}

/* What finish_line is compiled for. */
struct finish_kind {
    bool whole, with_gelu, to_bf16;
};

/* Sixteen channels from `channel` on, of n rows from `row` on. n, kind: constants. */
LINEAR_INLINE void finish_rows(const struct linear_finish *f, size_t channel, size_t row, int n,
                               struct finish_kind kind) {
    __mmask16 mask = lanes(f->channels_n - channel);
    __m512 bias = _mm512_loadu_ps(f->bias + channel);
    __m512 scale = kind.whole ? _mm512_loadu_ps(f->channel_scales + channel) : bias;
    const float *sums = (const float *)f->sums + row * f->sums_stride + channel;
    __m512 v[AT_ONCE];
    for (int k = 0; k < n; k++) {
        v[k] = _mm512_load_ps(sums + (size_t)k * f->sums_stride);
        if (kind.whole) {
            v[k] = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_castps_si512(v[k])), scale);
            v[k] = _mm512_fmadd_ps(v[k], _mm512_set1_ps(f->row_scales[row + (size_t)k]), bias);
        } else {
            v[k] = _mm512_add_ps(v[k], bias);
        }
    }
    if (kind.with_gelu)
        gelu(v, n);
    for (int k = 0; k < n; k++) {
        size_t at = (row + (size_t)k) * f->out_stride + channel;
        if (kind.to_bf16)
            _mm256_mask_storeu_epi16((uint16_t *)f->out + at, mask, bf16_of(v[k]));
        else
            _mm512_mask_storeu_ps((float *)f->out + at, mask, v[k]);
    }
}

LINEAR_INLINE void finish_line(const struct linear_finish *f, size_t channel,
                               struct finish_kind kind) {
    size_t row = 0;
    for (; row + AT_ONCE <= f->rows; row += AT_ONCE)
        finish_rows(f, channel, row, AT_ONCE, kind);
    for (; row < f->rows; row++)
        finish_rows(f, channel, row, 1, kind);
}

void linear_avx512_finish(const struct linear_finish *f) {
    bool whole = f->row_scales, with_gelu = f->epilogue == LINEAR_GELU;
    for (size_t c = 0; c < f->channels_n; c += LINEAR_LINE_SUMS)
        switch (4 * whole + 2 * with_gelu + f->to_bf16) {
        case 0: finish_line(f, c, (struct finish_kind){false, false, false}); break;
        case 1: finish_line(f, c, (struct finish_kind){false, false, true}); break;
        case 2: finish_line(f, c, (struct finish_kind){false, true, false}); break;
        case 3: finish_line(f, c, (struct finish_kind){false, true, true}); break;
        case 4: finish_line(f, c, (struct finish_kind){true, false, false}); break;
        case 5: finish_line(f, c, (struct finish_kind){true, false, true}); break;
        case 6: finish_line(f, c, (struct finish_kind){true, true, false}); break;
        case 7: finish_line(f, c, (struct finish_kind){true, true, true}); break;
        }
}

const struct linear_kernels linear_avx512_f32 = {
    .name = "avx512",
    .kind = LINEAR_F32,
    .form = LINEAR_FORM_F32,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX512_ROWS,
    .rows_step = 1,
    .sums = sums_f32,
    .finish = linear_avx512_finish,
};

const struct linear_kernels linear_avx512_s8 = {
    .name = "avx512 vnni",
    .kind = LINEAR_S8,
    .form = LINEAR_FORM_U8,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX512_ROWS,
    .rows_step = 1,
    .input_row = linear_avx512_input_row,
    .sums = sums_s8,
    .finish = linear_avx512_finish,
};
