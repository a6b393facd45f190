#include "engine/base/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

struct cpu {
    enum cpu_level level;
    unsigned features; /* of enum cpu_feature */
};

#if defined(__x86_64__)
/* __builtin_cpu_supports knows no "f16c" in clang 14. */
static bool cpu_has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

/* The tiles' 8 KiB of state are saved for a process only after it has asked (Linux 5.16, x86
 * xstate documentation). The leave is the process's, for all its threads. */
static bool cpu_may_use_tiles(void) {
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

/* The bits of Intel's manual, CPUID leaf 7: builtins for them are younger than our compilers. */
static unsigned cpu_find_features(enum cpu_level level) {
    const unsigned avx_vnni = 1u << 4, avx512_bf16 = 1u << 5;                   /* 7.1 eax */
    const unsigned amx = 1u << 22 /* BF16 */ | 1u << 24 /* tiles */ | 1u << 25; /* 7.0 edx */
    unsigned eax, ebx, ecx, edx, features = 0;
    if (level >= CPU_AVX2 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) {
        if (eax & avx_vnni)
            features |= CPU_AVX_VNNI;
        if (level >= CPU_AVX512 && (eax & avx512_bf16))
            features |= CPU_AVX512_BF16;
    }
    if (level >= CPU_AVX512 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
        (edx & amx) == amx && cpu_may_use_tiles())
        features |= CPU_AMX;
    return features;
}
#endif

static struct cpu cpu_detect(void) {
    struct cpu cpu = {CPU_PLAIN, 0};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !cpu_has_f16c())
        return cpu;
    cpu.level = CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        cpu.level = CPU_AVX512;
    cpu.features = cpu_find_features(cpu.level);
#endif
    return cpu;
}

/* cpu, or the less of it that TERCET_CPU names. */
static struct cpu cpu_lowered(struct cpu cpu, const char *wanted) {
    static const struct {
        const char *name;
        struct cpu most;
    } rungs[] = {
        {"plain", {CPU_PLAIN, 0}},
        {"avx2", {CPU_AVX2, 0}},
        {"avxvnni", {CPU_AVX2, CPU_AVX_VNNI}},
        {"avx512", {CPU_AVX512, CPU_AVX_VNNI}},
        {"avx512bf16", {CPU_AVX512, CPU_AVX_VNNI | CPU_AVX512_BF16}},
    };
    for (size_t i = 0; wanted && i < sizeof rungs / sizeof *rungs; i++)
        if (strcmp(wanted, rungs[i].name) == 0) {
            cpu.level = cpu.level < rungs[i].most.level ? cpu.level : rungs[i].most.level;
            cpu.features &= rungs[i].most.features;
        }
    return cpu;
}

static struct cpu cpu_known(void) {
    enum { ASKED = 1 << 16, FEATURES_SHIFT = 8, LEVEL_MASK = 0xff };
    static atomic_uint known; /* two threads that ask first both find the same answer */
    unsigned bits = atomic_load_explicit(&known, memory_order_relaxed);
    if (!bits) {
        struct cpu cpu = cpu_lowered(cpu_detect(), getenv("TERCET_CPU"));
        bits = ASKED | cpu.features << FEATURES_SHIFT | cpu.level;
        atomic_store_explicit(&known, bits, memory_order_relaxed);
    }
    return (struct cpu){(enum cpu_level)(bits & LEVEL_MASK), bits >> FEATURES_SHIFT & LEVEL_MASK};
}

enum cpu_level cpu_level(void) {
    return cpu_known().level;
}

bool cpu_has(enum cpu_feature feature) {
    return (cpu_known().features & feature) == (unsigned)feature;
}

const char *cpu_level_name(enum cpu_level level) {
    static const char *const names[] = {"plain", "avx2", "avx512"};
    return names[level];
}
