/* hub.h - where a model's files are.
 *
 * A model name is, in this order: a folder; the embedded model's name ("bge-small-en-v1.5", also
 * the default when no name is given), whose files are inside the program; a folder of that name
 * under $TERCET_HOME/models (TERCET_HOME defaults to ~/.tercet); a hub id ("BAAI/bge-m3") in the
 * Hugging Face cache (HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub).
 * Threads: a model_files is immutable once open. */
#ifndef TERCET_HUB_H
#define TERCET_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

#define HUB_DEFAULT_MODEL "bge-small-en-v1.5"

struct model_files;

/* One file's bytes, borrowed from the model_files that handed it out. */
struct model_file {
    const uint8_t *data;
    size_t len;
    char path[512]; /* for messages: the file's path, or "embedded:NAME/FILE" */
};

/* name NULL: the default. ERROR_NOT_FOUND lists the places that were looked in. */
bool model_files_open(const char *name, struct model_files **out, struct error *err);
void model_files_close(struct model_files *files);

/* The model's name as given (the default's when none was), and its folder or "embedded:...". */
const char *model_files_name(const struct model_files *files);
const char *model_files_where(const struct model_files *files);

/* ---- places ---- */

/* True for "NAME" and "ORG/NAME" of letters, digits, '-', '_' and '.', no part beginning with a
 * dot: what the hub allows, and what cannot lead out of the folder it is looked up in. */
bool hub_name_is_id(const char *name);

/* Tercet's own models ($TERCET_HOME/models), and the Hugging Face cache; NULL when the environment
 * names neither the folder nor a home. */
const char *hub_own_root(struct arena *arena);
const char *hub_cache_root(struct arena *arena);

/* The snapshot that a cached model's refs/main names; NULL: a download that never ended. cached:
 * <cache root>/models--ORG--NAME. */
const char *hub_snapshot_folder(const char *cached, struct arena *arena);

/* ---- files ---- */

bool model_files_has(const struct model_files *files, const char *file);

/* Maps one file ("config.json", "1_Pooling/config.json"); it stays mapped until
 * model_files_close. */
bool model_files_map(struct model_files *files, const char *file, struct model_file *out,
                     struct error *err);

#endif
