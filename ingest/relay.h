/* relay.h - windows go round: free -> read -> encoded -> stored -> free.
 *
 * Each place is a queue, first in first out. There are WINDOWS_N windows, so no place is ever full
 * and putting never waits; taking waits for one, or for the relay to be broken off.
 * Threads: any, at once. */
#ifndef TERCET_INGEST_RELAY_H
#define TERCET_INGEST_RELAY_H

#include <pthread.h>

#include "ingest/stages.h"

enum relay_place {
    RELAY_FREE,    /* for the intake to fill */
    RELAY_LENT,    /* stored, and the intake waits for this very one */
    RELAY_READ,    /* for the encoder */
    RELAY_ENCODED, /* for the writer */
    RELAY_STORED,  /* to be told about */
    RELAY_PLACES_N,
    RELAY_NOWHERE,
};

struct relay {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct window *windows[RELAY_PLACES_N][WINDOWS_N]; /* oldest first */
    size_t n[RELAY_PLACES_N];
    bool is_idle; /* nothing is being read: the input is waited for */
    bool is_broken;
    struct error why;
};

void relay_init(struct relay *relay);
void relay_done(struct relay *relay);

void relay_put(struct relay *relay, enum relay_place place, struct window *window);

/* NULL: broken off. */
struct window *relay_take(struct relay *relay, enum relay_place place);
/* Whichever has one, `first` before `second`; *place_out says which. */
struct window *relay_take_either(struct relay *relay, enum relay_place first,
                                 enum relay_place second, enum relay_place *place_out);
/* NULL: there is none now. */
struct window *relay_try(struct relay *relay, enum relay_place place);

/* Until there is one (true), the relay is broken off (true), or the intake is idle (false). */
bool relay_wait_busy(struct relay *relay, enum relay_place place);
void relay_set_idle(struct relay *relay, bool idle);

/* The first reason counts. Everybody who waits is woken. why NULL: no failure. */
void relay_break(struct relay *relay, const struct error *why);
bool relay_is_broken(struct relay *relay);

#endif
