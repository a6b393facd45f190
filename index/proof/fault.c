/* Both names of each call (pwrite and pwrite64, ...) are defined here, so neither may be an alias
 * that a header makes of the other. */
#undef _FILE_OFFSET_BITS

#include "index/proof/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SECTOR_BYTES = 512, /* what a disk writes whole or not at all; LMDB's meta page relies on it */
    PAGE_BYTES = 4096,
};

static struct fault armed;
static bool counting;
static uint64_t calls_n;

/* ---- libc's own ---- */

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

/* `real`: libc's function of that name. ISO C has no cast from what dlsym gives. */
#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (!real) {                                                                                   \
        void *found = next(name);                                                                  \
        memcpy(&real, &found, sizeof real);                                                        \
    }

static ssize_t real_pwrite(int fd, const void *data, size_t len, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return real(fd, data, len, at);
}

static int real_rename(const char *from, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    return real(AT_FDCWD, from, AT_FDCWD, to, flags);
}

/* ---- what a power cut would take: pages as they were before writes that no sync followed ---- */

struct unsynced {
    struct unsynced *older;
    int fd;
    off_t at;
    size_t len;
    unsigned char before[];
};

static struct unsynced *newest_unsynced;
static char renamed_from[PATH_MAX], renamed_to[PATH_MAX]; /* "": none pending */
static unsigned renamed_flags;

static void remember(int fd, off_t at, size_t len) {
    if (!counting || armed.kind != FAULT_POWER_CUT || (fcntl(fd, F_GETFL) & O_DSYNC))
        return;
    struct unsynced *entry = calloc(1, sizeof *entry + len); /* beyond the end: zeros */
    if (!entry)
        abort();
    *entry = (struct unsynced){.older = newest_unsynced, .fd = fd, .at = at, .len = len};
    if (pread(fd, entry->before, len, at) < 0)
        memset(entry->before, 0, len);
    newest_unsynced = entry;
}

static void forget_unsynced(int fd) {
    for (struct unsynced **at = &newest_unsynced; *at;) {
        struct unsynced *entry = *at;
        if (entry->fd == fd) {
            *at = entry->older;
            free(entry);
        } else {
            at = &entry->older;
        }
    }
}

/* The same answer for all writes to one page: either all of them reached the disk, or none. */
static bool is_lost(uint64_t page) {
    uint64_t x = (page + 1) * 0x9E3779B97F4A7C15ull ^ armed.seed;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9ull;
    return (x >> 40 & 1) != 0;
}

static void cut_power(void) {
    for (struct unsynced *entry = newest_unsynced; entry; entry = entry->older) {
        size_t done = 0;
        while (done < entry->len) {
            off_t at = entry->at + (off_t)done;
            size_t rest = PAGE_BYTES - (size_t)(at % PAGE_BYTES);
            size_t len = entry->len - done < rest ? entry->len - done : rest;
            if (is_lost((uint64_t)at / PAGE_BYTES))
                real_pwrite(entry->fd, entry->before + done, len, at);
            done += len;
        }
    }
    if (renamed_to[0] && is_lost(0))
        real_rename(renamed_to, renamed_from, renamed_flags & RENAME_EXCHANGE);
}

/* ---- counting ---- */

void fault_arm(struct fault fault) {
    armed = fault;
    calls_n = 0;
    counting = true;
}

void fault_disarm(void) {
    counting = false;
}

uint64_t fault_calls_n(void) {
    return calls_n;
}

static bool is_file(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
}

static bool is_folder(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

static void die(void) {
    raise(SIGKILL);
}

/* What is to be done about a call on a file. */
enum turn { PASS, FAIL, LAST };

static enum turn take_turn(void) {
    if (!counting)
        return PASS;
    calls_n++;
    if (armed.kind == FAULT_ERROR && (calls_n == armed.at || (armed.stays && calls_n > armed.at))) {
        errno = armed.error;
        return FAIL;
    }
    if (armed.kind <= FAULT_ERROR || calls_n != armed.at)
        return PASS;
    if (armed.kind == FAULT_KILL_BEFORE)
        die();
    return LAST;
}

static void finish(enum turn turn) {
    if (turn != LAST)
        return;
    if (armed.kind == FAULT_POWER_CUT)
        cut_power();
    die();
}

/* How much of a write is still done; the call may be the last. */
static size_t cut(enum turn turn, size_t len) {
    return turn == LAST && armed.kind == FAULT_KILL_TORN ? len / 2 / SECTOR_BYTES * SECTOR_BYTES
                                                         : len;
}

/* ---- the calls ---- */

static ssize_t put_at(int fd, const void *data, size_t len, off_t at) {
    enum turn turn = is_file(fd) ? take_turn() : PASS;
    if (turn == FAIL)
        return -1;
    remember(fd, at, len);
    ssize_t done = real_pwrite(fd, data, cut(turn, len), at);
    finish(turn);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    return put_at(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
    return put_at(fd, data, len, at);
}

ssize_t write(int fd, const void *data, size_t len) {
    REAL(ssize_t, "write", int, const void *, size_t);
    enum turn turn = counting && is_file(fd) ? take_turn() : PASS;
    if (turn == FAIL)
        return -1;
    if (counting && is_file(fd))
        remember(fd, lseek(fd, 0, SEEK_CUR), len);
    ssize_t done = real(fd, data, cut(turn, len));
    finish(turn);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int parts_n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    enum turn turn = counting && is_file(fd) ? take_turn() : PASS;
    size_t len = 0;
    if (turn == FAIL)
        return -1;
    for (int i = 0; i < parts_n; i++)
        len += parts[i].iov_len;
    if (counting && is_file(fd))
        remember(fd, lseek(fd, 0, SEEK_CUR), len);
    if (turn == LAST && armed.kind == FAULT_KILL_TORN)
        parts_n = (parts_n + 1) / 2;
    ssize_t done = real(fd, parts, parts_n);
    finish(turn);
    return done;
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    if (turn == LAST && armed.kind == FAULT_POWER_CUT)
        finish(turn); /* it was asked for and not done */
    int rc = real(fd);
    forget_unsynced(fd);
    if (is_folder(fd))
        renamed_to[0] = '\0';
    finish(turn);
    return rc;
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    if (turn == LAST && armed.kind == FAULT_POWER_CUT)
        finish(turn);
    int rc = real(fd);
    forget_unsynced(fd);
    finish(turn);
    return rc;
}

static int set_length(int fd, off_t len) {
    REAL(int, "ftruncate", int, off_t);
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    int rc = real(fd, len);
    finish(turn);
    return rc;
}

int ftruncate(int fd, off_t len) {
    return set_length(fd, len);
}

int ftruncate64(int fd, off64_t len) {
    return set_length(fd, len);
}

int msync(void *at, size_t len, int flags) {
    REAL(int, "msync", void *, size_t, int);
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    int rc = real(at, len, flags);
    finish(turn);
    return rc;
}

static int move(const char *from, const char *to, unsigned flags) {
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    int rc = real_rename(from, to, flags);
    if (counting && rc == 0) {
        snprintf(renamed_from, sizeof renamed_from, "%s", from);
        snprintf(renamed_to, sizeof renamed_to, "%s", to);
        renamed_flags = flags;
    }
    finish(turn);
    return rc;
}

int rename(const char *from, const char *to) {
    return move(from, to, 0);
}

/* Ours are of whole paths. */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (from_folder != AT_FDCWD || to_folder != AT_FDCWD)
        abort();
    return move(from, to, flags);
}

static int take_away(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    enum turn turn = take_turn();
    if (turn == FAIL)
        return -1;
    int rc = real(folder, path, flags);
    finish(turn);
    return rc;
}

int unlink(const char *path) {
    return take_away(AT_FDCWD, path, 0);
}

int unlinkat(int folder, const char *path, int flags) {
    return take_away(folder, path, flags);
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    enum turn turn = counting && is_file(fileno(file)) ? take_turn() : PASS;
    if (turn == FAIL)
        return 0;
    size_t done = real(data, size, n, file);
    finish(turn);
    return done;
}

int fflush(FILE *file) {
    REAL(int, "fflush", FILE *);
    enum turn turn = counting && file && is_file(fileno(file)) ? take_turn() : PASS;
    if (turn == FAIL)
        return EOF;
    int rc = real(file);
    finish(turn);
    return rc;
}

/* ---- a read-only disk ---- */

static int open_as(const char *path, int flags, mode_t mode) {
    REAL(int, "open", const char *, int, mode_t);
    if (counting && armed.read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT))) {
        errno = EROFS;
        return -1;
    }
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_as(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_as(path, flags, mode);
}
