/* avx2_only - a library to preload: the program believes that this processor ends at AVX2.
 *
 *     LD_PRELOAD=build/tools/libavx2_only.so python peer.py
 *
 * For racing AVX2 against AVX2: ONNX Runtime chooses its kernels by the CPUID instruction and has
 * no switch for it. Linux can make that instruction fault (arch_prctl ARCH_CPUID, Intel since Ivy
 * Bridge, AMD since Zen 3 or so); each fault is answered here with the true values less AVX-512,
 * AVX-VNNI, AMX and AVX10. The program ends with status 69 where the processor cannot do that.
 * What was asked before this library was loaded (the C library's own memcpy) keeps its answer.
 * Threads inherit it, other programs that are started do not. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_CPUID = 0x1012, STATUS_UNAVAILABLE = 69 }; /* asm/prctl.h; sysexits.h */

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

/* Bits of CPUID leaf 7 that are taken away (Intel SDM volume 2A, table 3-8). */
static const struct registers hidden_7_0 = {
    /* AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL */
    .ebx = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31,
    /* AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
    .ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14,
    /* AVX512 4VNNIW, 4FMAPS, VP2INTERSECT; AMX-BF16; AVX512-FP16; AMX-TILE, AMX-INT8 */
    .edx = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25,
};
static const struct registers hidden_7_1 = {
    .eax = 1u << 4 | 1u << 5 | 1u << 21 | 1u << 23, /* AVX-VNNI, AVX512-BF16, AMX-FP16, AVX-IFMA */
    /* AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX-VNNI-INT16, AVX10 */
    .edx = 1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19,
};

static struct sigaction before;

static struct registers cpuid(uint32_t leaf, uint32_t subleaf) {
    struct registers r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

static struct registers less(struct registers r, const struct registers *hidden) {
    r.eax &= ~hidden->eax;
    r.ebx &= ~hidden->ebx;
    r.ecx &= ~hidden->ecx;
    r.edx &= ~hidden->edx;
    return r;
}

static void answer(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    int saved_errno = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) { /* no CPUID: the program's own fault, taken again */
        sigaction(SIGSEGV, &before, NULL);
        return;
    }
    uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
    syscall(SYS_arch_prctl, ARCH_CPUID, 1);
    struct registers r = cpuid(leaf, subleaf);
    syscall(SYS_arch_prctl, ARCH_CPUID, 0);
    if (leaf == 7 && subleaf <= 1)
        r = less(r, subleaf == 0 ? &hidden_7_0 : &hidden_7_1);
    registers[REG_RAX] = r.eax;
    registers[REG_RBX] = r.ebx;
    registers[REG_RCX] = r.ecx;
    registers[REG_RDX] = r.edx;
    registers[REG_RIP] += 2;
    errno = saved_errno;
}

__attribute__((constructor)) static void begin(void) {
    static const char sorry[] = "avx2_only: this processor or kernel cannot hide its features\n";
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSEGV, &action, &before) == 0 && syscall(SYS_arch_prctl, ARCH_CPUID, 0) == 0)
        return;
    if (write(STDERR_FILENO, sorry, strlen(sorry)) < 0)
        errno = 0; /* nobody to tell */
    _exit(STATUS_UNAVAILABLE);
}
