/* answer.h - a search result as JSON: what the command line and the HTTP server both print. */
#ifndef TERCET_ANSWER_H
#define TERCET_ANSWER_H

#include "engine/base/json.h"
#include "query/search.h"

/* {"hits":[..],"offset","total_candidates","modes","fusion","weights","candidates","retrieval",
 *  "filtered_to","rerank","facets","took_ms"}, as docs/search.md describes them. The caller
 *  releases it. */
struct json *answer_json(const struct search_result *result);

/* {"id","title","text","fields"} */
struct json *document_json(const struct document *document);

#endif
