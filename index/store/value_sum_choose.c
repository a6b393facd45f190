#include "engine/base/cpu.h"
#include "index/store/value_sum.h"

value_sum_kind *value_sum_choose(void) {
#if defined(__x86_64__)
    if (cpu_level() >= CPU_AVX2)
        return value_sum_avx2;
#endif
    return value_sum_plain;
}
