#include "query/service.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/model.h"
#include "index/filter.h"
#include "query/answer.h"
#include "query/request.h"
#include "query/search.h"
#include "query/ui/page.h"

enum {
    COLLECTIONS_MAX = 1000, /* each holds an LMDB environment: a descriptor and address space */
    COLLECTION_NAME_MAX = 64,
};

struct collection {
    char name[COLLECTION_NAME_MAX + 1];
    struct index *index;
    struct searcher **searchers; /* [workers_n], each made by its worker when first needed */
};

struct service {
    struct service_options options;
    char *data;
    pthread_mutex_t lock; /* guards the list; collections themselves are never removed */
    struct collection *collections[COLLECTIONS_MAX];
    size_t collections_n;
    struct server_route *routes;
    size_t routes_n;
};

/* ---- collections ---- */

static bool name_is_valid(const char *name) {
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && len <= COLLECTION_NAME_MAX && name[len] == '\0';
}

static struct collection *collection_find(struct service *service, const char *name) {
    struct collection *found = NULL;
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < service->collections_n && !found; i++)
        if (strcmp(service->collections[i]->name, name) == 0)
            found = service->collections[i];
    pthread_mutex_unlock(&service->lock);
    return found;
}

/* Takes the index over. */
static struct collection *collection_add(struct service *service, const char *name,
                                         struct index *index) {
    struct collection *collection = mem_zalloc(1, sizeof *collection);
    memcpy(collection->name, name, strlen(name) + 1); /* valid, so it fits */
    collection->index = index;
    collection->searchers = mem_zalloc(service->options.workers_n, sizeof *collection->searchers);
    pthread_mutex_lock(&service->lock);
    service->collections[service->collections_n++] = collection;
    pthread_mutex_unlock(&service->lock);
    return collection;
}

static void collection_free(struct collection *collection, size_t workers_n) {
    for (size_t i = 0; i < workers_n; i++)
        searcher_close(collection->searchers[i]);
    free(collection->searchers);
    index_close(collection->index);
    free(collection);
}

static int compare_collections(const void *a, const void *b) {
    return strcmp((*(struct collection *const *)a)->name, (*(struct collection *const *)b)->name);
}

static bool collections_open(struct service *service, struct error *err) {
    char folder[1024];
    DIR *listing = opendir(service->data);
    if (!listing)
        return error_set_errno(err, "%s", service->data);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(listing));) {
        struct index *index;
        snprintf(folder, sizeof folder, "%s/%s", service->data, entry->d_name);
        if (!name_is_valid(entry->d_name) || !index_exists(folder))
            continue;
        if (service->collections_n == COLLECTIONS_MAX)
            ok = error_set(err, ERROR_LIMIT, "%s holds more than %d collections", service->data,
                           COLLECTIONS_MAX);
        else if (index_open(folder, INDEX_WRITE, &index, err))
            collection_add(service, entry->d_name, index);
        else
            ok = err->code == ERROR_NOT_FOUND; /* half made: its first documents make it again */
    }
    closedir(listing);
    if (service->collections_n)
        qsort(service->collections, service->collections_n, sizeof *service->collections,
              compare_collections);
    return ok;
}

/* The collection named in the path; a missing one is answered with 404. */
static struct collection *collection_of(struct service *service,
                                        const struct server_request *request,
                                        struct server_response *response) {
    const char *name = server_param(request, "c");
    struct collection *collection = collection_find(service, name);
    if (!collection)
        server_response_error(response, 404, "not_found", NULL,
                              "there is no collection \"%s\"; GET /v1/collections lists them",
                              name);
    return collection;
}

static void respond(struct server_response *response, struct json *json) {
    json_print(json, &response->body);
    json_release(json);
}

/* ---- handlers ---- */

static void handle_health(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    static const char ok[] = "{\"status\":\"ok\"}";
    (void)context;
    (void)worker;
    (void)request;
    response->static_body = ok;
    response->static_len = sizeof ok - 1;
}

static bool describe(struct service *service, struct collection *collection, struct json *json,
                     struct error *err) {
    const struct index_settings *settings = index_settings_of(collection->index);
    struct index_counts counts;
    if (!index_count(collection->index, &counts, err))
        return false;
    json_add_string(json, "name", collection->name);
    json_add_number(json, "documents", (double)counts.documents_n);
    json_add_number(json, "bytes", (double)counts.bytes_on_disk);
    json_add_number(json, "segments", (double)counts.segments_n);
    json_add_string(json, "model", settings->model);
    json_add_string(json, "analyzer", settings->analyzer);
    struct json *modes = json_new_array();
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (search_modes_of(settings) & (1u << mode)) {
            const char *name = fuse_mode_name((enum fuse_mode)mode);
            json_push(modes, json_new_string(name, strlen(name)));
        }
    json_add(json, "modes", modes);
    struct json *examples = json_new_array();
    const char *const *example = service->options.examples;
    for (; example && *example; example++)
        json_push(examples, json_new_string(*example, strlen(*example)));
    json_add(json, "examples", examples);
    return true;
}

static void handle_list(void *context, size_t worker, const struct server_request *request,
                        struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    (void)request;
    struct json *answer = json_new_object(), *list = json_new_array();
    json_add(answer, "collections", list);
    pthread_mutex_lock(&service->lock);
    size_t n = service->collections_n; /* the first n never change */
    pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < n; i++) {
        struct json *one = json_new_object();
        json_push(list, one);
        if (!describe(service, service->collections[i], one, &err)) {
            json_release(answer);
            server_response_failure(response, &err);
            return;
        }
    }
    respond(response, answer);
}

static void handle_describe(void *context, size_t worker, const struct server_request *request,
                            struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    struct json *answer = json_new_object();
    if (describe(service, collection, answer, &err)) {
        respond(response, answer);
    } else {
        json_release(answer);
        server_response_failure(response, &err);
    }
}

static bool search(struct service *service, struct collection *collection, size_t worker,
                   const struct search_request *search_request, struct arena *arena,
                   struct search_result *result, struct error *err) {
    struct searcher **searcher = &collection->searchers[worker];
    if (!*searcher && !searcher_open(collection->index, service->options.model, searcher, err))
        return false;
    return search_run(*searcher, search_request, arena, result, err);
}

static void handle_search(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    struct service *service = context;
    struct error err;
    struct search_request search_request;
    struct search_result result;
    char field[REQUEST_FIELD_MAX] = "";
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    struct json *body = json_parse(request->body, request->body_len, &err);
    if (!body || !request_from_json(body, &search_request, field, &err))
        server_response_error(response, 400, "bad_request", field[0] ? field : NULL, "%s",
                              err.message);
    else if (search(service, collection, worker, &search_request, request->arena, &result, &err))
        respond(response, answer_json(&result));
    else
        server_response_failure(response, &err);
    json_release(body);
}

static void handle_get_document(void *context, size_t worker, const struct server_request *request,
                                struct server_response *response) {
    struct service *service = context;
    struct error err;
    struct snapshot *snapshot = NULL;
    struct document document;
    uint32_t docid;
    const char *key = server_param(request, "id");
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    if (snapshot_open(collection->index, &snapshot, &err) &&
        document_find(snapshot, key, strlen(key), &docid, &err) &&
        document_get(snapshot, docid, request->arena, &document, &err))
        respond(response, document_json(&document));
    else
        server_response_failure(response, &err);
    snapshot_close(snapshot);
}

/* Finds or makes the collection in the path. Writer lane only, so two never make the same one. */
static struct collection *collection_ensure(struct service *service, const char *name,
                                            bool *made_out, struct error *err) {
    struct collection *collection = collection_find(service, name);
    struct index *index;
    char folder[1024];
    *made_out = !collection;
    if (collection)
        return collection;
    if (service->collections_n == COLLECTIONS_MAX) {
        error_set(err, ERROR_LIMIT, "there are %d collections already, the most there can be",
                  COLLECTIONS_MAX);
        return NULL;
    }
    snprintf(folder, sizeof folder, "%s/%s", service->data, name);
    if (!service->options.writer.create(service->options.writer.context, folder, &index, err))
        return NULL;
    return collection_add(service, name, index);
}

static void handle_create(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    struct service *service = context;
    struct error err;
    bool made;
    (void)worker;
    struct collection *collection =
        collection_ensure(service, server_param(request, "c"), &made, &err);
    struct json *answer = json_new_object();
    if (collection && describe(service, collection, answer, &err)) {
        response->status = made ? 201 : 200;
        respond(response, answer);
    } else {
        json_release(answer);
        server_response_failure(response, &err);
    }
}

static void handle_put_documents(void *context, size_t worker, const struct server_request *request,
                                 struct server_response *response) {
    struct service *service = context;
    struct error err;
    struct json *answer;
    bool made;
    (void)worker;
    struct collection *collection =
        collection_ensure(service, server_param(request, "c"), &made, &err);
    if (collection &&
        service->options.writer.put(service->options.writer.context, collection->index,
                                    service->options.model, request->body, request->body_len,
                                    request->arena, &answer, &err))
        respond(response, answer);
    else
        server_response_failure(response, &err);
}

static void handle_delete_document(void *context, size_t worker,
                                   const struct server_request *request,
                                   struct server_response *response) {
    struct service *service = context;
    const struct service_writer *writer = &service->options.writer;
    struct error err;
    const char *key = server_param(request, "id");
    bool found = false;
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    if (!writer->remove(writer->context, collection->index, key, strlen(key), &found, &err)) {
        server_response_failure(response, &err);
    } else if (!found) {
        server_response_error(response, 404, "not_found", NULL, "there is no document \"%s\"", key);
    } else {
        struct json *answer = json_new_object();
        json_add_number(answer, "deleted", 1);
        respond(response, answer);
    }
}

/* {"filter":{..}}, or {"all":true}: an empty filter alone is more likely a mistake. On failure
 * NULL, with the member at fault. */
static struct filter *read_delete(const struct json *body, struct arena *arena,
                                  const char **field_out, struct error *err) {
    const struct json *json = json_get(body, "filter");
    struct filter *filter = NULL;
    bool all = false, ok = true;
    *field_out = NULL;
    if (json_kind_of(body) != JSON_KIND_OBJECT)
        ok = error_set(err, ERROR_INVALID, "send {\"filter\":{..}}, or {\"all\":true}");
    for (void *at = ok ? json_first(body) : NULL; ok && at; at = json_next(body, at)) {
        *field_out = json_member_key(at);
        if (strcmp(*field_out, "filter") != 0 && strcmp(*field_out, "all") != 0)
            ok = error_set(err, ERROR_INVALID,
                           "unknown field \"%.64s\": a deletion knows filter "
                           "and all",
                           *field_out);
    }
    if (ok) {
        *field_out = "all";
        ok = json_read_bool(body, "all", &all, err);
    }
    if (!ok)
        return NULL;
    *field_out = "filter";
    struct json *empty = json_new_object();
    ok = filter_parse(json || !all ? json : empty, arena, &filter, err);
    json_release(empty);
    if (ok && filter_passes_all(filter) && !all)
        ok = error_set(err, ERROR_INVALID,
                       "filter: it names no condition, so every document passes; send "
                       "{\"all\":true} to delete them all");
    else if (ok && all && !filter_passes_all(filter))
        ok = error_set(err, ERROR_INVALID, "filter: either a filter or \"all\", not both");
    return ok ? filter : NULL;
}

static void handle_delete_documents(void *context, size_t worker,
                                    const struct server_request *request,
                                    struct server_response *response) {
    struct service *service = context;
    const struct service_writer *writer = &service->options.writer;
    struct error err;
    const char *field = NULL;
    uint64_t removed_n = 0;
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    struct json *body = json_parse(request->body, request->body_len, &err);
    struct filter *filter = body ? read_delete(body, request->arena, &field, &err) : NULL;
    if (!filter) {
        server_response_error(response, 400, "bad_request", field, "%s", err.message);
    } else if (writer->remove_passing(writer->context, collection->index, filter, &removed_n,
                                      &err)) {
        struct json *answer = json_new_object();
        json_add_number(answer, "deleted", (double)removed_n);
        respond(response, answer);
    } else {
        if (removed_n > 0)
            error_wrap(&err, "%llu are deleted, then: ", (unsigned long long)removed_n);
        server_response_failure(response, &err);
    }
    json_release(body);
}

/* ---- life ---- */

static void routes_make(struct service *service) {
    const struct server_route routes[] = {
        {SERVER_GET, "/", page_handler, NULL, SERVER_LANE_LOOP},
        {SERVER_GET, "/health", handle_health, service, SERVER_LANE_LOOP},
        {SERVER_GET, "/ready", handle_health, service, SERVER_LANE_LOOP},
        {SERVER_GET, "/v1/collections", handle_list, service, SERVER_LANE_WORKERS},
        {SERVER_GET, "/v1/collections/{c}", handle_describe, service, SERVER_LANE_WORKERS},
        {SERVER_PUT, "/v1/collections/{c}", handle_create, service, SERVER_LANE_WRITER},
        {SERVER_POST, "/v1/collections/{c}/search", handle_search, service, SERVER_LANE_WORKERS},
        {SERVER_POST, "/v1/collections/{c}/documents", handle_put_documents, service,
         SERVER_LANE_WRITER},
        {SERVER_POST, "/v1/collections/{c}/documents/delete", handle_delete_documents, service,
         SERVER_LANE_WRITER},
        {SERVER_GET, "/v1/collections/{c}/documents/{id:text}", handle_get_document, service,
         SERVER_LANE_WORKERS},
        {SERVER_DELETE, "/v1/collections/{c}/documents/{id:text}", handle_delete_document, service,
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
    pthread_mutex_init(&service->lock, NULL);
    routes_make(service);
    if (!collections_open(service, err)) {
        service_close(service);
        return false;
    }
    *out = service;
    return true;
}

void service_close(struct service *service) {
    if (!service)
        return;
    for (size_t i = 0; i < service->collections_n; i++)
        collection_free(service->collections[i], service->options.workers_n);
    pthread_mutex_destroy(&service->lock);
    free(service->routes);
    free(service->data);
    free(service);
}

const struct server_route *service_routes(const struct service *service, size_t *n_out) {
    *n_out = service->routes_n;
    return service->routes;
}
