/* Collections: which there are, and what each holds. */
#include <string.h>

#include "query/search.h"
#include "query/chat_model.h"
#include "query/service_inside.h"

void service_refuse_collection(const char *name, struct server_response *response) {
    server_response_error(response, 404, "not_found", NULL,
                          "there is no collection \"%s\"; GET /v1/collections lists them", name);
}

/* The collection named in the path; a missing one is answered with 404. */
struct collection *service_collection(struct service *service, const struct server_request *request,
                                      struct server_response *response) {
    struct collection *collection =
        collections_find(service->collections, server_param(request, "c"));
    if (!collection)
        service_refuse_collection(server_param(request, "c"), response);
    return collection;
}

void service_respond(struct server_response *response, struct json *json) {
    json_print(json, &response->body);
    json_release(json);
}

void service_health(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    static const char ok[] = "{\"status\":\"ok\"}";
    (void)context;
    (void)worker;
    (void)request;
    response->static_body = ok;
    response->static_len = sizeof ok - 1;
}

bool service_describe_into(struct service *service, struct collection *collection,
                           struct json *json, struct error *err) {
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
    json_add_number(json, "passages", (double)counts.passages_n);
    json_add_number(json, "chunk_tokens", settings.chunk_tokens);
    json_add_number(json, "chunk_overlap", settings.chunk_overlap);
    json_add_number(json, "bytes", (double)counts.bytes_on_disk);
    json_add_number(json, "segments", (double)counts.segments_n);
    json_add(json, "model",
             index_has_model(&settings) ? json_new_string(settings.model, strlen(settings.model))
                                        : json_new_null());
    json_add_string(json, "analyzer", settings.analyzer);
    json_add_number(json, "dense_dim", settings.dense_dim);
    json_add_number(json, "multi_dim", settings.multi_dim);
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

void service_list(void *context, size_t worker, const struct server_request *request,
                  struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    (void)request;
    struct json *answer = json_new_object(), *list = json_new_array();
    const struct chat_model *chat = service->options.chat;
    json_add(answer, "collections", list);
    json_add(answer, "answer_model",
             chat ? json_new_string(chat->name, strlen(chat->name)) : json_new_null());
    collections_look(service->collections);
    for (size_t i = 0, n = collections_n(service->collections); i < n; i++) {
        struct json *one = json_new_object();
        if (service_describe_into(service, collections_at(service->collections, i), one, &err)) {
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
    service_respond(response, answer);
}

void service_describe(void *context, size_t worker, const struct server_request *request,
                      struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    struct collection *collection = service_collection(service, request, response);
    if (!collection)
        return;
    struct json *answer = json_new_object();
    if (service_describe_into(service, collection, answer, &err)) {
        service_respond(response, answer);
    } else {
        json_release(answer);
        server_response_failure(response, &err);
    }
}

/* ---- an end ---- */

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

void service_delete_collection(void *context, size_t worker, const struct server_request *request,
                               struct server_response *response) {
    struct service *service = context;
    struct error err;
    (void)worker;
    struct collection *collection = service_collection(service, request, response);
    if (!collection)
        return;
    if (!delete_collection(service, collection, &err)) {
        server_response_failure(response, &err);
        return;
    }
    struct json *answer = json_new_object();
    json_add_string(answer, "deleted", collection_name(collection));
    service_respond(response, answer);
}
