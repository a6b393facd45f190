/* glob.h - patterns that files' paths are kept or left out by, as in a .gitignore.
 *
 *   *.md      a name, in any folder              notes/a?.md   from the top of the folder walked
 *   drafts/   a folder of that name, anywhere    docs/ **      all below docs (without the blank)
 *   [a-z]     one character of a name            /top.txt      only at the top
 *
 * `*` and `?` never match a slash; `**` does, and between two slashes it is any number of folders,
 * also none. */
#ifndef TERCET_INGEST_GLOB_H
#define TERCET_INGEST_GLOB_H

#include <stdbool.h>

/* path: below the folder walked, without a slash in front. Costs at most the product of the two
 * lengths twice over, whatever the pattern. */
bool glob_matches(const char *pattern, const char *path, bool is_folder);

#endif
