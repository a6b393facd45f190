#include "query/service.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "query/service_inside.h"
#include "query/ui/page.h"

static void routes_make(struct service *service) {
    const struct server_route routes[] = {
        {SERVER_GET, "/", page_handler, NULL, SERVER_LANE_LOOP},
        {SERVER_GET, "/health", service_health, service, SERVER_LANE_LOOP},
        {SERVER_GET, "/ready", service_health, service, SERVER_LANE_LOOP},
        {SERVER_GET, "/v1/collections", service_list, service, SERVER_LANE_WORKERS},
        {SERVER_GET, "/v1/collections/{c}", service_describe, service, SERVER_LANE_WORKERS},
        {SERVER_PUT, "/v1/collections/{c}", service_create, service, SERVER_LANE_WRITER},
        {SERVER_DELETE, "/v1/collections/{c}", service_delete_collection, service,
         SERVER_LANE_WRITER},
        {SERVER_POST, "/v1/collections/{c}/search", service_search, service, SERVER_LANE_WORKERS},
        {SERVER_POST, "/v1/collections/{c}/search/batch", service_search_batch, service,
         SERVER_LANE_WORKERS},
        {SERVER_POST, "/v1/collections/{c}/answer", service_answer, service,
         service->options.chat ? SERVER_LANE_REMOTE : SERVER_LANE_WORKERS},
        {SERVER_POST, "/v1/collections/{c}/documents", service_put_documents, service,
         SERVER_LANE_WRITER},
        {SERVER_POST, "/v1/collections/{c}/documents/delete", service_delete_documents, service,
         SERVER_LANE_WRITER},
        {SERVER_GET, "/v1/collections/{c}/documents/{id:text}", service_get_document, service,
         SERVER_LANE_WORKERS},
        {SERVER_DELETE, "/v1/collections/{c}/documents/{id:text}", service_delete_document, service,
         SERVER_LANE_WRITER},
    };
    service->routes = mem_alloc(1, sizeof routes);
    memcpy(service->routes, routes, sizeof routes);
    service->routes_n = sizeof routes / sizeof *routes;
}

bool service_open(const struct service_options *options, struct service **out, struct error *err) {
    struct service *service = mem_zalloc(1, sizeof *service);
    service->options = *options;
    service->data = mem_strdup(options->data);
    service->threads_n = options->workers_n + options->remote_n;
    service->cores = cores_open();
    service->arenas = mem_zalloc(service->threads_n, sizeof *service->arenas);
    routes_make(service);
    service->lines = (struct server_route){SERVER_POST, "/search (a line)", service_search, service,
                                           SERVER_LANE_WORKERS};
    if (!collections_open(service->data, service->threads_n, &service->collections, err)) {
        service_close(service);
        return false;
    }
    *out = service;
    return true;
}

void service_close(struct service *service) {
    if (!service)
        return;
    collections_close(service->collections);
    cores_close(service->cores);
    for (size_t i = 0; i < service->threads_n; i++)
        arena_done(&service->arenas[i]);
    free(service->arenas);
    free(service->routes);
    free(service->data);
    free(service);
}

const struct server_route *service_routes(const struct service *service, size_t *n_out) {
    *n_out = service->routes_n;
    return service->routes;
}

void service_each(struct service *service, service_visit *visit, void *context) {
    for (size_t i = 0; i < collections_n(service->collections); i++) {
        struct collection *collection = collections_at(service->collections, i);
        struct opened *opened;
        struct error deleted;
        if (!collection_hold(collection, &opened, &deleted))
            continue;
        visit(context, collection_name(collection), opened->index);
        collection_release(collection, opened);
    }
}

struct server_together service_together(void) {
    return (struct server_together){service_search, service_search_prepare};
}
