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

struct collection *service_collection_ensure(struct service *service, const char *name,
                                             const struct service_choices *choices, bool *made_out,
                                             struct error *err) {
    static const struct service_choices usual = {0};
    struct collection *collection = collections_find(service->collections, name);
    struct index *index;
    struct buf folder = {0};
    *made_out = !collection;
    if (collection)
        return collection;
    buf_format(&folder, "%s/%s", service->data, name);
    if (service->options.writer.create(service->options.writer.context, folder.data,
                                       choices ? choices : &usual, &index, err))
        collections_add(service->collections, name, index, &collection, err);
    buf_done(&folder);
    return collection;
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
    json_add_number(json, "passages", (double)counts.passages_n);
    json_add_number(json, "chunk_tokens", settings.chunk_tokens);
    json_add_number(json, "chunk_overlap", settings.chunk_overlap);
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
    if (describe(service, collection, answer, &err)) {
        service_respond(response, answer);
    } else {
        json_release(answer);
        server_response_failure(response, &err);
    }
}

/* ---- a new one ---- */

/* {"chunk_tokens", "chunk_overlap"}, or no body. *field_out: the member at fault. */
static bool read_choices(const struct server_request *request, struct service_choices *out,
                         const char **field_out, struct error *err) {
    struct service_choices choices = {.chunk_overlap = UINT32_MAX};
    *field_out = NULL;
    *out = choices;
    if (request->body_len == 0)
        return true;
    struct json *json = json_parse(request->body, request->body_len, err);
    if (!json)
        return false;
    bool ok = json_kind_of(json) == JSON_KIND_OBJECT ||
              error_set(err, ERROR_INVALID, "the body must be an object, found %s",
                        json_kind_name(json_kind_of(json)));
    for (void *at = ok ? json_first(json) : NULL; ok && at; at = json_next(json, at)) {
        const char *name = json_member_key(at);
        if (strcmp(name, *field_out = "chunk_tokens") == 0)
            ok = json_read_u32(json, name, 0, UINT32_MAX, &choices.chunk_tokens, err);
        else if (strcmp(name, *field_out = "chunk_overlap") == 0)
            ok = json_read_u32(json, name, 0, UINT32_MAX - 1, &choices.chunk_overlap, err);
        else {
            *field_out = arena_text(request->arena, name, strlen(name));
            ok = error_set(err, ERROR_INVALID, "unknown member \"%.32s\"", name);
        }
    }
    choices.chunk_given = json_get(json, "chunk_tokens") != NULL;
    if (ok && !choices.chunk_given && json_get(json, *field_out = "chunk_overlap"))
        ok = error_set(err, ERROR_INVALID, "\"chunk_overlap\" goes with \"chunk_tokens\"");
    json_release(json);
    if (ok)
        *out = choices;
    return ok;
}

/* What is there stays as it was made. */
static bool is_as_chosen(struct collection *collection, const struct service_choices *choices,
                         struct server_response *response) {
    struct opened *opened;
    struct error err;
    if (!choices->chunk_given)
        return true;
    if (!collection_hold(collection, &opened, &err)) {
        server_response_failure(response, &err);
        return false;
    }
    uint32_t tokens = index_settings_of(opened->index)->chunk_tokens;
    uint32_t overlap = index_settings_of(opened->index)->chunk_overlap;
    collection_release(collection, opened);
    bool as_chosen = tokens == choices->chunk_tokens &&
                     (choices->chunk_overlap == UINT32_MAX || choices->chunk_overlap == overlap);
    if (!as_chosen)
        server_response_error(response, 409, "conflict", "chunk_tokens",
                              "the collection was made with chunk_tokens %u and chunk_overlap %u; "
                              "delete it first, or make another",
                              tokens, overlap);
    return as_chosen;
}

void service_create(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    struct service *service = context;
    struct service_choices choices;
    const char *field;
    struct error err;
    bool made;
    (void)worker;
    if (!read_choices(request, &choices, &field, &err)) {
        service_refuse(response, &err, field);
        return;
    }
    struct collection *collection =
        service_collection_ensure(service, server_param(request, "c"), &choices, &made, &err);
    if (collection && !made && !is_as_chosen(collection, &choices, response))
        return;
    struct json *answer = json_new_object();
    if (collection && describe(service, collection, answer, &err)) {
        response->status = made ? 201 : 200;
        service_respond(response, answer);
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
