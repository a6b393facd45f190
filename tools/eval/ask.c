#include "tools/eval/ask.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/encoder.h"
#include "tools/eval/answers.h"
#include "tools/search_reranker.h"

/* One thread's own. */
struct asker {
    struct searcher *searcher;
    struct search_reranker reranker; /* zeros: there is none */
    struct arena scratch;            /* of one query */
    struct error error;
    bool failed;
};

struct asked {
    const struct eval_asking *asking;
    struct benchmark *benchmark;
    struct asker *askers; /* a thread each */
    struct eval_answers *out;
    /* What is kept, by one thread at a time: it is little beside a search. */
    pthread_mutex_t keeping;
    struct arena *arena;
    struct map known; /* a document's key stands in thousands of answers and once in memory */
    const char **keys;
    size_t keys_n;
};

static const char *key_of(struct asked *asked, const struct document *document) {
    const uint32_t *at = map_find(&asked->known, document->key, document->key_len);
    if (at)
        return asked->keys[*at];
    const char *key = arena_text(asked->arena, document->key, document->key_len);
    asked->keys = arena_room(asked->arena, asked->keys, asked->keys_n, sizeof *asked->keys);
    asked->keys[asked->keys_n] = key;
    map_put(&asked->known, key, document->key_len, (uint32_t)asked->keys_n++, NULL);
    return key;
}

static void judge_by_text(struct asked *asked, struct judged_query *query,
                          const struct document *document, const char *key) {
    query->judgments =
        arena_room(asked->arena, query->judgments, query->judgments_n, sizeof *query->judgments);
    query->judgments[query->judgments_n++] =
        (struct judgment){key, answers_held(query, document->text, document->text_len)};
}

/* What orders a run (ask.h). below: of the best hit that was not reranked; its own fused score. */
static float score_of(const struct search_hit *hit, float below, float best_fused) {
    return hit->rerank.rank ? hit->rerank.raw : below - (best_fused - hit->scores.score);
}

static void keep_hits(struct asked *asked, const struct search_result *result,
                      struct judged_query *query, struct run_query *out) {
    float below = 0, best_fused = 0; /* nothing reranked: every hit keeps its fused score */
    size_t reranked_n = 0;
    while (reranked_n < result->hits_n && result->hits[reranked_n].rerank.rank)
        reranked_n++;
    if (reranked_n > 0 && reranked_n < result->hits_n) {
        below = result->hits[reranked_n - 1].rerank.raw - 1;
        best_fused = result->hits[reranked_n].scores.score;
    }
    pthread_mutex_lock(&asked->keeping);
    out->id = query->id;
    out->hits = ARENA_NEW(asked->arena, struct run_hit, result->hits_n + 1);
    for (size_t i = 0; i < result->hits_n; i++) {
        const struct document *document = &result->hits[i].document;
        if (asked->benchmark->drops_itself && strcmp(document->key, query->id) == 0)
            continue;
        const char *key = key_of(asked, document);
        out->hits[out->hits_n++] =
            (struct run_hit){key, score_of(&result->hits[i], below, best_fused)};
        if (asked->benchmark->by_answer)
            judge_by_text(asked, query, document, key);
    }
    pthread_mutex_unlock(&asked->keeping);
}

/* Only a table shares the encoding: one row alone encodes what its modes need. */
static bool ask_rows(struct asked *asked, size_t item, struct asker *asker) {
    const struct eval_asking *asking = asked->asking;
    struct judged_query *query = &asked->benchmark->judged.queries[item];
    const struct search_request bare = {.query = query->text, .query_len = query->text_len};
    const struct search_request *one[] = {&bare};
    struct encoding encoding;
    struct search_result result;
    double began = clock_now_ms(), encoding_ms = 0;
    if (asking->rows_n > 1) {
        if (!searcher_encode(asker->searcher, one, 1, &asker->scratch, &encoding, &asker->error))
            return false;
        encoding_ms = clock_now_ms() - began;
    }
    for (size_t r = 0; r < asking->rows_n; r++) {
        struct search_request request = asking->rows[r].request;
        request.query = query->text;
        request.query_len = query->text_len;
        request.encoding = asking->rows_n > 1 ? &encoding : NULL;
        request.encoding_ms = encoding_ms;
        request.reranker = asking->reranker ? &asker->reranker.scorer : NULL;
        if (!search_run(asker->searcher, &request, &asker->scratch, &result, &asker->error))
            return false;
        keep_hits(asked, &result, query, &asked->out[r].run.queries[item]);
        asked->out[r].took_ms[item] = result.timing.total_ms;
    }
    return true;
}

static void ask_one(void *context, size_t item, size_t worker) {
    struct asked *asked = context;
    struct asker *asker = &asked->askers[worker];
    if (!asker->failed)
        asker->failed = !ask_rows(asked, item, asker);
    arena_reset(&asker->scratch);
}

bool eval_ask(const struct eval_asking *asking, struct benchmark *benchmark, struct arena *arena,
              struct eval_answers *out, struct error *err) {
    struct pool *pool = pool_open(asking->threads);
    size_t workers_n = pool_workers_n(pool), n = benchmark->judged.n;
    struct asked asked = {
        .asking = asking,
        .benchmark = benchmark,
        .askers = mem_zalloc(workers_n, sizeof *asked.askers),
        .out = out,
        .keeping = PTHREAD_MUTEX_INITIALIZER,
        .arena = arena,
    };
    bool ok = true;
    for (size_t r = 0; r < asking->rows_n; r++)
        out[r] = (struct eval_answers){
            .run = {ARENA_ZERO(arena, struct run_query, n), n},
            .took_ms = ARENA_ZERO(arena, double, n),
        };
    for (size_t i = 0; i < workers_n && ok; i++)
        ok = searcher_open(asking->index, asking->model, &asked.askers[i].searcher, err) &&
             (!asking->reranker ||
              search_reranker_beside(asking->reranker, &asked.askers[i].reranker, err));
    if (ok)
        pool_run(pool, n, ask_one, &asked);
    for (size_t i = 0; i < workers_n && ok; i++)
        if (asked.askers[i].failed) {
            *err = asked.askers[i].error;
            ok = false;
        }
    for (size_t i = 0; i < workers_n; i++) {
        searcher_close(asked.askers[i].searcher);
        search_reranker_close(&asked.askers[i].reranker);
        arena_done(&asked.askers[i].scratch);
    }
    map_done(&asked.known);
    pthread_mutex_destroy(&asked.keeping);
    free(asked.askers);
    pool_close(pool);
    return ok;
}
