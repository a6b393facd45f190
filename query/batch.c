#include "query/batch.h"

#include <string.h>

#include "engine/base/clock.h"
#include "engine/encoder.h"
#include "query/answer.h"
#include "query/request.h"
#include "query/server/server.h"

/* One of them, read. */
struct asked {
    struct search_request request;
    char field[REQUEST_FIELD_MAX]; /* at fault */
    struct error err;
    bool ok;
};

struct json *batch_refusal(const struct error *err, const char *field) {
    struct json *refusal = json_new_object(), *error = json_new_object();
    int status;
    json_add_string(error, "code", server_error_code(err->code, &status));
    json_add_string(error, "message", err->message);
    json_add(error, "field",
             field && *field ? json_new_string(field, strlen(field)) : json_new_null());
    json_add(refusal, "error", error);
    return refusal;
}

static void read_all(const struct batch *batch, const struct json *const *searches,
                     const struct error *errors, size_t n, struct asked *asked) {
    for (size_t i = 0; i < n; i++) {
        struct asked *one = &asked[i];
        if (!searches[i]) {
            one->err = errors[i];
            continue;
        }
        one->ok =
            request_from_json(searches[i], batch->arena, &one->request, one->field, &one->err);
        one->request.reranker = batch->reranker;
        one->request.pool = batch->pool;
        one->request.cancelled = batch->cancelled;
    }
}

/* What asks for all modes, together. Where that fails, each is encoded alone and says why not. */
static void encode_together(const struct batch *batch, struct asked *asked, size_t n) {
    const struct search_request **requests =
        ARENA_NEW(batch->arena, const struct search_request *, n);
    struct asked **askers = ARENA_NEW(batch->arena, struct asked *, n);
    struct encoding *encodings = ARENA_NEW(batch->arena, struct encoding, n);
    size_t together = 0;
    const char *field;
    struct error err;
    for (size_t i = 0; i < n; i++)
        if (asked[i].ok && search_encodes_all(&asked[i].request) &&
            search_check(batch->searcher, &asked[i].request, &field, &err)) {
            requests[together] = &asked[i].request;
            askers[together++] = &asked[i];
        }
    double began_ms = clock_now_ms();
    if (together < 2 ||
        !searcher_encode(batch->searcher, requests, together, batch->arena, encodings, &err))
        return;
    double share_ms = (clock_now_ms() - began_ms) / (double)together;
    for (size_t i = 0; i < together; i++) {
        askers[i]->request.encoding = &encodings[i];
        askers[i]->request.encoding_ms = share_ms;
    }
}

static void add_timing(struct search_timing *sum, const struct search_timing *one) {
    sum->encode_ms += one->encode_ms;
    sum->retrieve_ms += one->retrieve_ms;
    sum->score_ms += one->score_ms;
    sum->fuse_ms += one->fuse_ms;
    sum->rerank_ms += one->rerank_ms;
    sum->fetch_ms += one->fetch_ms;
    sum->facets_ms += one->facets_ms;
    sum->total_ms += one->total_ms;
}

static struct json *answer_one(const struct batch *batch, struct asked *asked,
                               struct search_timing *timing) {
    struct search_result result;
    const char *field = NULL;
    if (!asked->ok)
        return batch_refusal(&asked->err, asked->field);
    if (!search_check(batch->searcher, &asked->request, &field, &asked->err))
        return batch_refusal(&asked->err, field);
    if (!search_run(batch->searcher, &asked->request, batch->scratch, &result, &asked->err))
        return batch_refusal(&asked->err, search_fault(&asked->request, &asked->err));
    add_timing(timing, &result.timing);
    return answer_json(&result);
}

static bool is_stopped(const struct batch *batch) {
    return batch->cancelled && atomic_load_explicit(batch->cancelled, memory_order_relaxed);
}

bool batch_search(const struct batch *batch, const struct json *const *searches,
                  const struct error *errors, size_t n, struct json **out,
                  struct search_timing *timing_out, struct error *err) {
    struct asked *asked = ARENA_ZERO(batch->arena, struct asked, n);
    struct search_timing timing = {0};
    size_t done = 0;
    read_all(batch, searches, errors, n, asked);
    encode_together(batch, asked, n);
    for (; done < n && !is_stopped(batch); done++) {
        out[done] = answer_one(batch, &asked[done], &timing);
        arena_reset(batch->scratch);
    }
    if (done == n && !is_stopped(batch)) {
        *timing_out = timing;
        return true;
    }
    while (done > 0)
        json_release(out[--done]);
    return error_set(err, ERROR_STOPPED, "nobody waits for this answer any more");
}
