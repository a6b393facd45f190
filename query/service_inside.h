/* service_inside.h - what the handlers of collections share; service.c opens and closes it all.
 *
 * service_collections.c, service_search.c, service_answer.c, service_documents.c and service_put.c
 * have the handlers. */
#ifndef TERCET_SERVICE_INSIDE_H
#define TERCET_SERVICE_INSIDE_H

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "query/collections.h"
#include "query/cores.h"
#include "query/rerank.h"
#include "query/search.h"
#include "query/service.h"

struct service {
    struct service_options options;
    char *data;
    size_t threads_n; /* that search: workers, and behind them those of the remote lane */
    struct collections *collections;
    struct cores *cores;  /* NULL: there is one */
    struct arena *arenas; /* [threads_n] what a worker encodes for several requests */
    struct server_route *routes;
    size_t routes_n;
    struct server_route lines;
};

/* 404: the path names a collection that is not there. */
void service_refuse_collection(const char *name, struct server_response *response);

/* The collection that a line names, in the arena; the member is taken out of the body. The only one
 * there is where it names none. NULL: there are several, or none. */
const char *service_line_collection(struct service *service, struct json *body, struct arena *arena,
                                    struct error *err);

/* The collection named in the path; a missing one is answered with 404, and is NULL. */
struct collection *service_collection(struct service *service, const struct server_request *request,
                                      struct server_response *response);

/* Finds or makes the collection in the path, as chosen (NULL: as usual). Writer lane only, so two
 * never make the same one. */
struct collection *service_collection_ensure(struct service *service, const char *name,
                                             const struct service_choices *choices, bool *made_out,
                                             struct error *err);

/* What GET of a collection answers, into an empty object. */
bool service_describe_into(struct service *service, struct collection *collection,
                           struct json *json, struct error *err);

/* Prints the answer and releases it. */
void service_respond(struct server_response *response, struct json *json);

/* As server_response_failure, with the field at fault (NULL: no single one is). */
void service_refuse(struct server_response *response, const struct error *err, const char *field);

/* The worker's own, made when first needed. NULL on failure. */
struct searcher *service_searcher(struct service *service, struct opened *opened, size_t worker,
                                  struct error *err);

/* The worker's own cross-encoder, for the length of a request; NULL: the server has none. own: the
 * caller's storage. */
struct service_reranker {
    struct rerank_scorer scorer;
    struct encoders *encoders;
    size_t worker;
    const atomic_bool *cancelled;
};
const struct rerank_scorer *service_reranker(struct service *service, size_t worker,
                                             const struct server_request *request,
                                             struct service_reranker *own);

/* How long each stage took, for logs and metrics; those that were not run are left out. */
void service_search_stages(struct server_response *response, const struct search_timing *timing);

/* The handlers; context: the service. */
server_handler service_health, service_list, service_describe, service_create,
    service_delete_collection;
server_handler service_search, service_search_batch, service_answer;
server_handler service_get_document, service_put_documents, service_delete_document,
    service_delete_documents;

/* For server_together: what asks one collection for all its modes, some of it at a time. */
void service_search_prepare(void *context, size_t worker, struct server_request *const *requests,
                            size_t n);

#endif
