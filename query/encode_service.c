#include "query/encode_service.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "query/encode_routes.h"

static const struct encode_route routes[] = {
    {SERVER_POST, "/v1/encode", ENCODE_OWN, encode_own_read, encode_own_write},
    {SERVER_POST, "/v1/score", ENCODE_OWN, encode_score_read, encode_score_write},
    {SERVER_POST, "/v1/embeddings", ENCODE_OPENAI, encode_openai_read, encode_openai_write},
    {SERVER_GET, "/v1/models", ENCODE_OPENAI, NULL, encode_models_write},
    {SERVER_POST, "/embed", ENCODE_TEI, encode_tei_read, encode_tei_write},
    {SERVER_POST, "/embed_sparse", ENCODE_TEI, encode_tei_sparse_read, encode_tei_sparse_write},
    {SERVER_POST, "/embed_all", ENCODE_TEI, encode_tei_all_read, encode_tei_all_write},
    {SERVER_GET, "/info", ENCODE_TEI, NULL, encode_tei_info_write},
    {SERVER_POST, "/rerank", ENCODE_TEI, encode_tei_rerank_read, encode_tei_rerank_write},
    {SERVER_POST, "/v1/rerank", ENCODE_RERANK, encode_rerank_read, encode_rerank_write},
    {SERVER_POST, "/v2/rerank", ENCODE_RERANK, encode_rerank_read, encode_rerank_write},
};

enum { ROUTES_N = sizeof routes / sizeof *routes };

/* What a route's handler is called with. */
struct bound_route {
    const struct encode_route *route;
    struct encoders *encoders;
};

struct encode_service {
    struct bound_route bound[ROUTES_N];
    struct server_route routes[ROUTES_N];
};

/* ---- a request ---- */

static bool call_read(struct encode_call *call) {
    struct error err;
    if (!call->route->read)
        return true;
    struct json *body = json_parse(call->request->body, call->request->body_len, &err);
    bool ok;
    if (!body)
        ok = encode_refuse(call, 400, "bad_request", NULL, "%s", err.message);
    else if (json_kind_of(body) != JSON_KIND_OBJECT)
        ok = encode_refuse(call, 400, "bad_request", NULL,
                           "the body must be a JSON object, found %s",
                           json_kind_name(json_kind_of(body)));
    else
        ok = call->route->read(call, body) && encode_check_lengths(call);
    json_release(body);
    return ok;
}

static bool call_encode(struct encode_call *call) {
    struct error err;
    if (call->modes == 0 || call->encodings)
        return true;
    struct encoding *encodings = ARENA_NEW(call->arena, struct encoding, call->n);
    call->encodings = encodings;
    return encoders_encode(call->encoders, call->worker, call->side, call->modes, call->texts,
                           call->n, call->request->cancelled, call->arena, encodings, &err) ||
           encode_fail(call, NULL, &err);
}

/* In the request's arena, its body read; a refusal may stand in it. */
static struct encode_call *call_make(const struct bound_route *bound, size_t worker,
                                     const struct server_request *request) {
    struct encode_call *call = ARENA_ZERO(request->arena, struct encode_call, 1);
    call->route = bound->route;
    call->encoders = bound->encoders;
    call->request = request;
    call->arena = request->arena;
    call->worker = worker;
    call_read(call);
    return call;
}

static void handle(void *context, size_t worker, const struct server_request *request,
                   struct server_response *response) {
    struct encode_call *call =
        request->prepared ? request->prepared : call_make(context, worker, request);
    call->response = response;
    if (!call->refusal.status && call_encode(call))
        call->route->write(call);
    if (call->refusal.status)
        encode_write_refusal(call);
}

/* ---- requests together ---- */

/* Those of the calls that are encoded the same way as the first that waits, and it. */
static void encode_alike(struct encode_call **calls, size_t n) {
    struct encoders_part parts[SERVER_TOGETHER_MAX];
    struct encode_call *alike[SERVER_TOGETHER_MAX], *first = NULL;
    size_t parts_n = 0;
    struct error err;
    for (size_t i = 0; i < n; i++) {
        struct encode_call *call = calls[i];
        if (!call || (first && (call->side != first->side || call->modes != first->modes)))
            continue;
        first = first ? first : call;
        struct encoding *out = ARENA_NEW(call->arena, struct encoding, call->n);
        parts[parts_n] = (struct encoders_part){call->texts, call->n, call->arena, out};
        alike[parts_n++] = call;
        calls[i] = NULL;
    }
    bool ok = parts_n > 1 && encoders_encode_together(first->encoders, first->worker, first->side,
                                                      first->modes, parts, parts_n, &err);
    for (size_t i = 0; ok && i < parts_n; i++) /* else each is encoded alone, and says why not */
        alike[i]->encodings = parts[i].out;
}

static void prepare(void *context, size_t worker, struct server_request *const *requests,
                    size_t n) {
    struct encode_call *calls[SERVER_TOGETHER_MAX];
    for (size_t i = 0; i < n; i++) {
        struct encode_call *call = call_make(context, worker, requests[i]);
        requests[i]->prepared = call;
        calls[i] = call->refusal.status || call->modes == 0 ? NULL : call;
    }
    for (size_t i = 0; i < n; i++)
        if (calls[i])
            encode_alike(calls, n);
}

/* ---- life ---- */

struct encode_service *encode_service_open(struct encoders *encoders) {
    struct encode_service *service = mem_zalloc(1, sizeof *service);
    for (size_t i = 0; i < ROUTES_N; i++) {
        service->bound[i] = (struct bound_route){&routes[i], encoders};
        service->routes[i] = (struct server_route){
            .method = routes[i].method,
            .pattern = routes[i].path,
            .handler = handle,
            .context = &service->bound[i],
            .lane = routes[i].read ? SERVER_LANE_WORKERS : SERVER_LANE_LOOP,
        };
    }
    return service;
}

void encode_service_close(struct encode_service *service) {
    free(service);
}

const struct server_route *encode_service_routes(const struct encode_service *service,
                                                 size_t *n_out) {
    *n_out = ROUTES_N;
    return service->routes;
}

struct server_together encode_service_together(void) {
    return (struct server_together){handle, prepare};
}
