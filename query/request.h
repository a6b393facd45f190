/* request.h - a search request as JSON, checked field by field.
 *
 * docs/search.md describes every field. One that is unknown is an error, so that a misspelt one is
 * not ignored. */
#ifndef TERCET_REQUEST_H
#define TERCET_REQUEST_H

#include "engine/base/json.h"
#include "query/search.h"

/* Long enough for every field name we know. */
enum { REQUEST_FIELD_MAX = 32 };

/* *out borrows strings from the json; numbers lie in the arena. On failure field_out names the
 * field at fault ("" when it is the whole request). */
bool request_from_json(const struct json *json, struct arena *arena, struct search_request *out,
                       char field_out[REQUEST_FIELD_MAX], struct error *err);

/* One more field to count (borrowed). ERROR_INVALID when it is named already. */
bool request_facet_add(struct search_request *request, const char *field, size_t len,
                       struct error *err);

/* The weights as a list "d,s,m". */
bool request_weights_parse(const char *list, float weights_out[FUSE_MODES_N], struct error *err);

#endif
