/* scratch.h - a folder for as long as a command runs. */
#ifndef TERCET_SCRATCH_H
#define TERCET_SCRATCH_H

#include <stdbool.h>

#include "engine/base/error.h"

enum { SCRATCH_PATH_MAX = 4096 };

/* A new, empty folder in $TMPDIR, or /tmp; purpose: a word of its name. */
bool scratch_make(const char *purpose, char path_out[SCRATCH_PATH_MAX], struct error *err);

/* With all that is in it. "" is nothing to remove. */
void scratch_remove(const char *path);

#endif
