/* batch.h - several searches of one collection at once: their queries go through the encoder
 * together, and each has an answer or an error of its own.
 *
 * Each sees the newest commit of its moment, and is answered as it would be alone, to the bit. */
#ifndef TERCET_QUERY_BATCH_H
#define TERCET_QUERY_BATCH_H

#include "engine/base/json.h"
#include "query/search.h"

/* A worker is busy with them for as long as they take one by one, encoding left out: half a second
 * of usual ones. */
enum { BATCH_SEARCHES_MAX = 64 };

struct batch {
    struct searcher *searcher;
    const struct rerank_scorer *reranker; /* as in search_request */
    struct pool *pool;                    /* as search_request's */
    const atomic_bool *cancelled;
    struct arena *arena;   /* for the time of the batch */
    struct arena *scratch; /* reset between two searches */
};

/* searches: [n] of JSON, NULL where there is none to read, errors[i] saying why. out: [n], each the
 * answer (answer.h) or {"error":{"code","message","field"}}; the caller releases them. *timing_out:
 * the stages of all, added up. ERROR_STOPPED once cancelled: then there is nothing. */
bool batch_search(const struct batch *batch, const struct json *const *searches,
                  const struct error *errors, size_t n, struct json **out,
                  struct search_timing *timing_out, struct error *err);

/* {"error":{..}} of a search that failed. field NULL or "": no single one is at fault. */
struct json *batch_refusal(const struct error *err, const char *field);

#endif
