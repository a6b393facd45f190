#include "query/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/model.h"
#include "index/fields/filter.h"
#include "query/answer.h"
#include "query/collections.h"
#include "query/encoding_copy.h"
#include "query/request.h"
#include "query/search.h"
#include "query/ui/page.h"

struct service {
    struct service_options options;
    char *data;
    struct collections *collections;
    struct arena *arenas; /* [workers_n] what a worker encodes for several requests */
    struct server_route *routes;
    size_t routes_n;
};

/* ---- collections ---- */

static void refuse_collection(const struct server_request *request,
                              struct server_response *response) {
    server_response_error(response, 404, "not_found", NULL,
                          "there is no collection \"%s\"; GET /v1/collections lists them",
                          server_param(request, "c"));
}

/* The collection named in the path; a missing one is answered with 404. */
static struct collection *collection_of(struct service *service,
                                        const struct server_request *request,
                                        struct server_response *response) {
    struct collection *collection =
        collections_find(service->collections, server_param(request, "c"));
    if (!collection)
        refuse_collection(request, response);
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
    struct opened *opened;
    struct index_counts counts;
    if (!collection_hold(collection, &opened, err))
        return false;
    const struct index_settings settings = *index_settings_of(opened->index);
    bool ok = index_count(opened->index, &counts, err);
    collection_release(collection, opened);
    if (!ok)
        return false;
    json_add_string(json, "name", collection_name(collection));
    json_add_number(json, "documents", (double)counts.documents_n);
    json_add_number(json, "bytes", (double)counts.bytes_on_disk);
    json_add_number(json, "segments", (double)counts.segments_n);
    json_add_string(json, "model", settings.model);
    json_add_string(json, "analyzer", settings.analyzer);
    struct json *modes = json_new_array();
    for (int mode = 0; mode < FUSE_MODES_N; mode++)
        if (search_modes_of(&settings) & (1u << mode)) {
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
    collections_look(service->collections);
    for (size_t i = 0, n = collections_n(service->collections); i < n; i++) {
        struct json *one = json_new_object();
        if (describe(service, collections_at(service->collections, i), one, &err)) {
            json_push(list, one);
            continue;
        }
        json_release(one);
        if (err.code != ERROR_NOT_FOUND) { /* deleted */
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

/* A search on its way, in the request's arena. What it holds is released by its handler. */
struct search_call {
    struct collection *collection; /* NULL: there is none of that name */
    struct opened *opened;         /* NULL: there is none, or hold_err says why not */
    struct error hold_err;
    struct json *body; /* what the request borrows from */
    struct search_request request;
    bool readable; /* the body was a search request; else err and field say why not */
    char field[REQUEST_FIELD_MAX];
    struct error err;
};

static struct search_call *search_call_make(struct service *service,
                                            const struct server_request *request) {
    struct search_call *call = ARENA_ZERO(request->arena, struct search_call, 1);
    call->collection = collections_find(service->collections, server_param(request, "c"));
    if (call->collection && !collection_hold(call->collection, &call->opened, &call->hold_err))
        call->opened = NULL;
    call->body = json_parse(request->body, request->body_len, &call->err);
    call->readable =
        call->body && request_from_json(call->body, &call->request, call->field, &call->err);
    return call;
}

static void search_call_done(struct search_call *call) {
    if (call->opened)
        collection_release(call->collection, call->opened);
    json_release(call->body);
}

static struct searcher *searcher_of(struct service *service, struct opened *opened, size_t worker,
                                    struct error *err) {
    struct searcher **searcher = &opened->searchers[worker];
    if (*searcher || searcher_open(opened->index, service->options.model, searcher, err))
        return *searcher;
    return NULL;
}

/* Queries in the words of one collection, encoded together; each gets its own copy. Where that
 * fails, each is encoded alone later and says why not. */
static void encode_searches(struct service *service, size_t worker, struct search_call **calls,
                            struct server_request *const *requests, size_t n) {
    const struct search_request *alike[SERVER_TOGETHER_MAX];
    struct encoding encodings[SERVER_TOGETHER_MAX];
    struct arena *arena = &service->arenas[worker];
    struct error err;
    struct searcher *searcher = searcher_of(service, calls[0]->opened, worker, &err);
    double began_ms = clock_now_ms();
    for (size_t i = 0; i < n; i++)
        alike[i] = &calls[i]->request;
    if (searcher && searcher_encode(searcher, alike, n, arena, encodings, &err))
        for (size_t i = 0; i < n; i++) {
            struct arena *own = requests[i]->arena;
            struct encoding *copy = ARENA_NEW(own, struct encoding, 1);
            *copy = encoding_copy(&encodings[i], model_info(service->options.model), own);
            calls[i]->request.encoding = copy;
            calls[i]->request.encoding_ms = (clock_now_ms() - began_ms) / (double)n;
        }
    arena_reset(arena);
}

/* For server_together: what asks one collection for all its modes, some of it at a time. */
static void prepare_searches(void *context, size_t worker, struct server_request *const *requests,
                             size_t n) {
    struct service *service = context;
    struct search_call *calls[SERVER_TOGETHER_MAX], *alike[SERVER_TOGETHER_MAX];
    struct server_request *askers[SERVER_TOGETHER_MAX];
    for (size_t i = 0; i < n; i++) {
        calls[i] = requests[i]->prepared = search_call_make(service, requests[i]);
        if (!calls[i]->opened || !calls[i]->readable || calls[i]->request.modes)
            calls[i] = NULL;
    }
    for (size_t first = 0; first < n; first++) {
        size_t alike_n = 0;
        const struct opened *opened = calls[first] ? calls[first]->opened : NULL;
        for (size_t i = first; opened && i < n; i++)
            if (calls[i] && calls[i]->opened == opened) {
                alike[alike_n] = calls[i];
                askers[alike_n++] = requests[i];
                calls[i] = NULL;
            }
        if (alike_n > 1)
            encode_searches(service, worker, alike, askers, alike_n);
    }
}

static void respond_hits(struct server_response *response, const struct search_request *request,
                         const struct search_result *result) {
    const struct search_timing *timing = &result->timing;
    server_response_stage(response, "encode", timing->encode_ms);
    server_response_stage(response, "retrieve", timing->retrieve_ms);
    server_response_stage(response, "score", timing->score_ms);
    server_response_stage(response, "fuse", timing->fuse_ms);
    server_response_stage(response, "fetch", timing->fetch_ms);
    if (result->facets_n)
        server_response_stage(response, "facets", timing->facets_ms);
    response->subject = arena_text(response->arena, request->query, request->query_len);
    respond(response, answer_json(result));
}

static void handle_search(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    struct service *service = context;
    struct search_result result;
    struct error err;
    struct searcher *searcher;
    struct search_call *call =
        request->prepared ? request->prepared : search_call_make(service, request);
    if (server_request_cancelled(request))
        server_response_error(response, 503, "stopped", NULL, "nobody waits for this any more");
    else if (!call->collection)
        refuse_collection(request, response);
    else if (!call->opened)
        server_response_failure(response, &call->hold_err);
    else if (!call->readable)
        server_response_error(response, 400, "bad_request", call->field[0] ? call->field : NULL,
                              "%s", call->err.message);
    else if ((searcher = searcher_of(service, call->opened, worker, &err)) &&
             search_run(searcher, &call->request, request->arena, &result, &err))
        respond_hits(response, &call->request, &result);
    else
        server_response_failure(response, &err);
    search_call_done(call);
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
    struct opened *opened;
    if (!collection_hold(collection, &opened, &err)) {
        server_response_failure(response, &err);
        return;
    }
    if (snapshot_open(opened->index, &snapshot, &err) &&
        document_find(snapshot, key, strlen(key), &docid, &err) &&
        document_get(snapshot, docid, request->arena, &document, &err))
        respond(response, document_json(&document));
    else
        server_response_failure(response, &err);
    snapshot_close(snapshot);
    collection_release(collection, opened);
}

/* Finds or makes the collection in the path. Writer lane only, so two never make the same one. */
static struct collection *collection_ensure(struct service *service, const char *name,
                                            bool *made_out, struct error *err) {
    struct collection *collection = collections_find(service->collections, name);
    struct index *index;
    struct buf folder = {0};
    *made_out = !collection;
    if (collection)
        return collection;
    buf_format(&folder, "%s/%s", service->data, name);
    if (service->options.writer.create(service->options.writer.context, folder.data, &index, err))
        collections_add(service->collections, name, index, &collection, err);
    buf_done(&folder);
    return collection;
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

static bool delete_collection(struct service *service, struct collection *collection,
                              struct error *err) {
    struct opened *opened;
    if (!collection_claim(collection, &opened, err))
        return false;
    bool ok = service->options.writer.destroy(service->options.writer.context, opened->index, err);
    if (ok)
        collection_drop(collection, opened);
    collection_yield(collection, opened);
    return ok;
}

static void handle_delete_collection(void *context, size_t worker,
                                     const struct server_request *request,
                                     struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    if (!delete_collection(service, collection, &err)) {
        server_response_failure(response, &err);
        return;
    }
    struct json *answer = json_new_object();
    json_add_string(answer, "deleted", collection_name(collection));
    respond(response, answer);
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
    struct opened *opened;
    if (!collection || !collection_claim(collection, &opened, &err)) {
        server_response_failure(response, &err);
        return;
    }
    bool ok = service->options.writer.put(service->options.writer.context, opened->index,
                                          service->options.model, request->body, request->body_len,
                                          request->arena, &answer, &err);
    collection_yield(collection, opened);
    if (ok)
        respond(response, answer);
    else
        server_response_failure(response, &err);
}

static bool remove_one(struct service *service, struct collection *collection, const char *key,
                       bool *found_out, struct error *err) {
    const struct service_writer *writer = &service->options.writer;
    struct opened *opened;
    if (!collection_claim(collection, &opened, err))
        return false;
    bool ok = writer->remove(writer->context, opened->index, key, strlen(key), found_out, err);
    collection_yield(collection, opened);
    return ok;
}

static void handle_delete_document(void *context, size_t worker,
                                   const struct server_request *request,
                                   struct server_response *response) {
    struct service *service = context;
    struct error err;
    const char *key = server_param(request, "id");
    bool found = false;
    (void)worker;
    struct collection *collection = collection_of(service, request, response);
    if (!collection)
        return;
    if (!remove_one(service, collection, key, &found, &err)) {
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

/* *removed_n: how many are gone, on failure too. */
static bool remove_passing(struct service *service, struct collection *collection,
                           const struct filter *filter, uint64_t *removed_n, struct error *err) {
    const struct service_writer *writer = &service->options.writer;
    struct opened *opened;
    if (!collection_claim(collection, &opened, err))
        return false;
    bool ok = writer->remove_passing(writer->context, opened->index, filter, removed_n, err);
    collection_yield(collection, opened);
    return ok;
}

static void handle_delete_documents(void *context, size_t worker,
                                    const struct server_request *request,
                                    struct server_response *response) {
    struct service *service = context;
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
    } else if (remove_passing(service, collection, filter, &removed_n, &err)) {
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
        {SERVER_DELETE, "/v1/collections/{c}", handle_delete_collection, service,
         SERVER_LANE_WRITER},
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
    service->arenas = mem_zalloc(options->workers_n, sizeof *service->arenas);
    routes_make(service);
    if (!collections_open(service->data, options->workers_n, &service->collections, err)) {
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
    for (size_t i = 0; i < service->options.workers_n; i++)
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
    return (struct server_together){handle_search, prepare_searches};
}
