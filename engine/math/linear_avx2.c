/* The kernels of linear.h for AVX2 with FMA, and what all kinds on such processors share.
 *
 * Bytes are multiplied as 16-bit numbers: vpmaddubsw would saturate (255 * 127 * 2 > 32767), and
 * sums must be exact. */
#include "engine/math/linear_avx2.h"
#include "engine/math/linear_gelu.h"

enum { GROUPS_CHUNK = 192 }; /* 24 KiB of a panel in a first cache of 32 KiB */

LINEAR_INLINE __m256i dot_f32(__m256i sums, __m256i weights, __m256i group) {
    return _mm256_castps_si256(_mm256_fmadd_ps(
        _mm256_castsi256_ps(weights), _mm256_castsi256_ps(group), _mm256_castsi256_ps(sums)));
}

LINEAR_INLINE __m256i weights_s16(const unsigned char *from) {
    return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)from));
}

LINEAR_INLINE __m256i group_s16(const unsigned char *from) {
    int64_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi64x(bytes);
}

LINEAR_INLINE __m256i dot_s16(__m256i sums, __m256i weights, __m256i group) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(weights, group));
}

static void sums_f32(const struct linear_tile *tile) {
    linear_avx2_sums(tile, (struct linear_avx2_product){linear_avx2_load, linear_avx2_group4,
                                                        dot_f32, 8, LINEAR_GROUP_BYTES});
}

static void sums_s8(const struct linear_tile *tile) {
    linear_avx2_sums(tile, (struct linear_avx2_product){weights_s16, group_s16, dot_s16, 4,
                                                        2 * LINEAR_GROUP_BYTES});
}

LINEAR_INLINE __m256 absolute(__m256 v) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

/* x [i, i + 8), zeros from n on. */
static __m256 load_some(const float *x, size_t i, size_t n) {
    float some[LINEAR_AVX2_SUMS] = {0};
    if (i + LINEAR_AVX2_SUMS <= n)
        return _mm256_loadu_ps(x + i);
    memcpy(some, x + i, (n - i) * sizeof *some);
    return _mm256_loadu_ps(some);
}

static float row_most(const float *x, size_t n) {
    __m256 most = _mm256_setzero_ps(), other = most;
    size_t i = 0;
    for (; i + 2 * LINEAR_AVX2_SUMS <= n; i += 2 * LINEAR_AVX2_SUMS) {
        most = _mm256_max_ps(most, absolute(_mm256_loadu_ps(x + i)));
        other = _mm256_max_ps(other, absolute(_mm256_loadu_ps(x + i + LINEAR_AVX2_SUMS)));
    }
    for (; i < n; i += LINEAR_AVX2_SUMS)
        most = _mm256_max_ps(most, absolute(load_some(x, i, n)));
    most = _mm256_max_ps(most, other);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* Writes whole registers, up to 7 values beyond n: rows are padded to 64 bytes. */
float linear_avx2_input_row(const float *x, size_t n, enum linear_form form, void *to) {
    float most = row_most(x, n);
    bool any = most >= LINEAR_SMALLEST;
    const __m256 factor = _mm256_set1_ps(any ? 127.0f / most : 0);
    for (size_t i = 0; i < n; i += LINEAR_AVX2_SUMS) {
        __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(load_some(x, i, n), factor));
        __m128i shorts = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        if (form == LINEAR_FORM_S16) {
            _mm_storeu_si128((__m128i *)(void *)((int16_t *)to + i), shorts);
        } else {
            __m128i bytes = _mm_packs_epi16(shorts, shorts);
            bytes = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
            _mm_storel_epi64((__m128i *)(void *)((int8_t *)to + i), bytes);
        }
    }
    return any ? most / 127.0f : 0;
}

LINEAR_INLINE __m256 gelu(__m256 v) {
    __m256 t = _mm256_min_ps(absolute(v), _mm256_set1_ps(LINEAR_GELU_END));
    __m256 s = _mm256_fmadd_ps(t, _mm256_set1_ps(LINEAR_GELU_SLOPE), _mm256_set1_ps(-1.0f));
    __m256 p = _mm256_set1_ps(linear_gelu_powers[LINEAR_GELU_DEGREE]);
    for (int i = LINEAR_GELU_DEGREE - 1; i >= 0; i--)
        p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(linear_gelu_powers[i]));
    return _mm256_sub_ps(_mm256_max_ps(v, _mm256_setzero_ps()), p);
}

static __m128i bf16_of(__m256 v) {
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    bits = _mm256_srli_epi32(bits, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}

/* Stores the first n of 8 values. */
static void store(__m256 v, bool to_bf16, size_t n, void *out, size_t at) {
    float some[LINEAR_AVX2_SUMS];
    uint16_t some_bf16[LINEAR_AVX2_SUMS];
    if (to_bf16) {
        _mm_storeu_si128((__m128i *)(void *)some_bf16, bf16_of(v));
        memcpy((uint16_t *)out + at, some_bf16, n * sizeof *some_bf16);
    } else {
        _mm256_storeu_ps(some, v);
        memcpy((float *)out + at, some, n * sizeof *some);
    }
}

/* Eight channels from `channel` on, of all rows. whole, with_gelu: constants. */
LINEAR_INLINE void finish_line(const struct linear_finish *f, size_t channel, bool whole,
                               bool with_gelu) {
    size_t n = f->channels_n - channel;
    bool simple = n >= LINEAR_AVX2_SUMS && !f->to_bf16;
    __m256 bias = _mm256_loadu_ps(f->bias + channel);
    __m256 scale = whole ? _mm256_loadu_ps(f->channel_scales + channel) : bias;
    const float *sums = (const float *)f->sums + channel;
    for (size_t r = 0; r < f->rows; r++) {
        __m256 v = _mm256_loadu_ps(sums + r * f->sums_stride);
        if (whole) {
            v = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_castps_si256(v)), scale);
            v = _mm256_fmadd_ps(v, _mm256_set1_ps(f->row_scales[r]), bias);
        } else {
            v = _mm256_add_ps(v, bias);
        }
        if (with_gelu)
            v = gelu(v);
        size_t at = r * f->out_stride + channel;
        if (simple)
            _mm256_storeu_ps((float *)f->out + at, v);
        else
            store(v, f->to_bf16, n < LINEAR_AVX2_SUMS ? n : LINEAR_AVX2_SUMS, f->out, at);
    }
}

void linear_avx2_finish(const struct linear_finish *f) {
    bool whole = f->row_scales, with_gelu = f->epilogue == LINEAR_GELU;
    for (size_t c = 0; c < f->channels_n; c += LINEAR_AVX2_SUMS)
        switch (2 * whole + with_gelu) {
        case 0: finish_line(f, c, false, false); break;
        case 1: finish_line(f, c, false, true); break;
        case 2: finish_line(f, c, true, false); break;
        case 3: finish_line(f, c, true, true); break;
        }
}

const struct linear_kernels linear_avx2_f32 = {
    .name = "avx2",
    .kind = LINEAR_F32,
    .form = LINEAR_FORM_F32,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX2_ROWS,
    .rows_step = 1,
    .sums = sums_f32,
    .finish = linear_avx2_finish,
};

const struct linear_kernels linear_avx2_s8 = {
    .name = "avx2",
    .kind = LINEAR_S8,
    .form = LINEAR_FORM_S16,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX2_ROWS,
    .rows_step = 1,
    .input_row = linear_avx2_input_row,
    .sums = sums_s8,
    .finish = linear_avx2_finish,
};
