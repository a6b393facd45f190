/* Reranking against a scorer that takes its time: what is scored, and when it stops. */
#include "query/rerank.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "tests/check.h"

enum { PASSAGES = 50 };

struct slow {
    double pair_ms;
    size_t pairs_n, batches_n, batch_max, bytes_max;
    size_t fail_at;    /* this batch fails, from 1; 0: none does */
    atomic_bool *stop; /* set during batch ... */
    size_t stop_at;    /* ... this one */
};

static bool score_slowly(void *context, const struct reranker_pair *pairs, size_t n,
                         float *scores_out, struct error *err) {
    struct slow *slow = context;
    double until_ms = clock_now_ms() + slow->pair_ms * (double)n;
    slow->batches_n++;
    if (slow->batches_n == slow->fail_at)
        return error_set(err, ERROR_LIMIT, "as asked");
    if (slow->batches_n == slow->stop_at)
        atomic_store(slow->stop, true);
    for (size_t i = 0; i < n; i++) {
        CHECK(pairs[i].query_len == 1 && pairs[i].query[0] == 'q');
        scores_out[i] = (float)pairs[i].passage_len;
        slow->bytes_max =
            pairs[i].passage_len > slow->bytes_max ? pairs[i].passage_len : slow->bytes_max;
    }
    slow->pairs_n += n;
    slow->batch_max = n > slow->batch_max ? n : slow->batch_max;
    while (clock_now_ms() < until_ms)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return true;
}

/* The i-th has i bytes. */
static bool passage(void *context, size_t i, struct arena *arena, struct passage *out,
                    struct error *err) {
    char text[PASSAGES + 1];
    (void)context;
    (void)err;
    memset(text, 'p', sizeof text);
    *out = (struct passage){.text = arena_text(arena, text, i), .len = i};
    return true;
}

static struct rerank_task task_of(const struct rerank_scorer *scorer, double until_ms) {
    return (struct rerank_task){
        .scorer = scorer, .query = "q", .query_len = 1, .until_ms = until_ms, .passage = passage};
}

static void without_a_deadline_all_are_scored(void) {
    struct slow slow = {0};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    const struct rerank_task task = task_of(&scorer, (double)INFINITY);
    float scores[PASSAGES];
    size_t scored = 0;
    struct error err;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK_EQUAL(scored, PASSAGES);
    CHECK_EQUAL(slow.pairs_n, PASSAGES);
    CHECK_EQUAL(slow.batches_n, (PASSAGES + RERANK_BATCH_MAX - 1) / RERANK_BATCH_MAX);
    for (size_t i = 0; i < PASSAGES; i++)
        CHECK(scores[i] == (float)i);
    CHECK_OK(rerank(&task, 0, scores, &scored, &err), err);
    CHECK_EQUAL(scored, 0);
}

/* Under load a sleep may take much longer; then fewer are scored, never more. */
static void a_deadline_keeps_a_beginning(void) {
    struct slow slow = {.pair_ms = 10};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    const struct rerank_task task = task_of(&scorer, clock_now_ms() + 400);
    float scores[PASSAGES];
    size_t scored = 0;
    struct error err;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK(scored >= RERANK_BATCH_FIRST && scored <= 400 / 10);
    CHECK(slow.batch_max > RERANK_BATCH_FIRST);
    CHECK_EQUAL(slow.pairs_n, scored);
    CHECK(slow.batches_n >= 1);
    for (size_t i = 0; i < scored; i++)
        CHECK(scores[i] == (float)i);
}

/* What a pair cost before decides how many are begun with: here one, which is never too many. */
static void a_slow_pace_is_remembered(void) {
    struct slow slow = {.pair_ms = 30};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    struct rerank_task task = task_of(&scorer, clock_now_ms() + 20);
    double pair_ms = 1000;
    float scores[PASSAGES];
    size_t scored = 0;
    struct error err;
    task.pair_ms = &pair_ms;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK(scored <= 1); /* none: this thread did not run for 20 ms */
    if (scored)
        CHECK(pair_ms >= 29 && pair_ms < 1000);
    pair_ms = 1e-6; /* wrong the other way: as many as without a deadline, at most */
    task.until_ms = clock_now_ms() + 20;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK(scored <= RERANK_BATCH_MAX);
}

static void a_deadline_far_away_changes_nothing(void) {
    struct slow slow = {0};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    const struct rerank_task task = task_of(&scorer, clock_now_ms() + 1e6);
    float scores[PASSAGES];
    size_t scored = 0;
    struct error err;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK_EQUAL(scored, PASSAGES);
    CHECK_EQUAL(slow.batch_max, RERANK_BATCH_MAX);
}

static void a_deadline_that_is_over_scores_none(void) {
    struct slow slow = {0};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    const struct rerank_task task = task_of(&scorer, clock_now_ms() - 1);
    float scores[PASSAGES];
    size_t scored = 7;
    struct error err;
    CHECK_OK(rerank(&task, PASSAGES, scores, &scored, &err), err);
    CHECK_EQUAL(scored, 0);
    CHECK_EQUAL(slow.batches_n, 0);
}

static void stops_when_nobody_waits(void) {
    atomic_bool stop = false;
    struct slow slow = {.stop = &stop, .stop_at = 2};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    struct rerank_task task = task_of(&scorer, (double)INFINITY);
    float scores[PASSAGES];
    size_t scored = 7;
    struct error err;
    task.cancelled = &stop;
    CHECK(!rerank(&task, PASSAGES, scores, &scored, &err));
    CHECK_EQUAL(err.code, ERROR_STOPPED);
    CHECK_EQUAL(slow.batches_n, 2);
    CHECK_EQUAL(scored, 7);
}

static void a_failure_is_handed_on(void) {
    struct slow slow = {.fail_at = 2};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    const struct rerank_task task = task_of(&scorer, (double)INFINITY);
    float scores[PASSAGES];
    size_t scored = 7;
    struct error err;
    CHECK(!rerank(&task, PASSAGES, scores, &scored, &err));
    CHECK_EQUAL(err.code, ERROR_LIMIT);
    CHECK_EQUAL(scored, 7);
}

/* Three-byte characters: the limit falls into one. */
static bool long_passage(void *context, size_t i, struct arena *arena, struct passage *out,
                         struct error *err) {
    size_t len = 3 * (size_t)RERANK_PASSAGE_BYTES_MAX;
    char *text = arena_alloc(arena, len, 1);
    (void)context;
    (void)i;
    (void)err;
    for (size_t at = 0; at < len; at++)
        text[at] = "\xe6\xb5\xb7"[at % 3];
    *out = (struct passage){.text = text, .len = len};
    return true;
}

static void long_passages_are_cut(void) {
    struct slow slow = {0};
    const struct rerank_scorer scorer = {"slow", score_slowly, &slow};
    struct rerank_task task = task_of(&scorer, (double)INFINITY);
    float scores[2];
    size_t scored;
    struct error err;
    task.passage = long_passage;
    CHECK_OK(rerank(&task, 2, scores, &scored, &err), err);
    CHECK_EQUAL(slow.bytes_max, RERANK_PASSAGE_BYTES_MAX - RERANK_PASSAGE_BYTES_MAX % 3);
}

int main(void) {
    without_a_deadline_all_are_scored();
    a_deadline_keeps_a_beginning();
    a_slow_pace_is_remembered();
    a_deadline_far_away_changes_nothing();
    a_deadline_that_is_over_scores_none();
    stops_when_nobody_waits();
    a_failure_is_handed_on();
    long_passages_are_cut();
    return check_result();
}
