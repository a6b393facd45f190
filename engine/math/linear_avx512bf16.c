/* The bf16 kernel of linear.h for processors with AVX512_BF16 and no AMX. */
#include "engine/math/linear_avx512.h"

enum { GROUPS_CHUNK = 256 }; /* 32 KiB of a panel, up to 12 KiB of rows */

LINEAR_INLINE __m512i dot_bf16(__m512i sums, __m512i weights, __m512i x) {
    return _mm512_castps_si512(
        _mm512_dpbf16_ps(_mm512_castsi512_ps(sums), (__m512bh)weights, (__m512bh)x));
}

static void sums_bf16(const struct linear_tile *tile) {
    linear_avx512_sums(tile, dot_bf16);
}

const struct linear_kernels linear_avx512bf16_bf16 = {
    .name = "avx512 bf16",
    .kind = LINEAR_BF16,
    .form = LINEAR_FORM_BF16,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX512_ROWS,
    .rows_step = 1,
    .input_row = linear_avx512_input_row,
    .sums = sums_bf16,
    .finish = linear_avx512_finish,
};
