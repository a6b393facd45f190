#include "ingest/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"

enum { COMPLAINT_BYTES_MAX = 200, CANNOT_START = 127 };

/* Looked for before the fork: between that and exec only a few calls are safe. */
static bool find_program(const char *name, char path[PATH_MAX]) {
    const char *folders = getenv("PATH");
    for (const char *at = folders ? folders : "/usr/bin:/bin"; *at;) {
        size_t len = strcspn(at, ":");
        struct stat info;
        int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)len, at, name);
        if (len && n < PATH_MAX && stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
            access(path, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static void limit(int resource, rlim_t value) {
    const struct rlimit both = {value, value};
    setrlimit(resource, &both);
}

/* In the child. */
static _Noreturn void become(const char *path, const char *const *words, const int files[3],
                             const struct child_limits *limits) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < 3; i++)
        if (dup2(files[i], i) < 0)
            _exit(CANNOT_START);
    limit(RLIMIT_CPU, limits->seconds);
    limit(RLIMIT_AS, limits->memory_bytes);
    limit(RLIMIT_CORE, 0);
    execv(path, (char *const *)(uintptr_t)words);
    _exit(CANNOT_START);
}

struct child {
    pid_t pid;
    int output, complaints; /* our ends of the pipes */
};

static bool start(const char *const *words, int input, const struct child_limits *limits,
                  struct child *out, struct error *err) {
    char path[PATH_MAX];
    int output[2], complaints[2];
    if (!find_program(words[0], path))
        return error_set(err, ERROR_NOT_FOUND, "the program %s is not installed", words[0]);
    if (pipe2(output, O_CLOEXEC) != 0)
        return error_set_errno(err, "%s cannot be started", words[0]);
    if (pipe2(complaints, O_CLOEXEC) != 0) {
        error_set_errno(err, "%s cannot be started", words[0]);
        close(output[0]);
        close(output[1]);
        return false;
    }
    const int files[3] = {input, output[1], complaints[1]};
    pid_t pid = fork();
    if (pid == 0)
        become(path, words, files, limits);
    if (pid < 0)
        error_set_errno(err, "%s cannot be started", words[0]);
    close(output[1]);
    close(complaints[1]);
    if (pid < 0) {
        close(output[0]);
        close(complaints[0]);
        return false;
    }
    *out = (struct child){pid, output[0], complaints[0]};
    return true;
}

/* Reads what is there; what does not fit is left out. False at the end of the pipe. */
static bool drain(int file, struct buf *out, size_t bytes_max, bool *over) {
    char block[64 << 10];
    ssize_t n = read(file, block, sizeof block);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    size_t room = bytes_max - out->len;
    *over |= (size_t)n > room;
    buf_append(out, block, (size_t)n < room ? (size_t)n : room);
    return n > 0;
}

/* Until both pipes are closed. False, and why, when it had to be given up. */
static bool collect(const struct child *child, const struct child_limits *limits, struct buf *out,
                    struct buf *complaint, struct error *err) {
    struct pollfd files[2] = {{child->output, POLLIN, 0}, {child->complaints, POLLIN, 0}};
    double end = clock_now_s() + limits->seconds;
    bool over = false, complaint_over = false;
    while (files[0].fd >= 0 || files[1].fd >= 0) {
        double left = end - clock_now_s();
        int ready = left > 0 ? poll(files, 2, (int)(left * 1000) + 1) : 0;
        if (ready < 0 && errno == EINTR)
            return error_set(err, ERROR_STOPPED, "stopped");
        if (ready <= 0)
            return error_set(err, ERROR_LIMIT, "took more than %u seconds", limits->seconds);
        if (files[0].revents && !drain(child->output, out, limits->output_bytes, &over))
            files[0].fd = -1;
        if (files[1].revents &&
            !drain(child->complaints, complaint, COMPLAINT_BYTES_MAX, &complaint_over))
            files[1].fd = -1;
        if (over)
            return error_set(err, ERROR_LIMIT, "gave more than %zu bytes", limits->output_bytes);
    }
    return true;
}

static bool ended_well(int status, const struct child_limits *limits, const struct buf *complaint,
                       struct error *err) {
    int len = complaint->len ? (int)strcspn(complaint->data, "\n") : 0;
    const char *said = complaint->len ? complaint->data : "";
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        return error_set(err, ERROR_LIMIT, "took more than %u seconds", limits->seconds);
    if (WIFSIGNALED(status))
        return error_set(err, ERROR_INVALID, "died of signal %d; its memory was limited to %zu MiB",
                         WTERMSIG(status), limits->memory_bytes >> 20);
    return WEXITSTATUS(status) == 0 ||
           error_set(err, ERROR_INVALID, "failed%s%.*s", len ? ": " : "", len, said);
}

bool child_run(const char *const *words, int input, const struct child_limits *limits,
               struct buf *out, struct error *err) {
    struct child child;
    struct buf complaint = {0};
    int status = 0;
    size_t before = out->len;
    if (!start(words, input, limits, &child, err))
        return false;
    bool ok = collect(&child, limits, out, &complaint, err);
    if (!ok)
        kill(child.pid, SIGKILL);
    close(child.output);
    close(child.complaints);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    ok = ok && ended_well(status, limits, &complaint, err);
    buf_done(&complaint);
    if (ok)
        return true;
    out->len = before;
    return error_wrap(err, "%s ", words[0]);
}
