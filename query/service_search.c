#include "engine/base/clock.h"
#include "engine/model.h"
#include "query/answer.h"
#include "query/encoders.h"
#include "query/encoding_copy.h"
#include "query/request.h"
#include "query/service_inside.h"

/* A search on its way, in the request's arena. What it holds is released by its handler. */
struct search_call {
    const char *name; /* the collection's; NULL: the line does not say, and err tells */
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
    call->body = json_parse(request->body, request->body_len, &call->err);
    if (request->params_n)
        call->name = server_param(request, "c");
    else if (call->body)
        call->name = service_line_collection(service, call->body, request->arena, &call->err);
    if (call->name)
        call->collection = collections_find(service->collections, call->name);
    if (call->collection && !collection_hold(call->collection, &call->opened, &call->hold_err))
        call->opened = NULL;
    call->readable =
        call->body && call->name &&
        request_from_json(call->body, request->arena, &call->request, call->field, &call->err);
    return call;
}

static void search_call_done(struct search_call *call) {
    if (call->opened)
        collection_release(call->collection, call->opened);
    json_release(call->body);
}

struct searcher *service_searcher(struct service *service, struct opened *opened, size_t worker,
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
    struct searcher *searcher = service_searcher(service, calls[0]->opened, worker, &err);
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
void service_search_prepare(void *context, size_t worker, struct server_request *const *requests,
                            size_t n) {
    struct service *service = context;
    struct search_call *calls[SERVER_TOGETHER_MAX], *alike[SERVER_TOGETHER_MAX];
    struct server_request *askers[SERVER_TOGETHER_MAX];
    for (size_t i = 0; i < n; i++) {
        calls[i] = requests[i]->prepared = search_call_make(service, requests[i]);
        if (!calls[i]->opened || !calls[i]->readable || !search_encodes_all(&calls[i]->request))
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

void service_search_stages(struct server_response *response, const struct search_timing *timing) {
    server_response_stage(response, "encode", timing->encode_ms);
    server_response_stage(response, "retrieve", timing->retrieve_ms);
    server_response_stage(response, "score", timing->score_ms);
    server_response_stage(response, "fuse", timing->fuse_ms);
    if (timing->rerank_ms > 0)
        server_response_stage(response, "rerank", timing->rerank_ms);
    server_response_stage(response, "fetch", timing->fetch_ms);
    if (timing->facets_ms > 0)
        server_response_stage(response, "facets", timing->facets_ms);
}

static void respond_hits(struct server_response *response, const struct search_request *request,
                         const struct search_result *result) {
    service_search_stages(response, &result->timing);
    response->subject = request->query
                            ? arena_text(response->arena, request->query, request->query_len)
                        : request->like ? arena_format(response->arena, "like %s", request->like)
                                        : "(vectors)";
    service_respond(response, answer_json(result));
}

static bool score_pairs(void *context, const struct reranker_pair *pairs, size_t n,
                        float *scores_out, struct error *err) {
    const struct service_reranker *own = context;
    return encoders_rerank(own->encoders, own->worker, pairs, n, own->cancelled, scores_out, err);
}

const struct rerank_scorer *service_reranker(struct service *service, size_t worker,
                                             const struct server_request *request,
                                             struct service_reranker *own) {
    struct encoders *encoders = service->options.encoders;
    const struct model *model = encoders ? encoders_reranker(encoders) : NULL;
    if (!model)
        return NULL;
    *own = (struct service_reranker){
        .scorer = {encoders_name(model), score_pairs, own},
        .encoders = encoders,
        .worker = worker,
        .cancelled = request->cancelled,
    };
    return &own->scorer;
}

void service_refuse(struct server_response *response, const struct error *err, const char *field) {
    int status;
    const char *code = server_error_code(err->code, &status);
    server_response_failure(response, err);
    if (field)
        server_response_error(response, status, code, field, "%s", err->message);
}

/* A search that can be read, in a collection that is there. */
static void answer_search(struct service *service, size_t worker, struct search_call *call,
                          const struct server_request *request, struct server_response *response) {
    struct search_request *search = &call->request;
    struct service_reranker reranker;
    struct search_result result;
    struct error err;
    const char *field = NULL;
    struct searcher *searcher = service_searcher(service, call->opened, worker, &err);
    search->reranker = service_reranker(service, worker, request, &reranker);
    search->cancelled = request->cancelled;
    search->pool = cores_enter(service->cores);
    if (!searcher || !search_check(searcher, search, &field, &err))
        service_refuse(response, &err, field);
    else if (!search_run(searcher, search, request->arena, &result, &err))
        service_refuse(response, &err, search_fault(search, &err));
    else
        respond_hits(response, search, &result);
    cores_leave(service->cores);
}

void service_search(void *context, size_t worker, const struct server_request *request,
                    struct server_response *response) {
    struct service *service = context;
    struct search_call *call =
        request->prepared ? request->prepared : search_call_make(service, request);
    if (server_request_cancelled(request))
        server_response_error(response, 503, "stopped", NULL, "nobody waits for this any more");
    else if (!call->name)
        server_response_error(response, 400, "bad_request", call->body ? "collection" : NULL, "%s",
                              call->err.message);
    else if (!call->collection)
        service_refuse_collection(call->name, response);
    else if (!call->opened)
        server_response_failure(response, &call->hold_err);
    else if (!call->readable)
        server_response_error(response, 400, "bad_request", call->field[0] ? call->field : NULL,
                              "%s", call->err.message);
    else
        answer_search(service, worker, call, request, response);
    search_call_done(call);
}
