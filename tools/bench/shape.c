#include "tools/bench/shape.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/hub_random.h"
#include "tools/options.h"

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

/* In the child: what lies in `folder` is the parent's to remove. */
static int make_and_bench(const char *shape, const char *folder,
                          int (*bench)(void *context, const char *folder), void *context) {
    struct hub_random_options options = {.shape = shape, .dtype = HUB_RANDOM_F16};
    struct hub_random_result result;
    struct error err;
    char model[4096];
    snprintf(model, sizeof model, "%s/%s", folder, shape);
    if (!hub_random_write(&options, model, &result, &err))
        return command_failed(&err);
    return bench(context, model);
}

static int status_of(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

int shape_run(const char *shape, int (*bench)(void *context, const char *folder), void *context) {
    enum { FOLDERS_OPEN_MAX = 8 };
    const char *temporary = getenv("TMPDIR");
    struct error err;
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/tercet-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        error_set_errno(&err, "%s cannot be made", folder);
        return command_failed(&err);
    }
    fflush(NULL); /* what waits in a buffer would be printed twice */
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, terminate;
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGTERM, &ignore, &terminate);
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGINT, &interrupt, NULL);
        sigaction(SIGTERM, &terminate, NULL);
        exit(make_and_bench(shape, folder, bench, context));
    }
    int status = EXIT_FAILED;
    if (child < 0) {
        error_set_errno(&err, "no process for the benchmark");
        command_failed(&err);
    } else {
        status = status_of(child);
    }
    nftw(folder, remove_entry, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &terminate, NULL);
    return status;
}
