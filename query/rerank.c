#include "query/rerank.h"

#include <math.h>

#include "engine/base/clock.h"

/* Cut where no character is cut in two. */
static size_t cut_len(const struct passage *passage) {
    size_t len = passage->len;
    if (len <= RERANK_PASSAGE_BYTES_MAX)
        return len;
    len = RERANK_PASSAGE_BYTES_MAX;
    while (len > 0 && ((unsigned char)passage->text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* How many to score now; 0: there is no time for one more. Half of what seems to fit, as pairs
 * differ and other work comes between: what is over then is half of that too late. The first is
 * tried as long as there is any time at all, or a pace that was slow once would never be measured
 * again. */
static size_t batch_size(double left_ms, double pair_ms, bool first) {
    if (left_ms == (double)INFINITY)
        return RERANK_BATCH_MAX;
    if (left_ms <= 0)
        return 0;
    if (pair_ms <= 0)
        return RERANK_BATCH_FIRST;
    double fit = left_ms / pair_ms;
    if (fit >= 2 * RERANK_BATCH_MAX)
        return RERANK_BATCH_MAX;
    return fit >= 2 ? (size_t)(fit / 2) : fit >= 1 || first;
}

static bool score_batch(const struct rerank_task *task, size_t begin, size_t n, struct arena *arena,
                        float *scores_out, struct error *err) {
    struct reranker_pair pairs[RERANK_BATCH_MAX];
    for (size_t i = 0; i < n; i++) {
        struct passage passage;
        if (!task->passage(task->context, begin + i, arena, &passage, err))
            return false;
        pairs[i] = (struct reranker_pair){
            .query = task->query,
            .query_len = task->query_len,
            .passage = passage.text,
            .passage_len = cut_len(&passage),
        };
    }
    return task->scorer->score(task->scorer->context, pairs, n, scores_out, err);
}

bool rerank(const struct rerank_task *task, size_t n, float *scores_out, size_t *scored_out,
            struct error *err) {
    struct arena arena = {0};
    double pair_ms = task->pair_ms ? *task->pair_ms : 0, now_ms = clock_now_ms();
    size_t done = 0;
    bool ok = true;
    while (ok && done < n) {
        size_t batch = batch_size(task->until_ms - now_ms, pair_ms, done == 0);
        if (batch == 0)
            break;
        if (task->cancelled && atomic_load_explicit(task->cancelled, memory_order_relaxed)) {
            ok = error_set(err, ERROR_STOPPED, "nobody waits for this answer any more");
            break;
        }
        batch = batch < n - done ? batch : n - done;
        ok = score_batch(task, done, batch, &arena, scores_out + done, err);
        done += batch;
        arena_reset(&arena);
        double began_ms = now_ms;
        now_ms = clock_now_ms();
        pair_ms = (now_ms - began_ms) / (double)batch;
    }
    arena_done(&arena);
    if (!ok)
        return false;
    if (task->pair_ms && done > 0)
        *task->pair_ms = pair_ms;
    *scored_out = done;
    return true;
}
