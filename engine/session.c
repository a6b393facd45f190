#include "engine/session.h"

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/pool.h"
#include "engine/model_parts.h"

/* Tokens a forward run is filled up to: enough rows for the matrix products to run at full speed
 * (measured: 512 and up), few enough that the states of a small model stay in a core's cache. */
enum { RUN_TOKENS_MAX = 1024, RUN_TOKENS_MIN = 256 };
/* Runs a worker gets from a batch, so that no core waits long for the last one. */
enum { RUNS_PER_WORKER = 4 };

/* What one thread of the pool needs for itself. */
struct worker {
    struct forward *forward;
    struct error err;
    size_t failed_item; /* SIZE_MAX: none */
};

struct session {
    const struct model *model;
    struct pool *pool;
    struct arena arena; /* the plan of the runs, until the next session_run */
    struct worker *workers;
    size_t workers_n;
};

struct session *session_open(const struct model *model, struct pool *pool) {
    struct session *session = mem_zalloc(1, sizeof *session);
    session->model = model;
    session->pool = pool;
    session->workers_n = pool ? pool_workers_n(pool) : 1;
    session->workers = mem_zalloc(session->workers_n, sizeof *session->workers);
    for (size_t i = 0; i < session->workers_n; i++)
        session->workers[i].forward = forward_open(model);
    return session;
}

void session_close(struct session *session) {
    if (!session)
        return;
    for (size_t i = 0; i < session->workers_n; i++)
        forward_close(session->workers[i].forward);
    free(session->workers);
    arena_done(&session->arena);
    free(session);
}

size_t session_workers_n(const struct session *session) {
    return session->workers_n;
}

static void run_items(struct session *session, size_t items_n, pool_work *work, void *context) {
    if (session->pool)
        pool_run(session->pool, items_n, work, context);
    else
        for (size_t item = 0; item < items_n; item++)
            work(context, item, 0);
}

/* ---- a loop over the pool, and its errors ---- */

struct spread {
    struct session *session;
    session_work *work;
    void *context;
};

static void spread_item(void *context, size_t item, size_t worker_i) {
    const struct spread *spread = context;
    struct worker *worker = &spread->session->workers[worker_i];
    struct error err;
    if (!spread->work(spread->context, item, worker_i, &err) && item < worker->failed_item) {
        worker->failed_item = item;
        worker->err = err;
    }
}

bool session_spread(struct session *session, size_t items_n, session_work *work, void *context,
                    struct error *err) {
    struct spread spread = {session, work, context};
    for (size_t i = 0; i < session->workers_n; i++)
        session->workers[i].failed_item = SIZE_MAX;
    run_items(session, items_n, spread_item, &spread);
    const struct worker *first = &session->workers[0];
    for (size_t i = 1; i < session->workers_n; i++)
        if (session->workers[i].failed_item < first->failed_item)
            first = &session->workers[i];
    if (first->failed_item == SIZE_MAX)
        return true;
    *err = first->err;
    return false;
}

/* ---- runs ---- */

/* A sequence and where the caller has it. */
struct placed {
    struct forward_sequence sequence;
    size_t at;
};

struct plan {
    struct session *session;
    const struct placed *order;               /* [n], longest first */
    const struct forward_sequence *sequences; /* [n], in that order */
    size_t *run_begin;                        /* [runs_n + 1], indices in order */
    size_t runs_n;
    session_done *done;
    void *context;
};

static int compare_longest_first(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->sequence.n != y->sequence.n)
        return x->sequence.n > y->sequence.n ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static struct plan make_plan(struct session *session, const struct forward_sequence *sequences,
                             size_t n) {
    struct arena *arena = &session->arena;
    struct placed *order = ARENA_NEW(arena, struct placed, n);
    struct forward_sequence *sorted = ARENA_NEW(arena, struct forward_sequence, n);
    struct plan plan = {.session = session, .order = order, .sequences = sorted};
    size_t total = 0, in_run = 0;
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct placed){sequences[i], i};
        total += sequences[i].n;
    }
    qsort(order, n, sizeof *order, compare_longest_first);
    size_t full = total / (session->workers_n * RUNS_PER_WORKER);
    full = full < RUN_TOKENS_MIN ? RUN_TOKENS_MIN : full > RUN_TOKENS_MAX ? RUN_TOKENS_MAX : full;
    plan.run_begin = ARENA_NEW(arena, size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = order[i].sequence;
        if (i == 0 || in_run + sorted[i].n > full) {
            plan.run_begin[plan.runs_n++] = i;
            in_run = 0;
        }
        in_run += sorted[i].n;
    }
    plan.run_begin[plan.runs_n] = n;
    return plan;
}

static void hand_out(const struct plan *plan, size_t run, const float *hidden, size_t worker) {
    size_t begin = plan->run_begin[run], end = plan->run_begin[run + 1];
    size_t width = plan->session->model->config.hidden;
    for (size_t i = begin; i < end; hidden += plan->sequences[i].n * width, i++)
        plan->done(plan->context, plan->order[i].at, hidden, worker);
}

/* Enough runs for all: each worker takes one after the other. */
static void do_run(void *context, size_t run, size_t worker) {
    const struct plan *plan = context;
    size_t begin = plan->run_begin[run], end = plan->run_begin[run + 1];
    const float *hidden =
        forward_run(plan->session->workers[worker].forward, plan->sequences + begin, end - begin);
    hand_out(plan, run, hidden, worker);
}

static void do_member(void *context, size_t member, size_t worker) {
    (void)worker;
    forward_member(context, member);
}

/* Fewer runs than workers, as of a query or one long document: all work on each, if that helps. */
static void do_run_together(const struct plan *plan, size_t run) {
    struct session *session = plan->session;
    struct forward *forward = session->workers[0].forward;
    size_t begin = plan->run_begin[run], end = plan->run_begin[run + 1], tokens_n = 0;
    for (size_t i = begin; i < end; i++)
        tokens_n += plan->sequences[i].n;
    if (!forward_team_pays(forward, tokens_n)) {
        hand_out(plan, run, forward_run(forward, plan->sequences + begin, end - begin), 0);
        return;
    }
    forward_begin(forward, plan->sequences + begin, end - begin, session->workers_n);
    pool_run_together(session->pool, session->workers_n, do_member, forward);
    hand_out(plan, run, forward_states(forward), 0);
}

void session_run(struct session *session, const struct forward_sequence *sequences, size_t n,
                 session_done *done, void *context) {
    if (n == 0)
        return;
    arena_reset(&session->arena);
    struct plan plan = make_plan(session, sequences, n);
    plan.done = done;
    plan.context = context;
    if (plan.runs_n >= session->workers_n)
        run_items(session, plan.runs_n, do_run, &plan);
    else
        for (size_t run = 0; run < plan.runs_n; run++)
            do_run_together(&plan, run);
}
