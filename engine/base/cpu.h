/* cpu.h - what this processor can do, asked once.
 *
 * Kernels choose their kind by cpu_level(). TERCET_CPU=plain|avx2|avx512 in the environment lowers
 * it (never raises it), so that each kind can be tested and timed on one machine. */
#ifndef TERCET_BASE_CPU_H
#define TERCET_BASE_CPU_H

enum cpu_level {
    CPU_PLAIN,
    CPU_AVX2,   /* AVX2, FMA, F16C */
    CPU_AVX512, /* F, BW, DQ, VL, VNNI and the above */
};

enum cpu_level cpu_level(void);
const char *cpu_level_name(enum cpu_level level);

#endif
