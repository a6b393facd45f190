#include "tools/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { DESCRIPTORS_MAX = 8 };

bool scratch_make(const char *purpose, char path_out[SCRATCH_PATH_MAX], struct error *err) {
    const char *place = getenv("TMPDIR");
    snprintf(path_out, SCRATCH_PATH_MAX, "%s/tercet-%s-XXXXXX", place && *place ? place : "/tmp",
             purpose);
    if (mkdtemp(path_out))
        return true;
    error_set_errno(err, "%s", path_out);
    path_out[0] = '\0';
    return false;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at) {
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

void scratch_remove(const char *path) {
    if (path[0])
        nftw(path, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
}
