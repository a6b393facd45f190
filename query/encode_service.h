/* encode_service.h - the model behind HTTP: texts in, representations and relevance out.
 *
 * One encoder, and a cross-encoder where one was given, in the words of four APIs, so that what
 * speaks to one of them already needs a new base URL and nothing else (docs/http-api.md):
 *   ours                         POST /v1/encode, /v1/score
 *   OpenAI                       POST /v1/embeddings, GET /v1/models
 *   text-embeddings-inference    POST /embed, /embed_sparse, /embed_all, /rerank, GET /info
 *   Cohere, Jina                 POST /v1/rerank, /v2/rerank
 * Threads: handlers run on the server's worker lane. */
#ifndef TERCET_ENCODE_SERVICE_H
#define TERCET_ENCODE_SERVICE_H

#include "query/server/server.h"

struct encoders;
struct encode_service;

/* encoders: borrowed, made for as many workers as the server has. */
struct encode_service *encode_service_open(struct encoders *encoders);
void encode_service_close(struct encode_service *service);

/* Borrowed until encode_service_close. */
const struct server_route *encode_service_routes(const struct encode_service *service,
                                                 size_t *n_out);

/* For server_options: texts of requests that wait at the same time are encoded together. */
struct server_together encode_service_together(void);

#endif
