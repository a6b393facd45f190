/* demo_documents.h - something to search on every machine: what its packages are for. */
#ifndef TERCET_DEMO_DOCUMENTS_H
#define TERCET_DEMO_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* Enough to be worth searching, few enough to be indexed while one watches. */
enum { DEMO_DOCUMENTS_MAX = 4000 };

enum demo_source { DEMO_PACKAGES, DEMO_MANUAL_PAGES };

/* Writes JSONL rows {"id","title","text","fields"} to path: programs' package descriptions by
 * `apt-cache dumpavail`, else the descriptions of the manual pages in sections 1 and 8.
 * ERROR_NOT_FOUND when the machine has neither. */
bool demo_documents_write(const char *path, enum demo_source *source_out, size_t *n_out,
                          struct error *err);

#endif
