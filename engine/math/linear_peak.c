#include "engine/math/linear_peak.h"

#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

double linear_cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)

/* Twelve independent sums hide the latency; the empty asm keeps each from being thought away. */
#define TWELVE(STEP)                                                                               \
    STEP(0)                                                                                        \
    STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)

/* A function that runs OP on twelve registers of TYPE, steps_n times. */
#define LOOP(NAME, TARGET, TYPE, INPUT, ZERO, OP)                                                  \
    __attribute__((target(TARGET))) static void NAME(long steps_n) {                               \
        INPUT;                                                                                     \
        TYPE TWELVE_NAMES(ZERO);                                                                   \
        for (long i = 0; i < steps_n; i++) {                                                       \
            TWELVE(OP)                                                                             \
        }                                                                                          \
    }
#define TWELVE_NAMES(ZERO)                                                                         \
    a0 = ZERO, a1 = ZERO, a2 = ZERO, a3 = ZERO, a4 = ZERO, a5 = ZERO, a6 = ZERO, a7 = ZERO,        \
    a8 = ZERO, a9 = ZERO, a10 = ZERO, a11 = ZERO

#define FMA512(I)                                                                                  \
    a##I = _mm512_fmadd_ps(x, x, a##I);                                                            \
    __asm__ volatile("" : "+v"(a##I));
#define VNNI512(I)                                                                                 \
    a##I = _mm512_dpbusd_epi32(a##I, x, x);                                                        \
    __asm__ volatile("" : "+v"(a##I));
#define FMA256(I)                                                                                  \
    a##I = _mm256_fmadd_ps(x, x, a##I);                                                            \
    __asm__ volatile("" : "+x"(a##I));
#define MADD256(I)                                                                                 \
    {                                                                                              \
        __m256i product = _mm256_madd_epi16(x, x);                                                 \
        __asm__ volatile("" : "+x"(product), "+x"(x));                                             \
        a##I = _mm256_add_epi32(a##I, product);                                                    \
        __asm__ volatile("" : "+x"(a##I));                                                         \
    }

#define AVXVNNI256(I)                                                                              \
    a##I = _mm256_dpbusd_avx_epi32(a##I, x, x);                                                    \
    __asm__ volatile("" : "+x"(a##I));
#define BF512(I)                                                                                   \
    a##I = _mm512_dpbf16_ps(a##I, (__m512bh)x, (__m512bh)x);                                       \
    __asm__ volatile("" : "+v"(a##I));

LOOP(avxvnni256, "avx2,avxvnni", __m256i, __m256i x = _mm256_setzero_si256(),
     _mm256_setzero_si256(), AVXVNNI256)
LOOP(bf512, "avx512f,avx512bf16", __m512, __m512i x = _mm512_setzero_si512(), _mm512_setzero_ps(),
     BF512)
LOOP(fma512, "avx512f", __m512, __m512 x = _mm512_setzero_ps(), _mm512_setzero_ps(), FMA512)
LOOP(vnni512, "avx512f,avx512vnni", __m512i, __m512i x = _mm512_setzero_si512(),
     _mm512_setzero_si512(), VNNI512)
LOOP(fma256, "avx2,fma", __m256, __m256 x = _mm256_setzero_ps(), _mm256_setzero_ps(), FMA256)
LOOP(madd256, "avx2", __m256i, __m256i x = _mm256_set1_epi16(1), _mm256_setzero_si256(), MADD256)

/* Sixteen rows of 64 bytes in each tile; four sums, as in linear_amx.c. The tiles hold zeros. */
__attribute__((target("amx-tile"))) static void tiles_begin(void) {
    struct {
        unsigned char palette, start_row, reserved[14];
        unsigned short row_bytes[16];
        unsigned char rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* gcc 12 takes it to read 8 bytes */
    _tile_loadconfig(&config);
}

__attribute__((target("amx-tile,amx-int8"))) static void amx_s8(long steps_n) {
    tiles_begin();
    for (long i = 0; i < steps_n; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
}

__attribute__((target("amx-tile,amx-bf16"))) static void amx_bf16(long steps_n) {
    tiles_begin();
    for (long i = 0; i < steps_n; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}

/* The best of several short runs: what the core does when nobody disturbs it. */
static double best_gops(void (*loop)(long), double operations_a_step) {
    enum { STEPS = 200000, RUNS = 15 };
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double begin = linear_cpu_s();
        loop(STEPS);
        double gops = STEPS * operations_a_step / (linear_cpu_s() - begin) / 1e9;
        best = gops > best ? gops : best;
    }
    return best;
}

double linear_peak_gops(enum linear_kind kind, const char *kernels_name) {
    if (strcmp(kernels_name, "avx512") == 0)
        return best_gops(fma512, 12 * 2 * 16);
    if (strcmp(kernels_name, "avx512 vnni") == 0)
        return best_gops(vnni512, 12 * 2 * 64);
    if (strcmp(kernels_name, "amx") == 0)
        return kind == LINEAR_S8 ? best_gops(amx_s8, 4 * 2 * 16 * 16 * 64)
                                 : best_gops(amx_bf16, 4 * 2 * 16 * 16 * 32);
    if (strcmp(kernels_name, "avx vnni") == 0)
        return best_gops(avxvnni256, 12 * 2 * 32);
    if (strcmp(kernels_name, "avx512 bf16") == 0)
        return best_gops(bf512, 12 * 2 * 32);
    if (strcmp(kernels_name, "avx2") == 0)
        return kind == LINEAR_S8 ? best_gops(madd256, 12 * 2 * 16) : best_gops(fma256, 12 * 2 * 8);
    return 0;
}

#else

double linear_peak_gops(enum linear_kind kind, const char *kernels_name) {
    (void)kind, (void)kernels_name;
    return 0;
}

#endif
