/* The s8 kernel of linear.h for processors with AVX-VNNI and no AVX-512. */
#include "engine/math/linear_avx2.h"

enum { GROUPS_CHUNK = 192 }; /* 24 KiB of a panel in a first cache of 32 KiB */

LINEAR_INLINE __m256i dot_u8s8(__m256i sums, __m256i weights, __m256i group) {
    return _mm256_dpbusd_avx_epi32(sums, group, weights);
}

static void sums_s8(const struct linear_tile *tile) {
    linear_avx2_sums(tile, (struct linear_avx2_product){linear_avx2_load, linear_avx2_group4,
                                                        dot_u8s8, 8, LINEAR_GROUP_BYTES});
}

const struct linear_kernels linear_avxvnni_s8 = {
    .name = "avx vnni",
    .kind = LINEAR_S8,
    .form = LINEAR_FORM_U8,
    .groups_chunk = GROUPS_CHUNK,
    .rows_max = LINEAR_AVX2_ROWS,
    .rows_step = 1,
    .input_row = linear_avx2_input_row,
    .sums = sums_s8,
    .finish = linear_avx2_finish,
};
