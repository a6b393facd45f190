#include "engine/base/cpu.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>

/* __builtin_cpu_supports knows no "f16c" in clang 14. */
static bool cpu_has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

static enum cpu_level cpu_detect(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !cpu_has_f16c())
        return CPU_PLAIN;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        return CPU_AVX512;
    return CPU_AVX2;
#else
    return CPU_PLAIN;
#endif
}

const char *cpu_level_name(enum cpu_level level) {
    static const char *const names[] = {"plain", "avx2", "avx512"};
    return names[level];
}

enum cpu_level cpu_level(void) {
    static atomic_int known = -1; /* two threads that ask first both find the same answer */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level >= 0)
        return (enum cpu_level)level;
    level = (int)cpu_detect();
    const char *wanted = getenv("TERCET_CPU");
    for (int lower = CPU_PLAIN; wanted && lower < level; lower++)
        if (strcmp(wanted, cpu_level_name((enum cpu_level)lower)) == 0)
            level = lower;
    atomic_store_explicit(&known, level, memory_order_relaxed);
    return (enum cpu_level)level;
}
