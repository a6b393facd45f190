/* fault.h - for tests: the system calls by which an index reaches its disk, counted, and one of
 * them made to fail or to be the process's last.
 *
 * Linking fault.c into a program puts its pwrite, write, writev, fsync, fdatasync, ftruncate,
 * msync, rename, renameat2, unlink, unlinkat, fwrite and fflush in front of libc's, for LMDB too.
 * Unarmed they only pass on. Calls on other things than files and folders (pipes, terminals) are
 * not counted.
 * Threads: arm before there are others; one thread at a time may write. */
#ifndef TERCET_INDEX_PROOF_FAULT_H
#define TERCET_INDEX_PROOF_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,        /* count only */
    FAULT_ERROR,       /* the call fails with `error` */
    FAULT_KILL_BEFORE, /* SIGKILL instead of the call */
    FAULT_KILL_TORN,   /* half of a write's sectors, then SIGKILL */
    FAULT_KILL_AFTER,  /* the call, then SIGKILL */
    /* The call, then what a power cut may leave: of the pages written and not synced since, each is
     * as it was or as it is by the toss of a coin, and a rename whose folder was not synced may be
     * undone; then SIGKILL. A write to a descriptor with O_DSYNC counts as synced. */
    FAULT_POWER_CUT,
    FAULT_KINDS_N,
};

struct fault {
    enum fault_kind kind;
    uint64_t at;             /* which call, counted from 1 */
    int error;               /* errno of FAULT_ERROR */
    bool stays;              /* FAULT_ERROR: every later call fails as well */
    bool read_only;          /* opening anything for writing fails with EROFS */
    unsigned long long seed; /* of the coins */
};

/* Begins counting from 0. */
void fault_arm(struct fault fault);
void fault_disarm(void);

/* Calls since fault_arm; it goes on counting while armed only. */
uint64_t fault_calls_n(void);

#endif
