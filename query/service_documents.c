#include <string.h>

#include "index/fields/filter.h"
#include "query/answer.h"
#include "query/service_inside.h"

void service_get_document(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    struct service *service = context;
    struct error err;
    struct snapshot *snapshot = NULL;
    struct document document;
    uint32_t docid;
    const char *key = server_param(request, "id");
    (void)worker;
    struct collection *collection = service_collection(service, request, response);
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
        service_respond(response, document_json(&document));
    else
        server_response_failure(response, &err);
    snapshot_close(snapshot);
    collection_release(collection, opened);
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

void service_delete_document(void *context, size_t worker, const struct server_request *request,
                             struct server_response *response) {
    struct service *service = context;
    struct error err;
    const char *key = server_param(request, "id");
    bool found = false;
    (void)worker;
    struct collection *collection = service_collection(service, request, response);
    if (!collection)
        return;
    if (!remove_one(service, collection, key, &found, &err)) {
        server_response_failure(response, &err);
    } else if (!found) {
        server_response_error(response, 404, "not_found", NULL, "there is no document \"%s\"", key);
    } else {
        struct json *answer = json_new_object();
        json_add_number(answer, "deleted", 1);
        service_respond(response, answer);
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

void service_delete_documents(void *context, size_t worker, const struct server_request *request,
                              struct server_response *response) {
    struct service *service = context;
    struct error err;
    const char *field = NULL;
    uint64_t removed_n = 0;
    (void)worker;
    struct collection *collection = service_collection(service, request, response);
    if (!collection)
        return;
    struct json *body = json_parse(request->body, request->body_len, &err);
    struct filter *filter = body ? read_delete(body, request->arena, &field, &err) : NULL;
    if (!filter) {
        server_response_error(response, 400, "bad_request", field, "%s", err.message);
    } else if (remove_passing(service, collection, filter, &removed_n, &err)) {
        struct json *answer = json_new_object();
        json_add_number(answer, "deleted", (double)removed_n);
        service_respond(response, answer);
    } else {
        if (removed_n > 0)
            error_wrap(&err, "%llu are deleted, then: ", (unsigned long long)removed_n);
        server_response_failure(response, &err);
    }
    json_release(body);
}
