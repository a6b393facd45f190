/* explain.h - the terms and the tokens behind a hit's sparse and multi-vector scores. */
#ifndef TERCET_EXPLAIN_H
#define TERCET_EXPLAIN_H

#include "query/evidence.h"

/* Fills hit->explanation; hit->scores and hit->document must be there. */
bool explain_hit(struct search_run *run, const struct evidence *evidence, struct search_hit *hit,
                 struct error *err);

#endif
