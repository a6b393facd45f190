#include "ingest/relay.h"

#include <assert.h>
#include <string.h>

void relay_init(struct relay *relay) {
    *relay = (struct relay){0};
    pthread_mutex_init(&relay->lock, NULL);
    pthread_cond_init(&relay->changed, NULL);
}

void relay_done(struct relay *relay) {
    pthread_mutex_destroy(&relay->lock);
    pthread_cond_destroy(&relay->changed);
}

void relay_put(struct relay *relay, enum relay_place place, struct window *window) {
    pthread_mutex_lock(&relay->lock);
    assert(relay->n[place] < WINDOWS_N);
    relay->windows[place][relay->n[place]++] = window;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

/* The oldest, under the lock; NULL: there is none. */
static struct window *take(struct relay *relay, enum relay_place place) {
    struct window **windows = relay->windows[place], *window = windows[0];
    if (relay->n[place] == 0)
        return NULL;
    relay->n[place]--;
    memmove(windows, windows + 1, relay->n[place] * sizeof *windows);
    return window;
}

struct window *relay_take_either(struct relay *relay, enum relay_place first,
                                 enum relay_place second, enum relay_place *place_out) {
    struct window *window = NULL;
    pthread_mutex_lock(&relay->lock);
    while (!relay->is_broken && relay->n[first] + relay->n[second] == 0)
        pthread_cond_wait(&relay->changed, &relay->lock);
    *place_out = relay->n[first] ? first : second;
    if (!relay->is_broken)
        window = take(relay, *place_out);
    pthread_mutex_unlock(&relay->lock);
    return window;
}

struct window *relay_take(struct relay *relay, enum relay_place place) {
    enum relay_place same;
    return relay_take_either(relay, place, place, &same);
}

struct window *relay_try(struct relay *relay, enum relay_place place) {
    pthread_mutex_lock(&relay->lock);
    struct window *window = take(relay, place);
    pthread_mutex_unlock(&relay->lock);
    return window;
}

bool relay_wait_busy(struct relay *relay, enum relay_place place) {
    pthread_mutex_lock(&relay->lock);
    while (!relay->is_broken && relay->n[place] == 0 && !relay->is_idle)
        pthread_cond_wait(&relay->changed, &relay->lock);
    bool busy = relay->is_broken || relay->n[place] > 0;
    pthread_mutex_unlock(&relay->lock);
    return busy;
}

void relay_set_idle(struct relay *relay, bool idle) {
    pthread_mutex_lock(&relay->lock);
    relay->is_idle = idle;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

void relay_break(struct relay *relay, const struct error *why) {
    pthread_mutex_lock(&relay->lock);
    if (!relay->is_broken && why)
        relay->why = *why;
    relay->is_broken = true;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

bool relay_is_broken(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    bool is_broken = relay->is_broken;
    pthread_mutex_unlock(&relay->lock);
    return is_broken;
}
