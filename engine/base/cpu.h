/* cpu.h - what this processor can do, asked once.
 *
 * Kernels choose their kind by cpu_level(), and within it by cpu_has(). TERCET_CPU in the
 * environment lowers both (never raises them), so that each kind can be tested and timed on one
 * machine: plain, avx2, avxvnni (avx2 and AVX-VNNI), avx512, avx512bf16, amx. */
#ifndef TERCET_BASE_CPU_H
#define TERCET_BASE_CPU_H

#include <stdbool.h>

enum cpu_level {
    CPU_PLAIN,
    CPU_AVX2,   /* AVX2, FMA, F16C */
    CPU_AVX512, /* F, BW, DQ, VL, VNNI and the above */
};

/* What only some processors of a level have; a set of bits. */
enum cpu_feature {
    CPU_AVX_VNNI = 1,    /* with CPU_AVX2: byte products of 256 bits (Alder Lake, Zen 5) */
    CPU_AVX512_BF16 = 2, /* with CPU_AVX512 (Cooper Lake, Sapphire Rapids, Zen 4) */
    CPU_AMX = 4,         /* with CPU_AVX512: tiles, INT8 and BF16, and the kernel lets this process
                          * use them (the first question asks it for leave) */
};

enum cpu_level cpu_level(void);
bool cpu_has(enum cpu_feature feature);
const char *cpu_level_name(enum cpu_level level);

#endif
