/* config_parts.h - what config.c and config_sentence.c share; nobody else includes it. */
#ifndef TERCET_CONFIG_PARTS_H
#define TERCET_CONFIG_PARTS_H

#include "engine/base/json.h"
#include "engine/config.h"

/* Far above any encoder's. */
enum { CONFIG_POSITIONS_MAX = 1 << 20 };

/* The file as a JSON value of the kind, for the caller to release. file_out->path is for messages,
 * which name the file already when this fails. */
bool config_parse(struct model_files *files, const char *file, enum json_kind kind,
                  struct model_file *file_out, struct json **out, struct error *err);

bool config_ends_with(const char *text, const char *ending);

/* What sentence-transformers has written about the folder, into a config that has been read from
 * config.json (config_sentence.c). */
bool config_read_sentence(struct model_files *files, struct model_config *config,
                          struct error *err);

/* The same of tercet.json (config_own.c). */
bool config_read_own(struct model_files *files, struct model_config *config, struct error *err);

#endif
