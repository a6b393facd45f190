/* settings.h - which index suits which model. */
#ifndef TERCET_INGEST_SETTINGS_H
#define TERCET_INGEST_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "index/index.h"

struct model_info;

/* What an index of this model's vectors must be made with. analyzer NULL: the model's default;
 * length_max 0: the model's limit. ERROR_INVALID when the model cannot give what is asked for,
 * ERROR_LIMIT when a name is too long to be stored. */
bool ingest_settings(const struct model_info *info, const char *analyzer, uint32_t length_max,
                     struct index_settings *out, struct error *err);

/* Whether documents encoded with this model belong into an index of those settings; analyzer and
 * length_max as above, but not asked for when NULL and 0. */
bool ingest_settings_agree(const char *folder, const struct index_settings *there,
                           const struct model_info *info, const char *analyzer, uint32_t length_max,
                           struct error *err);

/* Opens the index for writing, or makes it. An existing one must agree. */
bool ingest_open_index(const char *folder, const struct model_info *info, const char *analyzer,
                       uint32_t length_max, struct index **out, struct error *err);

#endif
