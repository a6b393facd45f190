/* session.h - many token sequences through the model, spread over a pool: what the encoder and the
 * reranker share.
 *
 * Sequences of like length are packed into runs of some hundred tokens, one behind the other and
 * without padding, and each worker of the pool takes a run at a time.
 * Threads: one thread calls a session at a time; model and pool are shared and outlive it. */
#ifndef TERCET_SESSION_H
#define TERCET_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/forward.h"

struct pool;
struct session;

/* pool NULL: the calling thread does all the work. */
struct session *session_open(const struct model *model, struct pool *pool);
void session_close(struct session *session);

/* Workers are numbered 0 to this: an index for scratch of the caller's own. */
size_t session_workers_n(const struct session *session);

/* work(context, item, worker, err) for each item. False with the error of the first item, by
 * number, that failed: the same message whatever the number of threads. */
typedef bool session_work(void *context, size_t item, size_t worker, struct error *err);
bool session_spread(struct session *session, size_t items_n, session_work *work, void *context,
                    struct error *err);

/* Runs the model and calls done once for each sequence, from any worker's thread, with its hidden
 * states [sequence->n, hidden], which are gone when done returns. */
typedef void session_done(void *context, size_t sequence, const float *hidden, size_t worker);
void session_run(struct session *session, const struct forward_sequence *sequences, size_t n,
                 session_done *done, void *context);

#endif
