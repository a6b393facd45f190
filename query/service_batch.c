/* POST /v1/collections/{c}/search/batch: {"searches":[..]} -> {"results":[..]}. */
#include <string.h>

#include "query/batch.h"
#include "query/service_inside.h"

/* The list of searches; NULL: the body is wrong, *field_out or the whole of it. */
static const struct json *read_searches(const struct json *body, const char **field_out,
                                        struct error *err) {
    const struct json *searches = json_get(body, "searches");
    *field_out = NULL;
    if (!body)
        return NULL;
    for (void *at = json_first(body); at; at = json_next(body, at))
        if (strcmp(json_member_key(at), "searches") != 0) {
            *field_out = json_member_key(at);
            error_set(err, ERROR_INVALID, "unknown field \"%.64s\": a batch knows searches only",
                      *field_out);
            return NULL;
        }
    *field_out = "searches";
    if (json_kind_of(searches) != JSON_KIND_ARRAY || json_count(searches) == 0) {
        error_set(err, ERROR_INVALID, "\"searches\" must be a list of one or more search requests");
        return NULL;
    }
    if (json_count(searches) > BATCH_SEARCHES_MAX) {
        error_set(err, ERROR_LIMIT, "%zu searches, at most %d are answered at once",
                  json_count(searches), BATCH_SEARCHES_MAX);
        return NULL;
    }
    return searches;
}

static void respond_results(struct server_response *response, struct json **results, size_t n,
                            const struct search_timing *timing) {
    struct json *answer = json_new_object(), *list = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, results[i]);
    json_add(answer, "results", list);
    service_search_stages(response, timing);
    response->subject = arena_format(response->arena, "batch of %zu", n);
    service_respond(response, answer);
}

static void answer_batch(struct service *service, size_t worker, struct opened *opened,
                         const struct json *searches, const struct server_request *request,
                         struct server_response *response) {
    const struct json *list[BATCH_SEARCHES_MAX];
    struct json *results[BATCH_SEARCHES_MAX];
    struct service_reranker reranker;
    struct search_timing timing;
    struct error err;
    size_t n = json_count(searches);
    for (size_t i = 0; i < n; i++)
        list[i] = json_at(searches, i);
    const struct batch batch = {
        .searcher = service_searcher(service, opened, worker, &err),
        .reranker = service_reranker(service, worker, request, &reranker),
        .cancelled = request->cancelled,
        .pool = cores_enter(service->cores),
        .arena = request->arena,
        .scratch = &service->arenas[worker],
    };
    if (batch.searcher && batch_search(&batch, list, NULL, n, results, &timing, &err))
        respond_results(response, results, n, &timing);
    else
        server_response_failure(response, &err);
    cores_leave(service->cores);
    arena_reset(&service->arenas[worker]);
}

void service_search_batch(void *context, size_t worker, const struct server_request *request,
                          struct server_response *response) {
    struct service *service = context;
    struct opened *opened;
    struct error err;
    const char *field;
    struct collection *collection = service_collection(service, request, response);
    if (!collection)
        return;
    struct json *body = json_parse(request->body, request->body_len, &err);
    const struct json *searches = read_searches(body, &field, &err);
    if (!searches) {
        service_refuse(response, &err, field);
    } else if (!collection_hold(collection, &opened, &err)) {
        server_response_failure(response, &err);
    } else {
        answer_batch(service, worker, opened, searches, request, response);
        collection_release(collection, opened);
    }
    json_release(body);
}
