#include "engine/base/maxsim.h"

#include <assert.h>

#include "engine/base/cpu.h"
#include "engine/base/maxsim_kinds.h"

/* out: [2 row_bytes pack]: the coordinates of a row's dimensions, 15 added. */
static void decode_plain(const struct maxsim_rows *rows, size_t row, uint8_t *out) {
    const uint8_t *codes = rows->codes + row * rows->row_bytes;
    for (size_t p = 0; p < rows->pack; p++) {
        uint8_t *low = out + 2 * p * rows->row_bytes, *high = low + rows->row_bytes;
        for (size_t i = 0; i < rows->row_bytes; i++) {
            low[i] = rows->points[p][codes[i] & 15];
            high[i] = rows->points[p][codes[i] >> 4];
        }
    }
}

static void best_plain(const struct maxsim_query *query, const struct maxsim_rows *rows,
                       float *best) {
    size_t fours_n = query->steps_n * MAXSIM_STEP_DIMS / 4;
    uint8_t *row_codes = query->scratch;
    for (size_t row = 0; row < rows->n; row++) {
        decode_plain(rows, row, row_codes);
        for (size_t g = 0; g < query->groups_n; g++) {
            const int8_t *values = query->values + g * fours_n * MAXSIM_LANES * 4;
            int32_t sums[MAXSIM_LANES];
            for (size_t lane = 0; lane < MAXSIM_LANES; lane++)
                sums[lane] = query->begins[g * MAXSIM_LANES + lane];
            for (size_t s = 0; s < fours_n; s++, values += MAXSIM_LANES * 4)
                for (size_t lane = 0; lane < MAXSIM_LANES; lane++)
                    for (size_t d = 0; d < 4; d++)
                        sums[lane] += row_codes[4 * s + d] * values[4 * lane + d];
            for (size_t lane = 0; lane < MAXSIM_LANES; lane++) {
                size_t at = g * MAXSIM_LANES + lane;
                float product = rows->scales[row] * (float)sums[lane];
                best[at] = product > best[at] ? product : best[at];
            }
        }
    }
}

/* ---- the choice ---- */

maxsim_function *maxsim_kind_of(enum maxsim_kind kind) {
#if defined(__x86_64__)
    if (kind == MAXSIM_AMX)
        return cpu_has(CPU_AMX) ? maxsim_best_amx : NULL;
    if (kind == MAXSIM_AVX512)
        return cpu_level() >= CPU_AVX512 ? maxsim_best_avx512 : NULL;
    if (kind == MAXSIM_AVXVNNI)
        return cpu_has(CPU_AVX_VNNI) ? maxsim_best_avxvnni : NULL;
    if (kind == MAXSIM_AVX2)
        return cpu_level() >= CPU_AVX2 ? maxsim_best_avx2 : NULL;
#endif
    return kind == MAXSIM_PLAIN ? best_plain : NULL;
}

const char *maxsim_kind_name(enum maxsim_kind kind) {
    static const char *const names[] = {"plain", "avx2", "avxvnni", "avx512", "amx"};
    return names[kind];
}

static maxsim_function *fastest(void) {
    for (int kind = MAXSIM_KINDS - 1; kind > MAXSIM_PLAIN; kind--) {
        maxsim_function *function = maxsim_kind_of((enum maxsim_kind)kind);
        if (function)
            return function;
    }
    return best_plain;
}

void maxsim_best(const struct maxsim_query *query, const struct maxsim_rows *rows, float *best) {
    assert(rows->pack >= 1 && rows->pack <= MAXSIM_PACK_MAX &&
           2 * rows->row_bytes * rows->pack <= query->steps_n * MAXSIM_STEP_DIMS &&
           query->steps_n <= MAXSIM_DIM_MAX / MAXSIM_STEP_DIMS);
    fastest()(query, rows, best);
}
